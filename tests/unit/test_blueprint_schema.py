# ruff: noqa: E501 - a case of a table is one line
import pytest
from blueprint_harness import AUDIT, make_world  # noqa: F401 - the fixture `world`
from hypothesis import given
from hypothesis import strategies as st

from gateway.blueprint.overlap import overlap
from gateway.blueprint.schema import schema
from gateway.core.pattern import Pattern


def references(node):
    if isinstance(node, dict):
        yield from [node["$ref"]] if "$ref" in node else []
        for below in node.values():
            yield from references(below)
    elif isinstance(node, list):
        for below in node:
            yield from references(below)


def test_the_schema_refers_only_to_what_it_holds():
    whole = schema()
    assert whole["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(references(whole)) <= {f"#/$defs/{name}" for name in whole["$defs"]}


def test_the_schema_has_the_options_of_every_kind_and_scheme():
    definitions = schema()["$defs"]
    kinds = {form["properties"]["type"]["const"]: form for form in definitions["Target"]["anyOf"]}
    assert {"url", "send", "retry"} <= set(kinds["http"]["properties"])
    assert (kinds["http"]["required"], kinds["file"]["required"]) == (["type", "url"], ["type"])
    assert {"scheme", "template", "algorithm", "user"} <= set(definitions["Verify"]["properties"])
    assert {"secret", "user"} <= set(definitions["RouteVerify"]["properties"])
    assert not definitions["Verify"]["additionalProperties"]


def test_the_schema_says_nothing_that_toml_cannot():
    text = str(schema())
    assert "'null'" not in text
    assert "x-options" not in text


def test_only_plugins_that_the_configuration_names_are_imported(world):
    world.plugin("unused", 'raise AssertionError("imported")')
    world.build(AUDIT)


@pytest.mark.parametrize(
    ("code", "said"),
    [("1 / 0", "cannot be imported: ZeroDivisionError: division by zero"), ("x = 5", "expected one target, marked")],
)
def test_an_inline_plugin_that_cannot_be_used_is_told_at_the_target_that_names_it(world, code, said):
    world.plugin("broken", code)
    problems = world.problems('[targets.t]\ntype = "broken"\nisolation = "inline"')
    assert problems[0].startswith("config.toml:2:1: [targets.t].type: ")
    assert said in problems[0]


def test_G5_a_plugin_in_a_worker_that_cannot_be_used_is_a_warning(world):
    world.plugin("broken", "1 / 0")
    warnings = world.warnings(AUDIT, '[targets.t]\ntype = "broken"')
    assert any("[targets.t]: plugin 'broken'" in warning and "ZeroDivisionError" in warning for warning in warnings)


GLOBS = st.lists(st.text(st.sampled_from("ab.*"), min_size=1, max_size=6), min_size=1, max_size=2)


@given(GLOBS, GLOBS, st.lists(st.text(st.sampled_from("ab."), max_size=6), max_size=30))
def test_patterns_that_share_a_text_overlap(one, other, texts):
    first, second = Pattern(one), Pattern(other)
    if any(first.matches(text) and second.matches(text) for text in texts):
        assert overlap(first, second)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("order.*", "*.completed", True), ("order.*", "orders.*", False), ("a*c", "ab*", True), ("a", "b", False), ("*", "x", True), ("a*b", "a*c", False), ("a", "ab", False)],
)  # fmt: skip
def test_overlap_of_globs(one, other, expected):
    assert overlap(Pattern([one]), Pattern([other])) is expected
    assert overlap(Pattern([other]), Pattern([one])) is expected
