# ruff: noqa: E501 - a case of a table is one line
import pytest
import tomli
from blueprint_harness import AUDIT, TRUEWORK, make_world  # noqa: F401 - the fixture `world`

from gateway.blueprint.expand import expand
from gateway.errors import ConfigError

VERIFY = 'verify = { secret = { file = "one" } }\n'


def route(name="identity", provider="truora", verify=VERIFY, more=""):
    return f'[routes.{name}]\nprovider = "{provider}"\n{verify}{more}targets = ["audit"]\n'


def test_a_self_contained_route_stands_for_source_credential_and_route(world):
    blueprint = world.build(route(more='event = "digital_identity.*"\nversion = "1.*"\n'), AUDIT)
    source = blueprint.sources["truora"]
    credential = source.credentials[0]
    assert (source.path, source.provider) == ("/hooks/truora", "truora")
    assert (credential.name, credential.scheme) == ("identity", "jwt")
    assert (credential.events.globs, credential.versions.globs) == (("digital_identity.*",), ("1.*",))
    assert blueprint.routes["identity"].source == "truora"
    assert blueprint.routes["identity"].events.globs == ("digital_identity.*",)


def test_the_long_form_is_printed_as_toml(world):
    text = expand(world.load('include = ["more.d/*.toml"]\nalerts = { targets = ["audit"] }\n' + route(), AUDIT))
    assert tomli.loads(text) == {
        "alerts": {"targets": ["audit"]},
        "sources": {"truora": {"provider": "truora", "credentials": {"identity": {"secret": {"file": "one"}}}}},
        "routes": {"identity": {"source": "truora", "targets": ["audit"]}},
        "targets": {"audit": {"type": "file", "path": "audit.jsonl"}},
    }


def test_the_long_form_builds_the_same_blueprint(world):
    short = world.build(route(more='event = "check.*"\n'), route("other", more='event = "signals.*"\n'), AUDIT)
    long = world.build(expand(world.load((world.folder / "config.toml").read_text())))
    assert [each.fingerprint for each in long.sources["truora"].credentials] == [
        each.fingerprint for each in short.sources["truora"].credentials
    ]
    assert {name: plan.fingerprint for name, plan in long.targets.items()} == {
        name: plan.fingerprint for name, plan in short.targets.items()
    }


def test_every_value_that_toml_can_hold_survives_the_long_form(world):
    text = (
        '[routes.r]\nsource = "truework"\ntargets = ["audit"]\n'
        'match = { "body.x" = [1, 2.5, true, "q\\"\\\\ é \\u007f\\n"], "body.y" = { exists = false } }\n'
        '[targets.h]\ntype = "http"\nurl = "http://10.0.0.1/"\nheaders = {}\n'
    )
    loaded = world.load(TRUEWORK, text, AUDIT)
    assert tomli.loads(expand(loaded)) == loaded.data


def test_several_routes_of_one_provider_share_its_path(world):
    source = world.build(route("a"), route("b", verify=VERIFY.replace("one", "two")), AUDIT).sources["truora"]
    assert [(each.name, each.secret_at) for each in source.credentials] == [("a", "file one"), ("b", "file two")]


def test_a_source_and_a_route_of_its_name_are_one_if_their_schemes_agree(world):
    source = '[sources.truora]\nprovider = "truora"\npath = "/in"\ncredentials.main = { secret = { file = "two" } }\n'
    built = world.build(source, route(), AUDIT).sources["truora"]
    assert (built.path, [each.name for each in built.credentials]) == ("/in", ["main", "identity"])


def test_a_scheme_that_needs_no_secret_has_none_in_a_route(world):
    world.write("presets/mine.toml", 'title = "Mine"\nidentify.type = "body.t"\n')
    source = world.build(route("m", "mine", 'verify = { scheme = "none" }\n'), AUDIT).sources["mine"]
    assert [(each.name, each.scheme) for each in source.credentials] == [("m", "none")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '[sources.truora]\nprovider = "truora"\nverify = { algorithm = "HS512" }\ncredentials.main = { secret = { file = "two" } }\n' + route(),
            "[routes.identity].verify: [sources.truora] verifies in another way: write a source of its own, [sources.NAME]",
        ),
        (
            route("a") + route("b", verify='verify = { secret = { file = "one" }, algorithm = "HS384" }\n'),
            "[routes.b].verify: [routes.a] verifies in another way",
        ),
        (
            '[sources.truora]\nprovider = "truework"\ncredentials.main = { secret = { file = "two" } }\n' + route(),
            '[sources.truora] is a source of provider "truework"',
        ),
        (
            '[sources.truora]\nprovider = "truora"\ncredentials.identity = { secret = { file = "two" } }\n' + route(),
            "[routes.identity]: [sources.truora] has a credential of this name",
        ),
        (route(more='source = "truora"\n'), "[routes.identity].provider: stands beside source"),
        (route(verify=""), "expected verify beside provider"),
        ('[routes.identity]\ntargets = ["audit"]\n', "expected source, or provider with verify"),
        ('[routes.identity]\nsource = "x"\n' + VERIFY + 'targets = ["audit"]\n', "[routes.identity].verify: a route with a source takes no verify: move it to [sources.x]"),
        (route(provider="truroa"), '[routes.identity].provider: unknown provider "truroa"; did you mean "truora"?'),
        (route(verify='verify = { secret = { file = "nosuch" } }\n'), "[routes.identity].verify.secret: secret file secrets/nosuch"),
        (route(verify="verify = {}\n"), "[routes.identity].verify: expected a secret, found none"),
        (route(verify='verify = { secret = { file = "one" }, algoritm = "HS256" }\n'), '[routes.identity].verify.algoritm: unknown key; did you mean "algorithm"?'),
        (route(verify='verify = { secret = { file = "one" }, scheme = "jwtt" }\n'), '[routes.identity].verify.scheme: unknown scheme "jwtt"'),
        (route(verify='verify = { secret = { file = "one" }, scheme = "basic" }\n'), "[routes.identity].verify.user: expected this key, found none"),
    ],
)  # fmt: skip
def test_a_route_that_cannot_be_expanded_says_how_to_write_it(world, text, expected):
    found = world.problems(text, AUDIT)
    assert len(found) == 1
    assert expected in found[0]


def test_a_broken_source_is_told_once_and_not_again_for_its_routes(world):
    assert len(world.problems("[sources.truora]\nprovider = 5\n", route(), AUDIT)) == 1


def test_what_cannot_be_expanded_is_not_printed(world):
    with pytest.raises(ConfigError):
        expand(world.load(route(verify=""), AUDIT))
