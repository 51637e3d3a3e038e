"""Sample requests: the right source, sample and credential; filled in, changed as asked, signed, spoilt."""

import json
from types import SimpleNamespace

import pytest

from gateway.blueprint.presets import Sample
from gateway.cli.failures import Failure
from gateway.cli.sample import Plan, choose_credential, choose_sample, choose_source, spoil
from gateway.cli.sample_fields import places_read
from gateway.core.match import Match
from gateway.core.model import Request
from gateway.core.pattern import Pattern
from gateway.core.selector import parse_selector

SAMPLE = Sample(
    name="done",
    type="order.done",
    version="2",
    headers={"Content-Type": "application/json"},
    body={"id": "{uuid}", "n": "{n}", "at": "{now}", "iso": "{now_iso}", "list": [{"x": 1}], "deep": {}},
)


class Signer:
    """A token in a header, as a provider would send it."""

    def sign(self, request):
        return request._replace(headers=(*request.headers, (b"x-token", b"secret")))


class Unsigning:
    """A scheme that cannot sign; perhaps one that has not learned its secret."""

    known = False

    def sign(self, request):
        raise ValueError("it has not learned its secret yet")


def credential(name="main", events="*", versions="*", verifier=None, learned=None):
    scope = {"events": Pattern([events]), "versions": Pattern([versions])}
    return SimpleNamespace(name=name, **scope, verifier=verifier or Signer(), learned=learned)


def source(name, provider="acme", *credentials):
    return SimpleNamespace(name=name, provider=provider, path=f"/hooks/{name}", credentials=credentials)


def plan():
    return Plan(source("a"), credential(), SAMPLE)


def test_a_source_is_found_by_its_provider_or_its_own_name():
    known = [source("one", "acme"), source("two", "truora"), source("three", "truora")]
    assert choose_source(known, "acme", None).name == "one"
    assert choose_source(known, "two", None).name == "two"
    assert choose_source(known, "truora", "three").name == "three"
    with pytest.raises(Failure, match=r"several sources.*two, three") as several:
        choose_source(known, "truora", None)
    assert several.value.remedy == "hookgate send truora --source two"
    with pytest.raises(Failure, match=r"there are: one \(acme\)"):
        choose_source(known, "stripe", None)
    with pytest.raises(Failure, match="no source four is configured"):
        choose_source(known, "acme", "four")


def test_a_source_of_another_provider_is_said_to_be_of_that():
    known = [source("shop", "stripe"), source("github", "github")]
    with pytest.raises(Failure, match="source 'shop' is of provider 'stripe', not 'github'") as wrong:
        choose_source(known, "github", "shop")
    assert wrong.value.remedy == "hookgate send stripe --source shop"


def test_a_credential_that_cannot_sign_is_told_with_a_whole_command_that_helps():
    silent = Unsigning()
    for credentials, remedy in [
        ([credential("main", verifier=silent, learned=silent)], "hookgate sources learn a"),
        ([credential("main", verifier=silent), credential("new")], "hookgate send a done --credential new"),
        ([credential("main", verifier=silent)], "hookgate providers show acme"),
    ]:
        with pytest.raises(Failure, match="has not learned its secret") as told:
            Plan(source("a", "acme", *credentials), credentials[0], SAMPLE).signed(plan().request(1, 5, []))
        assert told.value.remedy == remedy


def test_a_sample_is_found_by_name_or_type():
    assert choose_sample([SAMPLE], "done", "acme") is choose_sample([SAMPLE], "order.done", "acme") is SAMPLE
    with pytest.raises(Failure, match=r"there are: done \(order.done\)"):
        choose_sample([SAMPLE], "zzz", "acme")


@pytest.mark.parametrize(
    ("typed", "remedy"), [("order.don", "acme order.done"), ("dome", "acme done"), ("zzz", "acme")]
)
def test_a_slip_in_a_samples_name_is_answered_with_the_command_that_was_meant(typed, remedy):
    with pytest.raises(Failure) as told:
        choose_sample([SAMPLE], typed, "acme")
    assert told.value.remedy == f"hookgate send {remedy}"


def test_a_slip_in_a_sources_name_is_answered_with_the_command_that_was_meant():
    for typed, remedy in [("acne", "hookgate send acme"), ("stripe", "hookgate check --expand")]:
        with pytest.raises(Failure) as told:
            choose_source([source("one", "acme")], typed, None)
        assert told.value.remedy == remedy


def test_where_the_sample_has_text_a_number_stays_text():
    places = ["id=7", "n=true", "list.0.x=7", "deep.a=7", 'iso="7"']
    body = json.loads(plan().request(1, 0, places).body)
    assert (body["id"], body["n"], body["list"], body["deep"], body["iso"]) == ("7", "true", [{"x": 7}], {"a": 7}, "7")
    assert json.loads(plan().request(1, 0, ["id=[7]"]).body)["id"] == [7]


def test_the_first_credential_that_speaks_for_the_event_signs():
    known = source("a", "acme", credential("other", "invoice.*"), credential("old", "*", "1"), credential("fits"))
    assert choose_credential(known, SAMPLE, None).name == "fits"
    assert choose_credential(known, SAMPLE, "other").name == "other"
    for wanted in ("nobody", None):
        with pytest.raises(Failure, match="there are: other") as told:
            choose_credential(source("a", "acme", credential("other", "invoice.*")), SAMPLE, wanted)
        assert told.value.remedy == "hookgate send a done --credential other"


def test_placeholders_are_filled_and_requests_are_distinct():
    first, second = (json.loads(plan().request(n, 1_700_000_000_123, []).body) for n in (1, 2))
    assert first["id"] != second["id"]
    assert (first["n"], second["n"]) == ("1", "2")
    assert first["at"] == 1_700_000_000
    assert first["iso"] == "2023-11-14T22:13:20.123Z"


def test_fields_of_the_body_can_be_changed():
    fields = ["deep.a.b=new", "list.0.x=7", "at=true", "id=a=b", 'n={"k": 1}']
    body = json.loads(plan().request(1, 0, fields).body)
    assert body["deep"] == {"a": {"b": "new"}}
    assert (body["list"], body["at"], body["id"], body["n"]) == ([{"x": 7}], True, "a=b", {"k": 1})


@pytest.mark.parametrize(
    ("body", "field"), [(SAMPLE.body, "nothing"), (SAMPLE.body, "id"), ("<xml/>", "a=1"), (7, "a=1")]
)
def test_what_is_no_place_and_value_is_told(body, field):
    sample = SAMPLE.model_copy(update={"body": body})
    with pytest.raises(Failure, match="expected a place in the sample's body"):
        Plan(source("a"), credential(), sample).request(1, 0, [field])


@pytest.mark.parametrize("field", ["list.9.x=1", "list.x=1", "list.-1.x=1", "id.deeper.x=1", "new=1", "list.0.y=1"])
def test_a_place_that_the_sample_lacks_is_refused_with_those_it_has(field):
    with pytest.raises(Failure, match="the sample has no such place") as told:
        plan().request(1, 0, [field])
    assert told.value.problems == ["it has: id, n, at, iso, list.0.x, deep"]


def test_a_slip_in_a_place_is_told_with_the_command_that_was_meant():
    with pytest.raises(Failure, match=r'--field list.0.xy: .*; did you mean "list.0.x"\?') as told:
        plan().request(1, 0, ["list.0.xy=a b"])
    assert told.value.remedy == "hookgate send a done --field 'list.0.x=a b'"


def test_a_problem_names_sixty_places_at_most():
    sample = SAMPLE.model_copy(update={"body": {f"k{n}": n for n in range(75)}})
    with pytest.raises(Failure) as told:
        Plan(source("a"), credential(), sample).request(1, 0, ["zzz=1"])
    assert told.value.problems[0].endswith("k59, and 15 more")
    assert told.value.remedy == "hookgate send a done --field PLACE=1"


def test_a_place_that_a_rule_or_route_of_the_source_reads_can_be_added():
    read = frozenset({("extra", "deep"), ("list", "y")})
    body = json.loads(Plan(source("a"), credential(), SAMPLE, read).request(1, 0, ["extra.deep=1", "list.0.y=2"]).body)
    assert (body["extra"], body["list"]) == ({"deep": 1}, [{"x": 1, "y": 2}])


def test_the_places_that_can_be_added_are_those_that_the_routes_and_rules_of_the_source_read():
    def route(source, *selectors):
        return SimpleNamespace(source=source, match=Match((), [parse_selector(text) for text in selectors]))

    routes = {
        "mine": route("a", "body.items[].kind", "header.x"),
        "another": route("b", "body.other"),
        "all": SimpleNamespace(source="a", match=None),
    }
    rule = SimpleNamespace(body_paths=(parse_selector("body.event.id").path,))
    mine = SimpleNamespace(name="a", identify=rule)
    assert places_read(SimpleNamespace(routes=routes), mine) == {("items", "kind"), ("event", "id")}


def test_the_request_goes_to_the_source_and_carries_what_signing_adds():
    request = plan().signed(plan().request(1, 5, []))
    assert (request.method, request.path, request.received_at) == ("POST", "/hooks/a", 5)
    assert request.headers == ((b"content-type", b"application/json"), (b"x-token", b"secret"))


@pytest.mark.parametrize(
    "added",
    [
        {"headers": ((b"x", b"y"), (b"sig", b"abcdef"))},
        {"query": "token=abc"},
        {"body": b"aaaa.bbbb.ccccccccccccccccc"},
    ],
)
def test_spoiling_changes_exactly_what_signing_added(added):
    unsigned = Request("POST", "/", "", ((b"x", b"y"),), b"{}", "", 0)
    signed = unsigned._replace(**added)
    spoilt = spoil(unsigned, signed)
    changed = [name for name in Request._fields if getattr(spoilt, name) != getattr(signed, name)]
    assert changed == list(added)
    assert spoilt.headers[0] == (b"x", b"y")


def test_a_scheme_without_a_signature_cannot_be_spoilt():
    unsigned = Request("POST", "/", "", (), b"{}", "", 0)
    with pytest.raises(Failure, match="no signature"):
        spoil(unsigned, unsigned)
