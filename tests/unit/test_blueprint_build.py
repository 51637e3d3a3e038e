# ruff: noqa: E501 - a case of a table is one line
import re

import pytest
import trustme
from blueprint_harness import AUDIT, TRUEWORK, make_world  # noqa: F401 - the fixture `world`

from gateway.blueprint import OWN_SOURCE
from gateway.core.identify import identify
from gateway.core.model import Proof, Request
from gateway.core.selector import Scope

ALERTS = 'alerts = { targets = ["audit"] }\n'
ROUTE = '[routes.r]\nsource = "truework"\ntargets = ["audit"]\n'
GENERIC = '[sources.acme]\nprovider = "generic"\nidentify = { type = "body.event", id = "body.id" }\n'
HTTP = '[targets.crm]\ntype = "http"\nurl = "http://10.0.0.5:9000/hooks"\n'


def event_of(source, body):
    request = Request("POST", source.path, "", ((b"content-type", b"application/json"),), body, "", 0)
    return identify(source.identify, source.name, "main", request, Proof())[0]


def test_a_small_configuration_builds_whole(world):
    blueprint = world.build(ALERTS, TRUEWORK, ROUTE, AUDIT)
    source = blueprint.sources["truework"]
    assert blueprint.paths == {"/hooks/truework": source}
    assert [(each.name, each.scheme, each.secret_at) for each in source.credentials] == [("main", "token", "file one")]
    assert (source.body_max, source.ack_status, source.ack_body) == (1024 * 1024, 200, b"")
    assert (blueprint.targets["audit"].type, blueprint.targets["audit"].concurrency) == ("file", 256)
    assert blueprint.warnings == ()


def test_the_gateway_s_own_events_go_to_the_alert_targets(world):
    blueprint = world.build(ALERTS, TRUEWORK, ROUTE, AUDIT)
    event = event_of(blueprint.own_source, b'{"type": "delivery.dead"}')
    scope = Scope(None, None, None, event, OWN_SOURCE)
    assert (event.source, event.type) == (OWN_SOURCE, "delivery.dead")
    assert blueprint.router.plan(event, scope) == (("audit", "alerts"),)
    assert world.build(TRUEWORK, ROUTE, AUDIT).router.plan(event, scope) == ()


def test_what_a_source_writes_wins_over_its_preset_key_by_key(world):
    more = 'path = "/in"\nbody = "2KiB"\nack = { status = 202, body = "ok" }\nidentify = { type = "body.kind" }\ndedup.key = "body.uid"\n'
    source = world.build(TRUEWORK + more, ROUTE, AUDIT).sources["truework"]
    assert (source.path, source.body_max, source.ack_status, source.ack_body) == ("/in", 2048, 202, b"ok")
    one = event_of(source, b'{"kind": "k", "version": "v", "uid": "1", "x": 1}')
    assert (one.type, one.version) == ("k", "v")
    assert one.key == event_of(source, b'{"kind": "k", "version": "v", "uid": "1", "x": 2}').key


@pytest.mark.parametrize(("written", "kept"), [("id", "id"), ("key", "key")])
def test_an_own_id_or_key_replaces_that_of_the_preset(world, written, kept):
    world.write(
        "presets/mine.toml",
        'title = "Mine"\nverify.scheme = "none"\nidentify = { type = "body.t", id = "body.a", version = "body.v" }\n',
    )
    text = f'[sources.mine]\nprovider = "mine"\nidentify = {{ {written} = "body.b" }}\n[routes.r]\nsource = "mine"\ntargets = ["audit"]\n'
    source = world.build(text, AUDIT).sources["mine"]
    keys = [event_of(source, b'{"t": "t", "v": "1", "a": %d, "b": 5}' % number).key for number in (1, 2)]
    assert keys[0] == keys[1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[routes.r]\nsource = "truwork"\ntargets = ["audit"]', '[routes.r].source: expected the name of a source, found "truwork"; did you mean "truework"?'),
        ('[routes.r]\nsource = "xyz"\ntargets = ["audit"]', "; write [sources.xyz]"),
        ('[routes.r]\nsource = "truework"\ntargets = ["audt"]', '[routes.r].targets[0]: expected the name of a target, found "audt"; did you mean "audit"?'),
        ('[routes.r]\nsource = "truework"\ntargets = ["audit", "audit"]', '[routes.r].targets[1]: "audit" stands here twice'),
        ('[routes.r]\nsource = "truework"\ntargets = ["audit"]\nmatch = { body.state = "x" }', 'a key with dots must be quoted: write "body.state" = "x"'),
        ('[routes.r]\nsource = "truework"\ntargets = ["audit"]\nmatch = { "body.x" = { glb = "x" } }', "[routes.r].match.body.x.glb: unknown operator"),
        ('[routes.alerts]\nsource = "truework"\ntargets = ["audit"]', "the route of the gateway's own events"),
        ('[sources.hookgate]\nprovider = "generic"', "the gateway's own source: choose another name"),
        ('[sources.x]\nprovider = "truwork"', '[sources.x].provider: unknown provider "truwork"; did you mean "truework"?'),
        ('[sources.x]\nprovider = "zzz"', 'write provider = "generic", or a preset presets/zzz.toml'),
        ('[sources.x]\nprovider = "truework"\npath = "/hooks/truework"\ncredentials.a = { secret = { file = "one" } }', '[sources.x].path: "/hooks/truework" is the path of [sources.truework] at config.toml:1:2 too'),
        ('[sources.x]\nprovider = "truework"\nformerly = "truework"\ncredentials.a = { secret = { file = "one" } }', '[sources.x].formerly: "truework" is still a source'),
        ('[sources.x]\nprovider = "truework"', 'expected at least one credential, found none: write credentials.main = { secret = { file = "name" } }'),
        ('[sources.x]\nprovider = "truework"\ncredentials.a = {}', "[sources.x].credentials.a: expected a secret, found none"),
        ('[sources.x]\nprovider = "truework"\ncredentials.a = { secret = { file = "nosuch" } }', "[sources.x].credentials.a.secret: secret file secrets/nosuch: No such file"),
        ('[sources.x]\nprovider = "truework"\ncredentials.a = { secret = { env = "NOSUCH" } }', "environment variable NOSUCH is not set"),
        ('[sources.x]\nprovider = "truework"\nverify = { heder = "X" }\ncredentials.a = { secret = { file = "one" } }', '[sources.x].verify.heder: unknown key; did you mean "header"?'),
        ('[sources.x]\nprovider = "truework"\ncredentials.a = { secret = { file = "one" }, verify = { heder = "X" } }', "[sources.x].credentials.a.verify.heder: unknown key"),
        ('[sources.x]\nprovider = "truework"\nverify = { query = "X" }\ncredentials.a = { secret = { file = "one" } }', "exactly one of header, query and body"),
        ('[sources.x]\nprovider = "truework"\nverify = { min_secret_bytes = 4000 }\ncredentials.a = { secret = { file = "one" } }', "[sources.x].credentials.a"),
        ('[sources.x]\nprovider = "truework"\nverify = { scheme = "hmc" }\ncredentials.a = { secret = { file = "one" } }', '[sources.x].verify.scheme: unknown scheme "hmc"; did you mean "hmac"?'),
        ('[sources.x]\nprovider = "generic"\nidentify.type = "body.t"\ncredentials.a = { secret = { file = "one" } }', "expected a scheme, as the provider has none: installed are "),
        ('[sources.x]\nprovider = "generic"\nidentify.type = "body.t"\nverify.scheme = "none"\ncredentials.a = { secret = { file = "one" } }', "checks no secret"),
        ('[sources.x]\nprovider = "truework"\ncredentials.a = { secret = { file = "one" } }\ncredentials.b = { verify = { scheme = "none" } }', "scheme none lets everybody in"),
        ('[sources.x]\nprovider = "truework"\nidentify = { type = "bdy.x" }\ncredentials.a = { secret = { file = "one" } }', "[sources.x].identify.type: selector 'bdy.x'"),
        ('[sources.x]\nprovider = "truework"\ndedup.key = ["bdy.x"]\ncredentials.a = { secret = { file = "one" } }', "[sources.x].dedup.key[0]: selector 'bdy.x'"),
        ('[sources.x]\nprovider = "truework"\nbody = "2MiB"\ncredentials.a = { secret = { file = "one" } }\n[server.limits]\nbody_memory = "1MiB"', "is more than [server] limits.body_memory"),
        ('[targets.t]\ntype = "htp"', '[targets.t].type: unknown type "htp"; did you mean "http"?'),
        ('[targets.t]\ntype = "zzz"', 'unknown type "zzz"; installed are email, file, http, shell; a plugin of yours is installed, or a file in plugins'),
        ('[targets.t]\ntype = "file"\npth = "x"\npath = "y"', '[targets.t].pth: unknown key; did you mean "path"?'),
        ('[targets.t]\ntype = "file"\npath = "y"\ntimeot = "1s"', '[targets.t].timeot: unknown key; did you mean "timeout"?'),
        ('[targets.t]\ntype = "file"\npath = 5', "[targets.t].path: expected text in quotes, found 5"),
        ('[targets.t]\ntype = "file"', "[targets.t]: expected either path"),
        ('[targets.t]\ntype = "http"', "[targets.t].url: expected this key, found none"),
        ('[targets.t]\ntype = "file"\npath = "y"\nretry = "pateint"\n[policies.patient]\nfirst = "1s"\nattempts = 5', '[targets.t].retry: unknown policy "pateint"; did you mean "patient"?'),
        ('[targets.t]\ntype = "file"\npath = "y"\nretry = "zzz"', "; known are default, truework, truora"),
        ('[targets.t]\ntype = "file"\npath = "y"\nretry = { delays = ["1m"], factor = 2.0 }', "[targets.t].retry.factor: has a meaning only with first"),
        ('[policies.truora]\ndelays = ["1m"]', "[policies.truora]: is the name of a built-in policy"),
        ('[policies.p]\nfirst = "1m"', "[policies.p]: expected an end: write give_up, attempts or expires"),
        ('[targets.t]\ntype = "file"\npath = "y"\nformerly = "audit"', '[targets.t].formerly: "audit" is still a target'),
        ('[targets.t]\ntype = "file"\npath = "y"\nsend = { template = "no.j2" }', "[targets.t].send.template: template no.j2: cannot be read"),
        ('[targets.t]\ntype = "http"\nurl = "https://a.example/"\ntls = { ca = "/no.pem" }', "[targets.t].tls.ca: TLS file /no.pem: cannot be read"),
        ('[server]\nbind = ["0.0.0.0:80"]', '[server].bind[0]: "0.0.0.0:80" would speak plain HTTP to the network'),
        ('[server]\nbind = ["0.0.0.0:80"]\ntls = { cert = "one.pem" }', "[server].tls.key: expected this key"),
        ('[server]\nbind = ["0.0.0.0:80"]\nbehind_proxy = "yes"', "[server].behind_proxy: expected true or false"),
        ('[server]\nbind = ["0.0.0.0:80"]\nbehind_prox = true', '[server].behind_prox: unknown key; did you mean "behind_proxy"?'),
        ('[server]\nbind = "127.0.0.1:80"\n[targets.t]\ntype = "http"\nurl = "http://127.0.0.1:8080/"', "[server].bind: expected a list"),
        ('[server]\nbind = "127.0.0.1:80"\n[admin]\nbind = "127.0.0.1:8080"\ntoken = { file = "one" }', "[server].bind: expected a list"),
        ('[admin]\nbind = "127.0.0.1:9"\ntoken = "one"', "[admin].token: a secret is never written here"),
        ('[server]\nbind = ["127.0.0.1:80", "127.0.0.1:80"]', "stands here twice"),
        ('[server]\ntls = { cert = "no.pem", key = "no.key" }', "[server].tls: TLS certificate no.pem"),
        ('[admin]\nbind = "0.0.0.0:9"', "open to the network: use a unix socket or a loopback address"),
        ('[admin]\nbind = "127.0.0.1:8080"\ntoken = { file = "one" }', "is an address of [server] bind too"),
        ('[admin]\nbind = "127.0.0.1:9"', "a TCP address needs a token"),
        ('[admin]\nbind = "127.0.0.1:9"\ntoken = { file = "nosuch" }', "[admin].token: secret file secrets/nosuch"),
        ('[store]\nkeep = { bodies = "91d" }', "[store].keep.metadata: expected at least as long as bodies"),
        ('[alerts]\ntargets = ["nobody"]', '[alerts].targets[0]: expected the name of a target, found "nobody"'),
    ],
)  # fmt: skip
def test_C1_what_does_not_fit_together_is_told(world, text, expected):
    found = world.problems(TRUEWORK, ROUTE.replace("[routes.r]", "[routes.main]"), AUDIT, text)
    assert any(expected in problem for problem in found), found
    assert len(found) == 1


def test_C1_what_is_wrong_beside_it_does_not_hide_an_open_listener(world):
    found = world.problems(TRUEWORK, AUDIT, '[server]\nbind = ["0.0.0.0:80"]\nlimits = { body = 1 }')
    assert len(found) == 2, found


def test_C1_problems_of_shape_and_of_meaning_come_in_one_report(world):
    found = world.problems(
        '[routes.r]\nsource = "truwork"\ntargets = ["crm", "t"]', TRUEWORK, "[targets.t]\ntype = 5", "[log]\nx = 1"
    )
    assert len(found) == 4
    assert 'expected the name of a target, found "t"' not in "\n".join(found)


def test_a_broken_section_is_not_complained_of_twice(world):
    found = world.problems("targets = 5\nsources = 5\n", ROUTE)
    assert len(found) == 2
    assert len(world.problems("[policies.p]\nfirst = 5", TRUEWORK, ROUTE, AUDIT + 'retry = "p"')) == 1


def test_all_credentials_and_both_rules_of_a_source_are_checked_though_one_is_wrong(world):
    text = (
        TRUEWORK
        + 'credentials.b = { secret = { file = "x1" } }\ncredentials.c = { secret = { file = "x2" } }\nidentify = { type = "x" }\n'
    )
    assert len(world.problems(text, ROUTE, AUDIT)) == 3


def test_C4_a_world_readable_secret_is_refused_and_its_value_not_told(world):
    (world.folder / "secrets/one").chmod(0o644)
    found = "\n".join(world.problems(TRUEWORK, ROUTE, AUDIT))
    assert "[sources.truework].credentials.main.secret: secret file secrets/one: expected mode" in found
    assert "a-secret-of-enough-bytes" not in found


def test_C4_secrets_show_nowhere_in_a_blueprint(world):
    assert "a-secret-of-enough-bytes" not in repr(world.build(TRUEWORK, ROUTE, AUDIT))


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ('bind = ["127.0.0.1:8080"]', "http://127.0.0.1:8080/x"),
        ('bind = ["127.0.0.1:8080"]', "http://localhost:8080/"),
        ('bind = ["0.0.0.0:80"]\nbehind_proxy = true', "http://127.0.0.1/hooks/truework"),
        ('bind = ["0.0.0.0:80"]\nbehind_proxy = true', "http://localhost/"),
        ('bind = ["[::1]:8080"]', "http://[::1]:8080/"),
        ('bind = ["[::1]:8080"]', "http://hooks.localhost:8080/"),
        ('bind = ["0.0.0.0:80"]\nbehind_proxy = true', "http://127.9.9.9/"),
        ('bind = ["[::]:80"]\nbehind_proxy = true', "http://[::1]/"),
        ('bind = ["unix:/run/x.sock"]', "unix:/run/../run/x.sock:/hooks"),
        ('bind = ["unix:/run/x.sock"]', "unix:/run/x.sock:/hooks"),
        ('bind = ["127.0.0.1:8080"]\n[admin]\nbind = "unix:/run/a.sock"', "unix:/run/a.sock"),
    ],
)
def test_C6_a_target_that_leads_to_our_own_listener_is_refused(world, server, url):
    found = world.problems(f"[server]\n{server}", f'[targets.loop]\ntype = "http"\nurl = "{url}"')
    assert "[targets.loop].url: leads to this gateway's own listener" in found[0]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8081/",
        "http://127.0.0.2:8080/",
        "http://crm.acme.example:8080/",
        "unix:/run/other.sock",
        "https://localhost/",
    ],
)
def test_C6_other_places_on_this_machine_are_targets_like_any(world, url):
    world.build(
        '[server]\nbind = ["127.0.0.1:8080", "unix:/run/x.sock", "fd:http"]',
        f'[targets.crm]\ntype = "http"\nurl = "{url}"',
    )


def test_C7_a_target_may_take_over_the_backlog_of_a_name_that_is_gone(world):
    assert world.build(AUDIT + 'formerly = "old"').targets["audit"].formerly == "old"


def test_a_bind_address_open_to_the_network_is_taken_with_tls_or_a_proxy(world):
    certificate = trustme.CA().issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(world.folder / "cert.pem")
    certificate.private_key_pem.write_to_path(world.folder / "key.pem")
    world.build('[server]\nbind = ["0.0.0.0:443"]\ntls = { cert = "cert.pem", key = "key.pem" }')
    world.build('[server]\nbind = ["0.0.0.0:80"]\nbehind_proxy = true\ntrusted_proxies = ["10.0.0.0/8"]')


def test_the_admin_token_is_read(world):
    blueprint = world.build('[admin]\nbind = "127.0.0.1:9"\ntoken = { file = "one" }')
    assert blueprint.admin_token.reveal() == b"a-secret-of-enough-bytes-one"


def test_none_needs_no_credential_written(world):
    source = world.build(
        GENERIC + 'verify.scheme = "none"', '[routes.a]\nsource = "acme"\ntargets = ["audit"]', AUDIT
    ).sources["acme"]
    assert [(each.name, each.scheme) for each in source.credentials] == [("none", "none")]


def test_another_scheme_than_the_preset_s_begins_without_the_preset_s_options(world):
    text = TRUEWORK + 'verify = { scheme = "hmac", header = "X-Sig" }'
    assert world.build(text, ROUTE, AUDIT).sources["truework"].credentials[0].scheme == "hmac"


PICKY = """
from gateway.plugin import Options, target

@target(Options)
class Picky:
    def __init__(self, options):
        raise ValueError("does not fit")
"""


@pytest.mark.parametrize("isolation", ["worker", "inline"])
def test_options_that_a_kind_cannot_be_built_of_are_told_at_the_target(world, isolation):
    world.plugin("picky", PICKY)
    table = f'[targets.t]\ntype = "picky"\nisolation = "{isolation}"'
    assert world.problems(table) == ["config.toml:1:2: [targets.t]: does not fit"]


def test_a_template_is_a_small_file_that_compiles(world):
    def problem(text):
        world.write("t.j2", text)
        return world.problems(AUDIT + 'send = { template = "t.j2" }')[0]

    assert "[targets.audit].send.template: template t.j2: " in problem("{% if %}")
    assert "expected at most 262144 bytes, found more" in problem("x" * 300_000)


def test_a_target_s_own_figures_win_over_those_of_its_kind(world):
    plan = world.build(HTTP + 'timeout = "5s"\nconcurrency = 3\nretry = "truora"').targets["crm"]
    assert (plan.timeout_seconds, plan.concurrency, plan.policy.delays[0]) == (5.0, 3, 30)


def test_a_policy_of_one_s_own_has_a_name_or_stands_in_the_target(world):
    own = '[policies.p]\ndelays = ["1m"]\nthen = "1h"\ngive_up = "1d"'
    assert world.build(HTTP + 'retry = "p"', own).targets["crm"].policy.then == 3600
    assert world.build(HTTP + 'retry = { first = "1m", give_up = "1d" }').targets["crm"].policy.delays[:2] == (60, 120)


class TestPresets:
    OWN = '[sources.mine]\nprovider = "mine"\ncredentials.a = { secret = { file = "one" } }\n'

    def test_an_own_preset_wins_over_a_built_in_one(self, world):
        world.write(
            "presets/truework.toml",
            'title = "T"\n[verify]\nscheme = "token"\nheader = "X-Mine"\n[identify]\ntype = "body.t"\n',
        )
        source = world.build(TRUEWORK, ROUTE, AUDIT).sources["truework"]
        assert source.credentials[0].verifier.sign(Request("POST", "/", "", (), b"", "", 0)).headers[0][0] == b"x-mine"

    def test_a_broken_preset_is_told_with_its_own_file_and_line(self, world):
        world.write("presets/mine.toml", 'title = "T"\nverfy = {}\n')
        assert world.problems(self.OWN, AUDIT) == ['presets/mine.toml:2:1: verfy: unknown key; did you mean "verify"?']
        world.write("presets/mine.toml", "title = = 1")
        assert world.problems(self.OWN, AUDIT)[0].startswith("presets/mine.toml:1:9: no TOML")

    def test_a_preset_that_two_sources_name_is_told_once(self, world):
        world.write("presets/mine.toml", "titel = 1")
        assert len(world.problems(self.OWN, self.OWN.replace("[sources.mine]", "[sources.other]"))) == 2


FETCHING = '[targets.f]\ntype = "file"\npath = "f"\nfetch = { url = "https://api.acme.example/x", source = "mine"'


class TestWarnings:
    def test_nobody_to_alert(self, world):
        assert world.warnings(TRUEWORK, ROUTE, AUDIT)[0].startswith(
            "config.toml: nobody is told when something needs a person"
        )

    def test_nobody_may_send(self, world):
        assert "no source: every webhook gets 404" in world.warnings(ALERTS, AUDIT)[0]

    def test_keys_that_outlive_the_events_they_stand_for(self, world):
        keep = '[store]\nkeep = { bodies = "1h", metadata = "8h", dead = "8h", keys = "%s" }\n'
        assert world.warnings(ALERTS, TRUEWORK, ROUTE, AUDIT, keep % "8h") == []
        (found,) = world.warnings(ALERTS, TRUEWORK, ROUTE, AUDIT, keep % "9h")
        assert "[store].keep.keys: longer than metadata" in found

    def test_a_credential_that_no_route_covers(self, world):
        text = '[sources.truework]\nprovider = "truework"\ncredentials.main = { secret = { file = "one" }, event = "order.*" }\n'
        assert world.warnings(ALERTS, text, ROUTE + 'event = "*.completed"', AUDIT) == []
        found = world.warnings(ALERTS, text, ROUTE + 'event = "verification_request.*"', AUDIT)
        assert "[sources.truework].credentials.main: no route takes what it speaks for" in found[0]

    def test_an_event_that_the_provider_does_not_send(self, world):
        world.write(
            "presets/mine.toml",
            'title = "Mine"\ntypes = ["order.completed", "order.made"]\nverify.scheme = "none"\nidentify.type = "body.t"\n',
        )
        mine = '[sources.mine]\nprovider = "mine"\n[routes.m]\nsource = "mine"\ntargets = ["audit"]\n'
        assert world.warnings(ALERTS, mine + 'event = "order.*"', AUDIT) == []
        found = world.warnings(ALERTS, mine + 'event = ["order.*", "order.compleeted"]', AUDIT)
        assert 'Mine sends nothing like "order.compleeted"; did you mean "order.completed"?' in found[0]
        assert "it sends order.completed, order.made" in world.warnings(ALERTS, mine + 'event = "zzz"', AUDIT)[0]

    @pytest.mark.parametrize(
        ("extra", "place"),
        [
            ('match = { "event.type" = "order.compleeted" }', "[routes.m].match.event.type"),
            ('match = { "event.type" = ["order.made", "order.compleeted"] }', "[routes.m].match.event.type"),
            ('match = { any_of = [{ "event.type" = { glob = "order.compleeted" } }] }', "[routes.m].match.any_of[0]"),
            ('[sources.mine.credentials.c]\nevent = "order.compleeted"', "[sources.mine].credentials.c.event"),
            (
                FETCHING + ', event = "order.compleeted" }',
                "[targets.f].fetch.event",
            ),
        ],
    )
    def test_an_event_that_the_provider_does_not_send_wherever_it_is_waited_for(self, world, extra, place):
        world.write(
            "presets/mine.toml",
            'title = "Mine"\ntypes = ["order.completed", "order.made"]\nverify.scheme = "none"\nidentify.type = "body.t"\n',
        )
        mine = '[sources.mine]\nprovider = "mine"\n[routes.m]\nsource = "mine"\ntargets = ["audit"]\n'
        found = [each for each in world.warnings(ALERTS, mine + extra, AUDIT) if "order.compleeted" in each]
        (warning,) = found
        assert 'Mine sends nothing like "order.compleeted"; did you mean "order.completed"?' in warning
        assert place in warning

    def test_an_event_that_is_not_wanted_is_no_mistake(self, world):
        world.write(
            "presets/mine.toml",
            'title = "Mine"\ntypes = ["order.*"]\nverify.scheme = "none"\nidentify.type = "body.t"\n',
        )
        mine = (
            '[sources.mine]\nprovider = "mine"\n[routes.m]\nsource = "mine"\ntargets = ["audit"]\nevent = "order.new"\n'
        )
        match = 'match = { "event.type" = { not = "invoice.paid" }, none_of = [{ "event.type" = "x" }] }'
        assert world.warnings(ALERTS, mine + match, AUDIT) == []

    def test_tries_that_end_within_the_hour(self, world):
        found = world.warnings(ALERTS, TRUEWORK, ROUTE, AUDIT + 'retry = { delays = ["1m", "2m"] }')
        assert "[targets.audit].retry: tries end after 3m" in found[0]

    @pytest.mark.parametrize(
        "retry",
        [
            'delays = ["2s", "3s"]',
            'delays = ["2s", "3s"]\nretry.give_up = "1m"',
            'delays = ["2s", "3s"]\nretry.attempts = 2',
            'delays = ["2s", "3s"]\nretry.then = "1m"\nretry.attempts = 5',
            'delays = ["2s", "3s"]\nretry.then = "1m"\nretry.give_up = "5m"',
            'first = "1s"\nretry.attempts = 3',
            "attempts = 3",
            'give_up = "1m"',
        ],
    )
    def test_whoever_follows_the_advice_about_tries_is_warned_no_more(self, world, retry):
        lines = dict(each.split(" = ", 1) for each in f"retry.{retry}".splitlines())
        (warning,) = world.warnings(
            ALERTS, TRUEWORK, ROUTE, AUDIT + "\n".join(f"{key} = {value}" for key, value in lines.items())
        )
        advice = warning.partition("; write ")[2]
        for gone in re.findall(r"in place of (\w+)", advice):
            del lines[f"retry.{gone}"]
        lines |= {f"retry.{key}": value for key, value in re.findall(r'(\w+) = ("\w+")', advice)}
        assert (
            world.warnings(
                ALERTS, TRUEWORK, ROUTE, AUDIT + "\n".join(f"{key} = {value}" for key, value in lines.items())
            )
            == []
        )

    def test_a_proxy_whose_word_is_not_taken(self, world):
        found = world.warnings(ALERTS, TRUEWORK, ROUTE, AUDIT, "[server]\nbehind_proxy = true")
        assert "without trusted_proxies every sender counts as the proxy" in found[0]

    def test_a_name_that_only_a_proxy_looks_up(self, world):
        proxied = HTTP + 'proxy = "http://10.0.0.9:3128"\n'
        assert world.warnings(ALERTS, TRUEWORK, ROUTE, AUDIT, proxied) == [], "an address needs no look-up"
        named = proxied.replace("10.0.0.5", "crm.acme.example")
        (found,) = world.warnings(ALERTS, TRUEWORK, ROUTE, AUDIT, named)
        assert "[targets.crm].proxy: it looks up crm.acme.example itself" in found
        assert world.warnings(ALERTS, TRUEWORK, ROUTE, AUDIT, named + 'allow = ["public"]') == []


def test_mail_and_programs_are_replayed_to_only_by_name_unless_it_is_written(world):
    shell = '[targets.run]\ntype = "shell"\ncommand = ["/bin/true"]\ntimeout = "5s"\nexec = "daemon"\n'
    mail = '[smtp]\nhost = "127.0.0.1"\nfrom = "a@b.example"\n[targets.mail]\ntype = "email"\nto = ["c@d.example"]\nsubject = "x"\n'
    targets = world.build(TRUEWORK, ROUTE, AUDIT + 'replay = "never"\n', shell, mail).targets
    assert {name: plan.replay for name, plan in targets.items()} == {"audit": "never", "run": "ask", "mail": "ask"}
    targets = world.build(TRUEWORK, ROUTE, AUDIT, mail + 'replay = "yes"\n').targets
    assert {name: plan.replay for name, plan in targets.items()} == {"audit": "yes", "mail": "yes"}


ORDERED = """
[targets.crm]
type = "http"
url = "http://10.0.0.5:9000/"
order_by = "body.id"
"""


@pytest.mark.parametrize(
    ("more", "expected"),
    [("", ("block", "all")), ('on_dead = "skip"', ("skip", "all")), ('keep = "latest"', ("skip", "latest"))],
)
def test_a_target_that_is_ordered_blocks_at_a_dead_delivery_unless_it_keeps_only_the_latest(world, more, expected):
    order = world.build(ORDERED, more).targets["crm"].order
    assert (order.by.text, order.on_dead, order.keep) == ("body.id", *expected)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (ORDERED.replace("body.id", "claims.id"), "order_by", "claims are not kept"),
        (ORDERED.replace("body.id", "id"), "order_by", "begin with"),
        (ORDERED.replace("order_by", "keep").replace("body.id", "latest"), "keep", "needs order_by"),
        (ORDERED.replace("order_by", "on_dead").replace("body.id", "skip"), "on_dead", "needs order_by"),
        (ORDERED + 'keep = "latest"\non_dead = "block"', "on_dead", "takes the place of a dead one"),
    ],
)
def test_an_order_that_cannot_be_is_refused_at_its_key(world, text, place, words):
    (problem,) = world.problems(text)
    assert f"[targets.crm].{place}: " in str(problem)
    assert words in str(problem)
