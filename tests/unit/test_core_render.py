"""Rendering: the same bytes on every attempt, and never anything but valid JSON where JSON is promised."""

from base64 import b64decode

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.model import Delivery, StoredEvent
from gateway.core.render import Renderer, RenderError, TemplateSource
from harness.cost import processor_within

HEAD = b"POST /hooks/acme?a=1\n192.0.2.7\ncontent-type: text/json\nx-env: live\nx-twice: a\nx-twice: b"
BODY = b'{"state": "done",\r\n "n": [1, 2.50], "big": 12345678901234567890123}'
DELIVERY = Delivery(255, 0, "crm", "orders", 3, 2, 0, b"so far", 1_700_000_000_456)
EVENT = StoredEvent(255, "acme", "main", "order.done", "2", 1_700_000_000_123, 1_700_000_000_456, HEAD, BODY, None)
PART = EVENT._replace(part=b'{"id":1}')
FORMS = ["payload", "request", "envelope", "empty", TemplateSource("crm.j2", '{"s": {{ body.state }} }')]


def render(send, event=EVENT, delivery=DELIVERY):
    return Renderer(send).render(delivery, event)


def filled(text, payload=BODY, content_type="text/plain"):
    return render(TemplateSource("crm.j2", text, content_type), EVENT._replace(body=payload)).content.decode()


def test_a_message_tells_what_a_target_may_know():
    message = render("payload")
    assert (message.id, message.source, message.type, message.version) == (
        "evt_00000000000000ff",
        "acme",
        "order.done",
        "2",
    )
    assert (message.target, message.route, message.attempt) == ("crm", "orders", 3)
    assert (message.occurred_at, message.accepted_at) == (1_700_000_000_123, 1_700_000_000_456)
    assert message.headers == {"content-type": "text/json", "x-env": "live", "x-twice": "a, b"}
    assert (message.payload, message.progress) == (BODY, b"so far")


def test_a_target_can_save_its_progress():
    saved = []
    Renderer("empty").render(DELIVERY, EVENT, saved.append).save_progress(b"1 of 2")
    assert saved == [b"1 of 2"]


def test_the_payload_goes_out_with_the_bytes_and_the_type_it_came_with():
    assert (render("payload").content, render("payload").content_type) == (BODY, "text/json")
    untyped = EVENT._replace(head=b"POST /\n192.0.2.7")
    assert render("payload", untyped).content_type == "application/octet-stream"


def test_the_payload_of_a_part_is_the_part_and_the_request_is_the_whole():
    assert (render("payload", PART).content, render("payload", PART).content_type) == (b'{"id":1}', "application/json")
    assert (render("request", PART).content, render("request", PART).content_type) == (BODY, "text/json")
    assert render("request", PART).payload == b'{"id":1}'


def test_an_empty_message_still_knows_its_payload():
    assert (render("empty").content, render("empty").content_type, render("empty").payload) == (b"", "", BODY)


def test_an_envelope_is_one_line_of_json_around_the_payload_as_it_was_sent():
    message = render("envelope")
    assert message.content_type == "application/json"
    assert b"\n" not in message.content
    assert b"\r" not in message.content
    assert b"2.50" in message.content
    assert b"12345678901234567890123" in message.content
    assert orjson.loads(message.content) == {
        "id": "evt_00000000000000ff",
        "source": "acme",
        "type": "order.done",
        "version": "2",
        "occurred_at": "2023-11-14T22:13:20.123Z",
        "accepted_at": "2023-11-14T22:13:20.456Z",
        "content_type": "text/json",
        "payload": orjson.loads(BODY),
    }


@pytest.mark.parametrize("text", [b"plain", b'1,"type":"another","source":"bank"', b"{}\n{}", b"", b"\xff"])
def test_what_was_unwrapped_and_is_no_json_goes_out_as_such_and_adds_nothing_to_an_envelope(text):
    unwrapped = EVENT._replace(part=text)
    message = render("envelope", unwrapped)
    envelope = orjson.loads(message.content)
    assert b64decode(envelope["payload_base64"]) == text
    assert (envelope["source"], envelope["type"], "payload" in envelope) == ("acme", "order.done", False)
    assert envelope["content_type"] == render("payload", unwrapped).content_type == "application/octet-stream"


def test_an_envelope_of_a_part_holds_the_part():
    found = orjson.loads(render("envelope", PART._replace(occurred_at=None)).content)
    assert (found["payload"], found["content_type"], found["occurred_at"]) == ({"id": 1}, "application/json", None)


@pytest.mark.parametrize(
    "body", [b"", b"a=1", b"\xff\x00", b"NaN", b'{"a":1}{', b'"\\ud800"', b"\xef\xbb\xbf{}", b"1e999"]
)
def test_an_envelope_of_what_is_no_json_holds_it_as_base64(body):
    found = orjson.loads(render("envelope", EVENT._replace(body=body)).content)
    assert b64decode(found["payload_base64"]) == body
    assert "payload" not in found


@settings(deadline=None)
@given(
    st.binary(max_size=40) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace")), st.text(max_size=9)
)
def test_an_envelope_is_valid_json_whatever_the_payload(body, name):
    event = EVENT._replace(body=body, type=name.encode("utf-8", "replace").decode())
    found = orjson.loads(render("envelope", event).content)
    assert ("payload" in found) != ("payload_base64" in found)


@pytest.mark.parametrize("send", FORMS)
def test_the_bytes_are_the_same_on_every_attempt(send):
    later = DELIVERY._replace(attempts=9, claims=99, interrupted=3, progress=b"more")
    one, two = render(send), render(send, delivery=later)
    assert (one.content, one.content_type, one.id) == (two.content, two.content_type, two.id)
    assert (one.attempt, two.attempt) == (3, 10)


@pytest.mark.parametrize("send", FORMS)
def test_what_retention_took_cannot_be_rendered(send):
    with pytest.raises(RenderError, match="expired body"):
        render(send, EVENT._replace(body=None))


def test_a_request_whose_body_is_gone_cannot_be_rendered_though_its_part_is_there():
    with pytest.raises(RenderError, match="expired body"):
        render("request", PART._replace(body=None))
    assert render("payload", PART._replace(body=None)).content == b'{"id":1}'


def test_a_template_sees_event_body_headers_and_places():
    text = (
        "{{ source }} {{ event.type }} {{ event.id }} {{ body.state }} {{ header['x-env'] }} {{ route }} {{ target }}"
    )
    assert filled(text) == "acme order.done evt_00000000000000ff done live orders crm"
    assert filled("{{ payload }}", b"a=1") == "a=1"
    assert filled("{{ body is none }}", b"a=1") == "True"


def test_a_json_template_escapes_each_value_and_is_checked():
    message = render(
        TemplateSource("crm.j2", '{"s": {{ body.s }}, "l": {{ body.l }} }'),
        EVENT._replace(body=b'{"s":"a\\"b","l":[1]}'),
    )
    assert orjson.loads(message.content) == {"s": 'a"b', "l": [1]}
    assert message.content_type == "application/json"
    with pytest.raises(RenderError, match=r"^template: wrote no JSON"):
        render(TemplateSource("crm.j2", '{"s": "{{ body.state }}"}'))


def test_an_html_template_escapes_each_value():
    assert filled("<b>{{ body.s }}</b>", b'{"s":"<script>"}', "text/html; charset=utf-8") == "<b>&lt;script&gt;</b>"


@pytest.mark.parametrize("text", ["{{ nothing }}", "{{ body.nothing }}", "{{ body.state.deeper.still }}"])
def test_a_template_that_names_what_is_not_there_is_dead_and_tells_where(text):
    with pytest.raises(RenderError, match=r"^template: undefined value \(in crm.j2:1\)"):
        filled(text)


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in range(1000000000) %}x{% endfor %}",
        "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
        "{% for a in range(9999) %}{{ payload }}{% endfor %}",
        "{% for a in range(9999) %}{{ body }}{% endfor %}",
        "{% for a in range(9999) %}" + "static " * 5000 + "{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    ],
    ids=["range", "loops", "payloads", "tables", "own text", "recursion"],
)
def test_D7_a_template_that_runs_or_writes_without_end_is_dead_in_time(text):
    payload = orjson.dumps({"long": "x" * 300_000})
    with processor_within(0.5), pytest.raises(RenderError, match=r"^template: "):
        filled(text, payload)


def test_D7_values_at_which_the_template_s_engine_panics_kill_the_message_and_no_other():
    renderer = Renderer(TemplateSource("crm.j2", "{{ body.a is divisibleby(body.b) }}", "text/plain"))
    with pytest.raises(RenderError, match="template: "):
        renderer.render(DELIVERY, EVENT._replace(body=b'{"a": 4, "b": 0}'))
    assert renderer.render(DELIVERY, EVENT._replace(body=b'{"a": 4, "b": 2}')).content == b"True"


def test_D7_a_template_may_write_one_mebibyte():
    assert len(filled("{{ payload }}", b"x" * 1024 * 1024)) == 1024 * 1024
    with pytest.raises(RenderError, match="more than 1048576 bytes"):
        filled("{{ payload }}!", b"x" * 1024 * 1024)


def test_a_refused_template_does_not_spoil_the_next_message():
    renderer = Renderer(TemplateSource("crm.j2", "{{ payload }}", "text/plain"))
    with pytest.raises(RenderError):
        renderer.render(DELIVERY, EVENT._replace(body=b"x" * 2_000_000))
    assert renderer.render(DELIVERY, EVENT).content == BODY


@pytest.mark.parametrize("hostile", ["{{ 7*7 }}", "{% raw %}", "{{ source }}", "%s", "{0.__init__}", "{# x #}"])
def test_D6_a_payload_is_never_compiled_as_a_template(hostile):
    payload = orjson.dumps({"s": hostile, hostile: 1})
    assert filled("{{ body.s }}", payload) == hostile
    assert render("envelope", EVENT._replace(body=payload)).content.count(b"49") == 0


@pytest.mark.parametrize("text", ["{{ body.state.__class__ }}", "{{ body.__init__ }}", "{{ source.encode }}"])
def test_D6_a_template_reaches_no_attribute_of_python(text):
    with pytest.raises(RenderError, match=r"^template: "):
        filled(text)


def test_an_error_of_a_template_tells_no_value():
    with pytest.raises(RenderError) as error:
        filled("{{ body.s + body.n.x.y }}", b'{"s":"hush","n":{}}')
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("send", "told"),
    [
        (TemplateSource("crm.j2", "{{ a"), r"syntax error.*\(in crm.j2:1\)"),
        (TemplateSource("crm.j2", "x" * 70_000), "crm.j2 is longer than 65536"),
        ("json", "expected a form of message"),
    ],
)
def test_a_renderer_that_cannot_be_made_is_told_at_once(send, told):
    with pytest.raises(ValueError, match=told):
        Renderer(send)
