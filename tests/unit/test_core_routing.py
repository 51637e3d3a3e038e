"""Routing: patterns, match tables and the plan of an event."""

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.model import Event, Request
from gateway.core.problems import ProblemsError
from gateway.core.routing import Pattern, Route, Router, parse_match
from gateway.core.selector import Scope
from harness.cost import processor_within

HEADERS = ((b"x-env", b"live"), (b"x-twice", b"a"), (b"x-twice", b"b"))
REQUEST = Request("POST", "/hooks/acme", "", HEADERS, b"", "192.0.2.7", 0)
BODY = {
    "state": "done",
    "n": 5,
    "half": 0.5,
    "one": 1,
    "yes": True,
    "no": False,
    "null": None,
    "items": [{"id": 1, "tag": "a"}, {"id": 2, "tag": "b"}],
    "tags": ["x", "y", 3],
    "a.b": "odd",
}


def event(event_type="order.done", version="1.0", source="acme"):
    return Event(source, "main", event_type, version, None, None, None, b"", BODY, None)


SCOPE = Scope(REQUEST, BODY, None, event(), "acme")


def match(text):
    return parse_match(tomli.loads(f"match = {text}")["match"])


def route(name, targets, events=("*",), source="acme", versions=("*",), table=None):
    return Route(name, source, Pattern(events), Pattern(versions), parse_match(table) if table else None, targets)


@pytest.mark.parametrize(
    ("globs", "fits", "fits_not"),
    [
        (["order.done"], ["order.done"], ["order.done.x", "Order.done", "order_done", ""]),
        (["order.*"], ["order.", "order.done", "order.a.b"], ["order", "xorder.a"]),
        (["*.done"], ["order.done", "a.b.done", ".done"], ["done", "order.done.x"]),
        (["a*b*c"], ["abc", "axbxc", "abbcc", "a.b.c"], ["ab", "acb", "abcx", "a"]),
        (["ab*ba"], ["abba", "ab-ba"], ["aba", "ab"]),
        (["*"], ["", "anything.at.all"], []),
        (["**"], ["", "x"], []),
        (["x", "y.*"], ["x", "y.z"], ["z", "y"]),
        (["a?", "[b]", "c.d", "e+"], ["a?", "[b]", "c.d", "e+"], ["ab", "b", "cxd", "ee"]),
    ],
)
def test_a_glob_fits_the_whole_text_and_its_star_crosses_dots(globs, fits, fits_not):
    pattern = Pattern(globs)
    assert [text for text in fits + fits_not if pattern.matches(text)] == fits


@pytest.mark.parametrize(
    ("globs", "told"), [([], "at least one"), ([""], "found ''"), ([3], "found 3"), (["a" * 201], "longer than 200")]
)
def test_a_bad_glob_is_told(globs, told):
    with pytest.raises(ValueError, match=told):
        Pattern(globs)


LETTERS = st.text("ab.", max_size=6)


@settings(deadline=None)
@given(st.text("ab.*", min_size=1, max_size=6), LETTERS)
def test_globs_agree_with_the_plain_definition(glob, text):
    def fits(glob, text):
        if not glob:
            return not text
        if glob[0] == "*":
            return any(fits(glob[1:], text[cut:]) for cut in range(len(text) + 1))
        return text[:1] == glob[0] and fits(glob[1:], text[1:])

    assert Pattern([glob]).matches(text) == fits(glob, text)


def test_a_glob_of_many_stars_takes_linear_time():
    with processor_within(0.05):
        assert not Pattern(["*a" * 90 + "*b"]).matches("a" * 100_000)


@pytest.mark.parametrize(
    "table",
    [
        '{ "body.state" = "done" }',
        '{ "body.state" = ["new", "done"] }',
        '{ "body.state" = { eq = "done" } }',
        '{ "body.state" = { not = "new" } }',
        '{ "body.state" = { not = ["new", "old"] } }',
        '{ "body.state" = { not = { glob = "n*" } } }',
        '{ "body.state" = { in = ["done"] } }',
        '{ "body.state" = { glob = "d*" } }',
        '{ "body.state" = { glob = ["x*", "*e"] } }',
        '{ "body.state" = { regex = "^d.n" } }',
        '{ "body.state" = { regex = "on" } }',
        '{ "body.state" = { contains = "on" } }',
        '{ "body.state" = { gt = "dog", lt = "dot" } }',
        '{ "body.n" = 5 }',
        '{ "body.n" = 5.0 }',
        '{ "body.n" = { gt = 4, gte = 5, lt = 5.5, lte = 5 } }',
        '{ "body.half" = { lt = 1 } }',
        '{ "body.yes" = true, "body.no" = false }',
        '{ "body.null" = { exists = true } }',
        '{ "body.none" = { exists = false } }',
        '{ "body.none" = { not = "x" } }',
        '{ "body.tags" = { contains = "y" } }',
        '{ "body.tags" = { contains = 3 } }',
        '{ "body.tags[]" = "y" }',
        '{ "body.items[].id" = 2 }',
        '{ "body.items[].id" = { gt = 1, lt = 3 } }',
        '{ "body.items[].tag" = { not = "c" } }',
        '{ "header.x-env" = "live", "header.X-Env" = { not = "test" } }',
        '{ "header.x-twice" = "b" }',
        '{ "event.type" = "order.done", source = "acme" }',
        '{ \'body."a.b"\' = "odd" }',
        '{ any_of = [{ "body.n" = 1 }, { "body.n" = 5 }] }',
        '{ all_of = [{ "body.n" = 5 }, { "body.state" = "done" }] }',
        '{ none_of = [{ "body.n" = 1 }, { "body.none" = "x" }] }',
        '{ any_of = [{ none_of = [{ "body.n" = 1 }] }] }',
    ],
)
def test_a_condition_that_holds(table):
    assert match(table).matches(SCOPE)


@pytest.mark.parametrize(
    "table",
    [
        '{ "body.state" = "new" }',
        '{ "body.state" = "done", "body.n" = 6 }',
        '{ "body.state" = { not = "done" } }',
        '{ "body.state" = { not = ["new", "done"] } }',
        '{ "body.state" = { regex = "^on" } }',
        '{ "body.state" = { glob = "o*" } }',
        '{ "body.state" = { exists = false } }',
        '{ "body.none" = "x" }',
        '{ "body.none" = { exists = true } }',
        '{ "body.none" = { not = "x", exists = true } }',
        '{ "body.none" = { glob = "*" } }',
        '{ "body.none" = { lt = 5 } }',
        '{ "body.null" = "null" }',
        '{ "body.items[].id" = { gt = 2 } }',
        '{ "body.items[].tag" = { not = "b" } }',
        '{ "body.items[].id" = { lt = 2, gt = 1 } }',
        '{ "body.tags" = { contains = "z" } }',
        '{ "body.n" = { contains = 5 } }',
        '{ any_of = [{ "body.n" = 1 }, { "body.n" = 2 }] }',
        '{ all_of = [{ "body.n" = 5 }, { "body.state" = "new" }] }',
        '{ none_of = [{ "body.n" = 1 }, { "body.n" = 5 }] }',
    ],
)
def test_a_condition_that_does_not_hold(table):
    assert not match(table).matches(SCOPE)


@pytest.mark.parametrize(
    "table",
    [
        '{ "body.one" = true }',
        '{ "body.yes" = 1 }',
        '{ "body.no" = 0 }',
        '{ "body.one" = { in = [true, "1"] } }',
        '{ "body.n" = "5" }',
        '{ "body.yes" = "true" }',
        '{ "body.n" = { lt = "6" } }',
        '{ "body.state" = { gt = 0 } }',
        '{ "body.yes" = { gte = 1 } }',
        '{ "body.n" = { glob = "*" } }',
        '{ "body.n" = { regex = "5" } }',
        '{ "body.tags" = { contains = true } }',
    ],
)
def test_nothing_is_converted_from_one_type_to_another(table):
    assert not match(table).matches(SCOPE)


def test_D5_a_hostile_regex_costs_no_more_than_its_text():
    hostile = match('{ "body.x" = { regex = "(a+)+$" } }')
    with processor_within(0.05):
        assert not hostile.matches(SCOPE._replace(body={"x": "a" * 26 + "!"}))
        assert not hostile.matches(SCOPE._replace(body={"x": "a" * 100_000 + "!"}))


def test_a_regex_meets_a_lone_surrogate_without_a_crash():
    assert not match('{ "body.x" = { regex = "." } }').matches(SCOPE._replace(body={"x": "\ud800"}))


@pytest.mark.parametrize("hostile", ["{body.state}", "*", "(a+)+$", "%s", "__class__"])
def test_D6_a_payload_is_never_taken_as_a_pattern(hostile):
    table = {"body.x": {"glob": "lit*", "regex": "^literal$"}}
    assert not parse_match(table).matches(SCOPE._replace(body={"x": hostile}))


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("{}", "expected a table"),
        ('{ body.data.state = "x" }', 'must be quoted: write "body.data.state" = "x"'),
        ("{ body.n.gte = 5 }", 'write "body.n" = { gte = 5 }'),
        (
            '{ header.x-env = { not = "a" }, body = { a = 1, b.c = [2] } }',
            'body: a key with dots must be quoted: write "body.a" = 1 and "body.b.c" = [2]',
        ),
        ('{ "bdy.x" = 1 }', "begin with one of"),
        ('{ "body.x" = { gtee = 1 } }', "\"body.x\".gtee: unknown operator 'gtee'; did you mean 'gte'?"),
        ('{ "body.x" = {} }', "found an empty table"),
        ('{ "body.x" = [] }', "expected 1 to 10000 values"),
        ('{ "body.x" = [[1]] }', "found [1]"),
        ('{ "body.x" = 2020-01-01 }', "expected text, a number, true or false"),
        ('{ "body.x" = nan }', "found nan"),
        ('{ "body.x" = { in = "a" } }', "expected a list of values"),
        ('{ "body.x" = { gt = true } }', "expected a number or text"),
        ('{ "body.x" = { gt = [1] } }', "expected a number or text"),
        ('{ "body.x" = { regex = "(" } }', "is no RE2 expression"),
        ('{ "body.x" = { regex = "(?=a)" } }', "has no look-around"),
        ('{ "body.x" = { regex = 3 } }', "expected an RE2 expression"),
        ('{ "body.x" = { glob = "" } }', "expected a text or glob"),
        ('{ "body.x" = { contains = ["a"] } }', "expected one value"),
        ('{ "body.x" = { exists = 1 } }', "expected true or false"),
        ('{ "body.x" = { not = { exists = true } } }', '"body.x".not.exists: exists has no meaning inside not'),
        ('{ "body.x" = { not = { gtt = 1 } } }', '"body.x".not.gtt: unknown operator'),
        ('{ "header.x" = 1 }', 'header.x is always text: write "1" in quotes'),
        ('{ "event.type" = { not = [true] } }', 'event.type is always text: write "true" in quotes'),
        ('{ any_of = { "body.x" = 1 } }', "any_of: expected a list of tables"),
        ('{ any_of = [{ "body.x" = 1 }, 3] }', "any_of[1]: expected a table"),
        ('{ any_of = [{ all_of = [{ "x" = 1 }] }] }', "any_of[0].all_of[0].x: selector 'x'"),
    ],
)
def test_a_bad_match_is_told_with_its_key_path_and_what_to_write(table, told):
    with pytest.raises(ProblemsError) as error:
        match(table)
    assert told in str(error.value)


def test_all_that_is_wrong_with_a_match_is_told_at_once():
    with pytest.raises(ProblemsError) as error:
        match('{ "body.a" = { x = 1, y = 2 }, "nope.b" = 3 }')
    assert [problem.path for problem in error.value.problems] == [("body.a", "x"), ("body.a", "y"), ("nope.b",)]


def test_groups_and_conditions_are_bounded():
    table = {"body.x": 1}
    for _ in range(9):
        table = {"any_of": [table]}
    with pytest.raises(ProblemsError, match="more than 8 deep"):
        parse_match(table)
    with pytest.raises(ProblemsError, match="more than 1000 conditions"):
        parse_match({"any_of": [{f"body.x{number}": 1} for number in range(1001)]})


def test_a_match_explains_each_condition_with_what_was_found():
    found = match(
        '{ "body.state" = ["new"], any_of = [{ "body.items[].id" = { gt = 1 } }], "body.none" = { not = 1 } }'
    )
    assert [str(verdict) for verdict in found.explain(SCOPE)] == [
        'no  body.state in ["new"]; found "done"',
        "yes any_of",
        "  yes body.items[].id gt 1; found 1, 2",
        "yes body.none not 1; found nothing",
    ]


def test_a_match_says_which_selectors_it_reads():
    found = match('{ "body.state" = "x", any_of = [{ "header.x" = "y" }] }')
    assert [selector.text for selector in found.selectors] == ["body.state", "header.x"]


def plan(routes, what=None, scope=SCOPE):
    what = what or event()
    return Router(routes).plan(what, scope._replace(event=what))


def test_each_target_comes_once_with_the_first_route_that_named_it():
    routes = [
        route("wild", ("a", "b"), ["order.*"]),
        route("exact", ("b", "c"), ["order.done"]),
        route("all", ("a", "d")),
        route("other", ("e",), ["order.new"]),
    ]
    assert plan(routes) == (("a", "wild"), ("b", "wild"), ("c", "exact"), ("d", "all"))
    assert plan(routes[::-1])[:2] == (("a", "all"), ("d", "all"))


def test_a_route_takes_only_its_source_versions_and_matches():
    routes = [
        route("source", ("a",), source="other"),
        route("version", ("b",), versions=["2.*"]),
        route("match", ("c",), table={"body.state": "new"}),
        route("ok", ("d",), versions=["1.*"], table={"body.state": "done"}),
    ]
    assert plan(routes) == (("d", "ok"),)
    assert plan(routes, event(version="2.1")) == (("b", "version"),)
    assert plan(routes, event(source="other")) == (("a", "source"),)


def test_an_event_that_no_route_takes_has_no_plan():
    assert plan([]) == ()
    assert plan([route("r", ("a",), ["order.new"])]) == ()
    assert plan([route("r", ("a",))], event(source="unknown")) == ()


def test_a_route_with_exact_types_and_globs_is_planned_once():
    assert plan([route("r", ("a",), ["order.done", "order.*"])]) == (("a", "r"),)


class Counting:
    """Counts how often anything is compared."""

    def __init__(self):
        self.calls = 0

    def pattern(self, globs):
        counting = self

        class CountingPattern(Pattern):
            def matches(self, text):
                counting.calls += 1
                return super().matches(text)

        return CountingPattern(globs)


def test_the_cost_does_not_grow_with_routes_of_other_sources_or_other_types():
    def cost(others):
        counting = Counting()
        mine = Route("mine", "acme", counting.pattern(["order.*"]), counting.pattern(["*"]), None, ("a",))
        exact = Route("exact", "acme", counting.pattern(["order.done"]), counting.pattern(["*"]), None, ("b",))
        foreign = [
            Route(
                f"r{number}",
                f"source{number % 50}",
                counting.pattern(["order.*"]),
                counting.pattern(["*"]),
                None,
                ("x",),
            )
            for number in range(others)
        ]
        typed = [
            Route(f"t{number}", "acme", counting.pattern([f"type.{number}"]), counting.pattern(["*"]), None, ("y",))
            for number in range(others)
        ]
        router = Router([*foreign, mine, *typed, exact])
        counting.calls = 0
        assert router.plan(event(), SCOPE) == (("a", "mine"), ("b", "exact"))
        return counting.calls

    assert cost(0) == cost(10) == cost(10_000)


def test_routes_for_a_type_that_take_no_event_of_it_tell_what_does_not_hold():
    router = Router(
        [
            route("other", ("crm",), events=("refund.*",)),
            route("late", ("crm",), versions=("2.*", "3.*")),
            route("matched", ("crm",), table={"body.state": "open", "body.n": 5, "body.gone": {"exists": True}}),
        ]
    )
    assert router.misses(event(), SCOPE) == [
        ("late", "version 2.*, 3.*", "1.0"),
        ("matched", 'match body.state = "open"', '"done"'),
        ("matched", "match body.gone exists true", "nothing"),
    ]
    assert router.misses(event("check.done", source="nobody"), SCOPE) == []


def test_a_route_that_takes_an_event_misses_nothing():
    taking = route("r", ("crm",), table={"body.state": "done"})
    assert Router([taking]).misses(event(), SCOPE) == []
