"""What orders a target is another rule where a source's identify rule makes other values of what is read, not else."""

import pytest
from blueprint_harness import AUDIT, make_world  # noqa: F401 - a fixture

from gateway.blueprint.shapes import shape
from gateway.core.selector import parse_selector

SOURCE = """
[sources.acme]
provider = "generic"
verify = { scheme = "token", header = "X-Token" }
identify = { type = "body.t", id = "body.id", fields = { who = ["header.X-Who", "body.order.customer"] }MORE }
credentials.main = { secret = { file = "one" } }
[routes.all]
source = "acme"
targets = ["audit"]
"""
BY_VERSION = ', version = "body.v", versions = { "1.*" = { %s } }'
ALIASES = 'aliases = { "body.%s" = { a = "A" } }'


def rule_of(world, more, by):
    built = world.build(SOURCE.replace("MORE", more), f'{AUDIT}order_by = "{by}"\n')
    return built.targets["audit"].order.rule


@pytest.mark.parametrize("by", ["body.order.customer", "event.who"])
@pytest.mark.parametrize(
    "more",
    [
        ", " + ALIASES % "order.customer",
        ", " + ALIASES % "order.customer[].name",
        ", " + ALIASES % "order.customer.0.name",
        ', aliases = { "claims.order.customer" = { a = "A" } }',
        BY_VERSION % (ALIASES % "order.customer"),
        ', json_texts = ["order"]',
        ', format = "xml"',
        ', format = "xml", lists = ["customer"]',
    ],
)
def test_what_an_identify_rule_makes_of_the_value_is_a_part_of_the_rule(world, more, by):
    plain, changed = rule_of(world, "", by), rule_of(world, more, by)
    assert changed.startswith(plain)
    assert changed != plain


@pytest.mark.parametrize(
    ("more", "by"),
    [
        (", " + ALIASES % "order.state", "body.order.customer"),
        (", " + ALIASES % "order.customer", "header.X-Customer"),
        (", " + ALIASES % "order.customer", "event.type"),
        (', json_texts = ["payload"]', "body.order.customer"),
        (', type_aliases = { a = "b" }', "body.order.customer"),
        (', unwrap = "body.order"', "body.order.customer"),
        (', split = "body.orders[]"', "body.order.customer"),
        (BY_VERSION % 'type = "body.kind"', "body.order.customer"),
    ],
)
def test_what_it_says_of_anything_else_is_none(world, more, by):
    assert rule_of(world, more, by) == rule_of(world, "", by)


def test_tables_are_compared_by_what_they_say_and_versions_in_their_order():
    by = [parse_selector("body.a.b")]
    one, two = {"body.a": {"x": "y"}, "body.a.b": {"x": "z"}}, {"body.a.b": {"x": "z"}, "body.a": {"x": "y"}}
    assert shape({"aliases": one}, by) == shape({"aliases": two}, by) != shape({"aliases": {"body.a": {"x": "z"}}}, by)
    first, second = (
        {"1.*": {"aliases": one}, "1.2": {"id": "body.i"}},
        {"1.2": {"id": "body.i"}, "1.*": {"aliases": one}},
    )
    assert shape({"versions": first}, by) != shape({"versions": second}, by) != ""
    assert shape({"aliases": None, "versions": {}, "json_texts": None, "lists": None}, by) == ""


def test_the_whole_body_is_read_by_all_of_them():
    for rule in ({"json_texts": ["a"]}, {"aliases": {"body.a[].b": {"x": "y"}}}):
        assert shape(rule, [parse_selector("body")]) != ""
