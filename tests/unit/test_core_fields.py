"""Fields: what `event.NAME` stands for, in conditions, order keys, templates and texts; unknown names are told."""

import pytest
from blueprint_harness import AUDIT, make_world  # noqa: F401 - a fixture

from gateway.core.fields import FIELDS_MAX, Fields, FieldsOfSources, message_field
from gateway.core.head import encode_head
from gateway.core.identify import compile_identify, identify, named_fields
from gateway.core.match_table import parse_match
from gateway.core.model import Delivery, Proof, Request, StoredEvent
from gateway.core.order import parse_order_by
from gateway.core.problems import ProblemsError
from gateway.core.render import Renderer
from gateway.core.selector import ABSENT, Scope, parse_selector, parse_template
from gateway.core.templates import TemplateSource, fields_named

FIELDS = Fields({"state": "body.data.state", "subject": ["body.data.id", "body.id"], "tags": "body.tags[]"})


def scope(body, source="acme", event=None):
    return Scope(None, body, None, event, source)


@pytest.mark.parametrize(
    ("name", "body", "meant"),
    [
        ("state", {"data": {"state": "paid"}}, "paid"),
        ("state", {"data": {}}, ABSENT),
        ("subject", {"data": {"id": 1}, "id": 2}, 1),
        ("subject", {"data": {"id": ""}, "id": 2}, 2),
        ("subject", {"data": {"id": None}, "id": 0}, 0),
        ("subject", {}, ABSENT),
        ("tags", {"tags": ["a", "b"]}, "a"),
    ],
)
def test_a_field_is_the_first_of_its_selectors_that_finds_something(name, body, meant):
    assert FIELDS.find(name).value(scope(body)) == meant


def test_a_field_of_a_list_has_every_value():
    assert FIELDS.find("tags").values(scope({"tags": ["a", "b"]})) == ["a", "b"]
    assert FIELDS.find("subject").values(scope({"id": 2})) == [2]


@pytest.mark.parametrize(
    ("match", "holds"),
    [
        ({"event.state": "paid"}, True),
        ({"event.state": ["new", "open"]}, False),
        ({"event.subject": 7}, True),
        ({"event.subject": {"gt": 6}}, True),
        ({"event.tags": "b"}, True),
        ({"event.tags": {"not": "b"}}, False),
        ({"none_of": [{"event.state": "paid"}]}, False),
        ({"event.type": {"exists": False}}, True),
    ],
)
def test_a_field_stands_in_conditions_like_its_selector(match, holds):
    body = {"data": {"state": "paid"}, "id": 7, "tags": ["a", "b"]}
    assert parse_match(match, FIELDS.find).matches(scope(body)) is holds


def test_an_unknown_field_is_told_with_the_nearest_known():
    with pytest.raises(ProblemsError, match="unknown field of an event 'stat'; did you mean 'state'"):
        parse_match({"event.stat": "paid"}, FIELDS.find)
    with pytest.raises(ValueError, match="did you mean 'type'"):
        FIELDS.find("typ")
    with pytest.raises(ValueError, match="an event has no 'state'"):
        parse_selector("event.state")


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"type": "body.x"}, "'type' is no name of a field"),
        ({"State": "body.x"}, "'State' is no name of a field"),
        ({"a": []}, "a: expected 1 to 16 selectors"),
        ({"a": "x"}, "selector 'x'"),
        ({"a": "event.type"}, "a: expected selectors of body, header or query"),
        ({"a": "claims.x"}, "a: expected selectors of body, header or query"),
        ({f"a{n}": "body.x" for n in range(FIELDS_MAX + 1)}, "at most 64"),
        (["a"], "expected a table"),
    ],
)
def test_a_table_of_fields_that_cannot_work_is_told(table, text):
    with pytest.raises(ValueError, match=text):
        Fields(table)
    with pytest.raises(ProblemsError, match="fields: "):
        compile_identify({"type": "body.t", "fields": table})


def test_fields_of_several_sources_ask_the_source_of_the_event():
    both = FieldsOfSources({"acme": FIELDS, "bank": Fields({"state": "body.status"}), "none": Fields()})
    selector = parse_order_by("event.state", both.find)
    assert selector.value(scope({"data": {"state": 1}, "status": 2}, "acme")) == 1
    assert selector.value(scope({"data": {"state": 1}, "status": 2}, "bank")) == 2
    assert selector.value(scope({"status": 2}, "none")) is ABSENT
    with pytest.raises(ValueError, match="did you mean 'state'"):
        both.find("stat")


RULE = compile_identify(
    {
        "type": "body.t",
        "split": "body.list[]",
        "fields": {"state": "body.state", "shop": "header.x-shop"},
        "aliases": {"body.state": {"payed": "paid"}},
    }
)
BODY = b'{"list": [{"t": "a", "state": "payed"}]}'


def stored():
    request = Request("POST", "/hooks/acme", "", ((b"x-shop", b"main"),), BODY, "192.0.2.7", 1)
    (event,) = identify(RULE, "acme", "main", request, Proof())
    head = encode_head(request, (), ())
    return StoredEvent(1, "acme", "main", event.type, "", None, 1, head, BODY, event.part)


def test_fields_are_read_of_a_stored_part_with_the_meant_values():
    assert named_fields({"acme": RULE}, stored()) == {"state": "paid", "shop": "main"}
    assert named_fields({}, stored()) == {}


DELIVERY = Delivery(1, 0, "crm", "all", 1, 0, 0, None, 1)


def test_a_message_reads_its_fields_once_and_only_if_asked():
    asked = []

    def read(event):
        asked.append(event)
        return named_fields({"acme": RULE}, event)

    message = Renderer("payload", read).render(DELIVERY, stored())
    assert asked == []
    template = parse_template("{event.type} is {event.state} at {event.shop}", message_field)
    assert template.render(scope(None, event=message)) == "a is paid at main"
    assert len(asked) == 1
    assert Renderer("payload").render(DELIVERY, stored()).fields == {}


def test_a_template_file_names_fields_like_facts():
    source = TemplateSource("t", '{"text": [{{ event.type }}, {{ event.state }}]}')
    message = Renderer(source, lambda event: named_fields({"acme": RULE}, event)).render(DELIVERY, stored())
    assert message.content == b'{"text": ["a", "paid"]}'


def test_the_fields_that_a_template_names_are_found_without_running_it():
    text = "{{ event.a }}{% if event.b %}{% for x in body.c %}{{ x.d }}{% endfor %}{% endif %} event.e"
    assert fields_named(text) == {"a", "b"}
    assert fields_named("{{ broken") == set()


SOURCES = """
[sources.acme]
provider = "generic"
verify = { scheme = "token", header = "X-Token" }
identify = { type = "body.t", id = "body.id", fields = { state = "body.state" } }
credentials.main = { secret = { file = "one" } }
[routes.all]
source = "acme"
targets = ["audit"]
"""
TRUEWORK = """
[sources.truework]
provider = "truework"
credentials.main = { secret = { file = "one" } }
"""


def test_check_tells_unknown_fields_wherever_they_stand(world):
    (problem,) = world.problems(SOURCES + 'match = { "event.stat" = "paid" }\n', AUDIT)
    assert "did you mean 'state'" in problem
    (problem,) = world.problems(SOURCES, AUDIT + 'order_by = "event.stat"\n')
    assert problem.endswith("""[targets.audit].order_by: unknown field of an event 'stat'; did you mean 'state'?""")
    hook = '[targets.audit]\ntype = "http"\nurl = "http://10.0.0.7/{event.stat}"\n'
    (problem,) = world.problems(SOURCES, hook)
    assert problem.endswith("""[targets.audit].url: unknown field of an event 'stat'; did you mean 'state'?""")
    world.write("ledger.j2", '{"state": {{ event.stat }}}')
    (problem,) = world.problems(SOURCES, AUDIT + 'send = { template = "ledger.j2" }\n')
    assert problem.endswith("""send.template: unknown field of an event 'stat'; did you mean 'state'?""")


def test_what_stands_in_the_configuration_is_taken_and_belongs_to_the_target(world):
    world.write("ledger.j2", '{"state": {{ event.state }}}')
    target = AUDIT + 'send = { template = "ledger.j2" }\norder_by = "event.state"\n'
    one = world.build(SOURCES + 'match = { "event.state" = "paid" }\n', target)
    other = world.build(SOURCES.replace('"body.state"', '"body.data.state"'), target)
    assert one.targets["audit"].fingerprint != other.targets["audit"].fingerprint, "it is another message now"
    assert one.targets["audit"].order.rule == "event.state = acme: body.state"
    plain = world.build(SOURCES, AUDIT)
    changed = world.build(SOURCES.replace('"body.state"', '"body.data.state"'), AUDIT)
    assert plain.targets["audit"].fingerprint == changed.targets["audit"].fingerprint


def test_a_field_of_a_preset_is_known_and_one_of_another_preset_is_not(world):
    route = '[routes.all]\nsource = "truework"\ntargets = ["audit"]\nmatch = { "event.FIELD" = "completed" }\n'
    assert world.build(TRUEWORK, route.replace("FIELD", "state"), AUDIT)
    (problem,) = world.problems(TRUEWORK, route.replace("FIELD", "shop"), AUDIT)
    assert "unknown field of an event 'shop'" in problem
