"""Selectors and templates: what they find, what they refuse, and that payloads are only ever data."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.model import Event, Message, Request, StoredEvent
from gateway.core.selector import ABSENT, Scope, TemplateError, parse_selector, parse_template

REQUEST = Request(
    "POST",
    "/hooks/acme",
    "a=1&b=%20x&b=2&c=x+y",
    ((b"x-env", b"live"), (b"x-twice", b"1"), (b"x-twice", b"2"), (b"x.dot", b"d"), (b"x-latin", b"\xe9")),
    b"",
    "192.0.2.7",
    0,
)
BODY = {
    "data": {"state": "done", "n": 1, "null": None, "a.b": "odd", 'q"\\': "quoted"},
    "items": [{"id": 1, "tags": ["x", "y"]}, {"no": 0}, {"id": 2, "tags": ["z"]}, "text"],
    "empty": [],
    "text": "plain",
}
EVENT = Event("acme", "main", "order.done", "2023-10", b"\x01\xff", 1700, None, b"", BODY, None)
SCOPE = Scope(REQUEST, BODY, {"iss": "Acme", "events": [{"id": "a"}]}, EVENT, "acme")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("body.data.state", "done"),
        ("body.data.n", 1),
        ("body.data.null", None),
        ('body.data."a.b"', "odd"),
        ('body.data."q\\"\\\\"', "quoted"),
        ("body.items[].id", 1),
        ("claims.iss", "Acme"),
        ("claims.events[].id", "a"),
        ("header.x-env", "live"),
        ("header.X-ENV", "live"),
        ('header."x.dot"', "d"),
        ("header.x-latin", "é"),
        ("query.a", "1"),
        ("query.c", "x y"),
        ("source", "acme"),
        ("event.type", "order.done"),
        ("event.version", "2023-10"),
        ("event.source", "acme"),
        ("event.key", "01ff"),
        ("event.occurred_at", 1700),
    ],
)
def test_a_selector_gives_the_value_it_points_at(text, value):
    selector = parse_selector(text)
    assert selector.value(SCOPE) == value
    assert selector.values(SCOPE)[0] == value


@pytest.mark.parametrize(
    "text",
    [
        "body.nothing",
        "body.data.state.deeper",
        "body.data.n.deeper",
        "body.items.id",
        "body.text.0",
        "body.data[].state",
        "body.empty[]",
        "header.x-none",
        "query.none",
        "event.id",
    ],
)
def test_what_is_not_there_is_absent_and_never_an_error(text):
    assert parse_selector(text).value(SCOPE) is ABSENT
    assert parse_selector(text).values(SCOPE) == []


def test_a_selector_through_lists_gives_every_value_in_order():
    assert parse_selector("body.items[].id").values(SCOPE) == [1, 2]
    assert parse_selector("body.items[].tags[]").values(SCOPE) == ["x", "y", "z"]


def test_a_body_that_is_a_list_can_be_walked():
    scope = SCOPE._replace(body=[{"id": 1}, {"id": 2}])
    assert parse_selector("body[].id").values(scope) == [1, 2]
    assert parse_selector("body").value(scope) == [{"id": 1}, {"id": 2}]


@pytest.mark.parametrize(("text", "values"), [("header.x-twice", ["1", "2"]), ("query.b", [" x", "2"])])
def test_of_what_was_sent_twice_no_single_value_is_trusted(text, values):
    selector = parse_selector(text)
    assert selector.value(SCOPE) is ABSENT
    assert selector.values(SCOPE) == values


@pytest.mark.parametrize("text", ["header.x-env", "query.a", "body.a", "claims.a", "event.type"])
def test_an_empty_scope_has_nothing(text):
    assert parse_selector(text).value(Scope(None, None, None, None, "acme")) is ABSENT


def test_the_id_of_a_stored_event_and_of_a_message_read_alike():
    stored = StoredEvent(255, "acme", "main", "t", "", None, 0, b"", b"", None)
    message = Message("evt_00000000000000ff", "acme", "t", "", b"", "", {}, b"", "crm", "r", 1, None, 0)
    ids = [parse_selector("event.id").value(SCOPE._replace(event=event)) for event in (stored, message)]
    assert ids == ["evt_00000000000000ff"] * 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "begin with one of"),
        ("data.state", "begin with one of"),
        ("bodydata", "begin with one of"),
        ("body.", "cannot read '.'"),
        ("body..a", "cannot read"),
        ("body.a[0]", r"cannot read '\[0\]'"),
        ('body."a', "cannot read"),
        ("body.a b", "cannot read"),
        ("body.{x}", "cannot read"),
        ("header", "one name after 'header'"),
        ("header.a.b", 'header."a.b"'),
        ('header."a b"', "no header name"),
        ("event.colour", "an event has no 'colour'"),
        ("source.a", "source has no parts"),
        ("body." + "a" * 300, "longer than 256"),
        ("body" + ".a" * 40, "more than 32 pieces"),
        (7, "a selector is text"),
    ],
)
def test_a_bad_selector_is_told_apart(text, told):
    with pytest.raises(ValueError, match=told):
        parse_selector(text)


KEYS = st.text(string.printable.replace("\r", "").replace("\n", ""), min_size=1, max_size=8)


@settings(deadline=None)
@given(st.lists(KEYS, min_size=1, max_size=5), st.integers())
def test_any_key_can_be_written_in_quotes(keys, value):
    document = value
    for key in reversed(keys):
        document = {key: document}
    quoted = "".join('."' + key.replace("\\", "\\\\").replace('"', '\\"') + '"' for key in keys)
    assert parse_selector(f"body{quoted}").value(Scope(None, document, None, None, "")) == value


def test_a_template_writes_text_as_it_is_and_the_rest_as_json():
    template = parse_template("{source}: {event.type} {body.data.n} {body.empty} {{literal}}")
    assert template.render(SCOPE) == "acme: order.done 1 [] {literal}"
    assert [selector.text for selector in template.selectors] == ["source", "event.type", "body.data.n", "body.empty"]


def test_a_template_quotes_values_but_not_its_own_text():
    assert parse_template("/{source}/").render(SCOPE, lambda text: f"<{text}>") == "/<acme>/"


def test_a_template_may_hold_quoted_pieces():
    assert parse_template('{body.data."a.b"}!').render(SCOPE) == "odd!"


@pytest.mark.parametrize("text", ["{body.nothing}", "{body.data.null}"])
def test_a_template_without_its_value_is_an_error_that_names_the_selector(text):
    with pytest.raises(TemplateError, match="nothing at body") as error:
        parse_template(text).render(SCOPE)
    assert "done" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [("{", "character 1 has no partner"), ("a}", "character 2"), ("{}", "character 1"), ("{nope}", "begin with")],
)
def test_a_bad_template_is_told(text, told):
    with pytest.raises(ValueError, match=told):
        parse_template(text)


@pytest.mark.parametrize(
    "hostile", ["{source}", "{{source}}", "{body.data.state}", "%s", "{0.__init__}", "__class__", "{{7*7}}", "${x}"]
)
def test_D6_a_payload_is_never_taken_as_a_template_or_format_string(hostile):
    scope = SCOPE._replace(body={"x": hostile, hostile: "key"})
    assert parse_template("{body.x}").render(scope) == hostile
    assert parse_selector("body.x").value(scope) == hostile


@pytest.mark.parametrize("text", ["body.__class__", "body.data.state.__len__", "event.__class__", "claims.keys"])
def test_D6_a_selector_reaches_no_attribute_of_python(text):
    try:
        found = parse_selector(text).value(SCOPE)
    except ValueError:
        found = ABSENT
    assert found is ABSENT
