# ruff: noqa: E501 - a case of a table is one line
import pytest
from blueprint_harness import AUDIT, TRUEWORK, make_world  # noqa: F401 - the fixture `world`

from gateway.blueprint import difference


def compared(old, new):
    """The difference for a daemon that was started with `old`."""
    return difference(old, new, old.config)


ROUTE = '[routes.r]\nsource = "truework"\ntargets = ["audit"]\n'


@pytest.fixture
def old(world):
    return world.build(TRUEWORK, ROUTE, AUDIT)


def test_equal_configurations_have_no_difference(world, old):
    assert compared(old, world.build(TRUEWORK, ROUTE, "# a comment\n" + AUDIT)) == []


@pytest.mark.parametrize(
    ("parts", "lines"),
    [
        ((TRUEWORK, ROUTE, AUDIT + '[targets.b]\ntype = "file"\npath = "b"'), ["target b added"]),
        ((TRUEWORK + TRUEWORK.replace("truework]", "t2]"), ROUTE, AUDIT), ["source t2 added"]),
        ((TRUEWORK, AUDIT), ["route r removed"]),
        ((TRUEWORK, ROUTE, AUDIT + 'timeout = "5s"'), ["target audit changed"]),
        ((TRUEWORK, ROUTE, AUDIT + 'retry = "truora"'), ["target audit changed"]),
        ((TRUEWORK, ROUTE + 'event = "order.*"', AUDIT), ["route r changed"]),
        ((TRUEWORK, ROUTE + 'match = { "body.x" = 1 }', AUDIT), ["route r changed"]),
        ((TRUEWORK + 'unmatched = "ignore"', ROUTE, AUDIT), ["source truework changed"]),
        ((TRUEWORK + 'path = "/in"', ROUTE, AUDIT), ["source truework changed"]),
        ((TRUEWORK, ROUTE, AUDIT, '[server.limits]\nbody = "2MiB"'), ["source truework changed"]),
        ((TRUEWORK + 'credentials.b = { secret = { file = "two" } }', ROUTE, AUDIT), ["credential truework.b added"]),
        ((TRUEWORK.replace('"one"', '"two"'), ROUTE, AUDIT), ["credential truework.main changed"]),
        ((TRUEWORK, ROUTE, AUDIT, '[server]\nbind = ["127.0.0.1:1"]'), ["[server] bind changed: takes effect at the next restart"]),
        ((TRUEWORK, ROUTE, AUDIT, '[store]\nlow_water = "1MiB"'), ["[store] changed: takes effect at the next restart"]),
        ((TRUEWORK, ROUTE, AUDIT, '[store]\nkeep.keys = "8d"'), []),
        ((TRUEWORK, ROUTE, AUDIT, '[admin]\nbind = "unix:/run/a"'), ["[admin] changed: takes effect at the next restart"]),
        ((TRUEWORK, ROUTE, AUDIT, '[log]\nlevel = "debug"'), []),
    ],
)  # fmt: skip
def test_a_reload_tells_what_is_new_gone_or_changed_and_what_needs_a_restart(world, old, parts, lines):
    assert compared(old, world.build(*parts)) == lines


def test_a_new_secret_in_the_same_file_is_a_change_that_shows_no_secret(world, old):
    world.secret("one", "another-secret-of-enough-bytes")
    found = compared(old, world.build(TRUEWORK, ROUTE, AUDIT))
    assert found == ["credential truework.main changed"]


def test_a_changed_template_changes_its_target(world):
    def build(text):
        world.write("t.j2", text)
        return world.build(AUDIT + 'send = { template = "t.j2" }')

    assert compared(build("{}"), build("[]")) == ["target audit changed"]


def test_C7_a_removed_source_and_target_are_told(world, old):
    assert compared(old, world.build("")) == ["source truework removed", "route r removed", "target audit removed"]


def test_secrets_that_only_a_restart_can_change_are_told(world, old):
    world.environ["TOKEN"] = "a-secret-of-enough-bytes-env"
    new = world.build(TRUEWORK.replace('file = "one"', 'env = "TOKEN"'), ROUTE, AUDIT)
    assert compared(old, new)[-1] == "credential truework.main keeps its secret (env TOKEN) until the next restart"


def test_what_needs_a_restart_is_told_by_every_reload_until_it_is_as_it_runs(world, old):
    moved = world.build(TRUEWORK, ROUTE, AUDIT, '[server]\nbind = ["127.0.0.1:1"]')
    told = ["[server] bind changed: takes effect at the next restart"]
    assert difference(moved, moved, old.config) == told
    assert difference(moved, old, old.config) == []
