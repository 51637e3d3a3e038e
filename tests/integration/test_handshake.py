"""Questions that providers ask at set-up: answered from the preset, bounded, and never an event."""

import base64
import hashlib
import hmac
import json
from urllib.parse import quote, unquote

import pytest
from ingress_bench import ORDERS, parts_of

from gateway.core.model import Request
from gateway.errors import ConfigError
from gateway.store.contract import EventQuery

PRESET = """
title = "Acme"
[verify]
scheme = "token"
header = "X-Acme-Token"
[identify]
type = "body.type"
"""
SOURCE = """
[sources.acme]
provider = "acme"
credentials.main = { secret = { file = "orders" } }
MORE
[routes.all]
source = "acme"
targets = ["audit"]
[targets.audit]
type = "file"
path = "audit.jsonl"
"""
META = """
[[handshake]]
name = "subscribe"
methods = ["GET"]
match = { "query.hub" = "subscribe" }
verified = false
token = "query.verify"
body = "{query.challenge}"
"""
X = """
[[handshake]]
name = "crc"
methods = ["GET"]
verified = false
match = { "query.crc_token" = { exists = true } }
[handshake.json]
response_token = { hmac = "{query.crc_token}", encoding = "base64", prefix = "sha256=" }
"""
SLACK = """
[[handshake]]
name = "url_verification"
match = { "body.type" = "url_verification" }
json = { challenge = "{body.challenge}" }
"""
ASANA = """
[[handshake]]
name = "hook_secret"
match = { "header.x-hook-secret" = { exists = true } }
verified = false
status = 204
headers = { X-Hook-Secret = "{header.x-hook-secret}" }
"""
TRELLO = """
[[handshake]]
name = "head"
methods = ["HEAD"]
verified = false
"""


class Door:
    def __init__(self, parts):
        self.parts = parts

    async def ask(self, method, query="", body=b"", **headers):
        pairs = tuple((name.replace("_", "-").encode(), value) for name, value in headers.items())
        admitted = self.parts.receiver.admit(method, "/hooks/acme", pairs)
        if not isinstance(admitted, int):
            return admitted
        return await self.parts.receiver.handle(
            Request(method, "/hooks/acme", query, pairs, body, "192.0.2.7", self.parts.runtime.now_ms())
        )

    async def events(self):
        return await self.parts.store.events(EventQuery())


def door(parts, folder, handshakes, more=""):
    (folder / "presets").mkdir(exist_ok=True)
    (folder / "presets" / "acme.toml").write_text(PRESET + handshakes)
    parts.use(SOURCE.replace("MORE", more))
    return Door(parts)


async def test_W1_a_challenge_is_echoed_as_plain_text_to_whoever_has_the_token(tmp_path):
    async with parts_of(tmp_path) as parts:
        meta = door(parts, tmp_path, META, 'handshake = { secret = { file = "states" } }')
        token = (tmp_path / "secrets" / "states").read_text()
        reply = await meta.ask("GET", f"hub=subscribe&verify={token}&challenge=%3Cb%3E11")
        assert (reply.status, reply.body, reply.content_type) == (200, b"<b>11", "text/plain")
        assert (b"x-content-type-options", b"nosniff") in reply.headers
        assert parts.counters.sources["acme"].shaken == {"subscribe": 1}
        wrong = [await meta.ask("GET", f"hub=subscribe&challenge=1&verify={each}") for each in ("", "x", token + "x")]
        assert [(each.status, each.body) for each in wrong] == [(403, b"forbidden\n")] * 3
        assert (await meta.ask("GET", f"hub=subscribe&challenge=1&verify={token}&verify=x")).status == 403
        assert await meta.events() == []


async def test_without_a_secret_of_its_own_no_token_is_right_and_check_warns(tmp_path):
    async with parts_of(tmp_path) as parts:
        meta = door(parts, tmp_path, META)
        assert (await meta.ask("GET", "hub=subscribe&verify=&challenge=1")).status == 403
        assert any("handshake = { secret" in each for each in parts.intake.blueprint.warnings)


async def test_a_computed_answer_is_signed_with_the_credential(tmp_path):
    async with parts_of(tmp_path) as parts:
        reply = await door(parts, tmp_path, X).ask("GET", "crc_token=abc123")
        digest = base64.b64encode(hmac.new(ORDERS, b"abc123", hashlib.sha256).digest()).decode()
        assert json.loads(reply.body) == {"response_token": f"sha256={digest}"}
        assert reply.content_type == "application/json"


@pytest.mark.parametrize("token", ["%7B%22id%22%3A1%7D", "v0%3A123%3A%7B%7D", "", "a%0Ab", "a" * 257, "a%20b"])
async def test_W2_nothing_that_could_be_an_event_is_signed_for_a_stranger(tmp_path, token):
    async with parts_of(tmp_path) as parts:
        reply = await door(parts, tmp_path, X).ask("GET", f"crc_token={token}")
        assert (reply.status, reply.body) == (400, b"bad request\n")


@pytest.mark.parametrize("text", ["tweet_create_events=1", "tweet_create_events", "12345", "true"])
@pytest.mark.parametrize("kind", [b"application/x-www-form-urlencoded", b"application/json", b"text/plain"])
async def test_W2_what_was_signed_for_a_stranger_is_no_event(tmp_path, text, kind):
    async with parts_of(tmp_path) as parts:
        parts.use(SOURCE.replace("MORE", "").replace('provider = "acme"', 'provider = "x"'))
        stranger = Door(parts)
        signed = json.loads((await stranger.ask("GET", f"crc_token={quote(text)}")).body)["response_token"].encode()
        reply = await stranger.ask("POST", body=text.encode(), content_type=kind, x_twitter_webhooks_signature=signed)
        assert (reply.status, reply.body) == (401, b"unauthorized\n")
        assert await stranger.events() == []


async def test_W2_a_signed_token_is_no_event_without_a_body(tmp_path):
    template = 'verify = { template = "{header.x-at}.{body}" }'
    async with parts_of(tmp_path) as parts:
        parts.use(SOURCE.replace("MORE", template).replace('provider = "acme"', 'provider = "x"'))
        stranger = Door(parts)
        signed = json.loads((await stranger.ask("GET", "crc_token=123.")).body)["response_token"].encode()
        reply = await stranger.ask("POST", body=b"", x_at=b"123", x_twitter_webhooks_signature=signed)
        assert reply.status == 401
        assert await stranger.events() == []


FORM = 'verify = { template = "{sorted_form_params}" }'
HASHED = 'verify = { template = "{header.x-at}.{header.x-hash}", body_hash = "header.x-hash" }'
UNSIGNED = 'verify = { template = "{header.x-token}", unsigned_body = true }'
JWT = 'verify = { scheme = "jwt", header = "X-Jwt", algorithms = ["HS256"], unsigned_body = true }'
EITHER = 'verify = { any_of = [{ scheme = "token", header = "X-T" }, { scheme = "hmac", header = "X-S", MORE }] }'


@pytest.mark.parametrize(
    "verify", [FORM, HASHED, UNSIGNED, JWT, EITHER.replace("MORE", 'template = "{header.x-t}", unsigned_body = true')]
)
async def test_W2_a_scheme_whose_signed_text_may_be_a_token_is_refused_beside_a_handshake_that_signs_one(
    tmp_path, verify
):
    config = SOURCE.replace('provider = "acme"', 'provider = "x"')
    async with parts_of(tmp_path) as parts:
        with pytest.raises(ConfigError) as found:
            parts.use(config.replace("MORE", verify))
        told = "\n".join(map(str, found.value.problems))
        assert "the handshake crc signs a token for whoever asks" in told


@pytest.mark.parametrize(
    "verify",
    [
        'verify = { template = "v0:{header.x-at}:{header.x-hash}", body_hash = "header.x-hash" }',
        'verify = { template = "{url}{sorted_form_params}", url = "https://acme.example/x" }',
        'verify = { scheme = "token", header = "X-T" }',
        EITHER.replace("MORE", 'template = "{header.x-at}.{body}"'),
    ],
)
async def test_W2_a_scheme_that_no_token_can_pass_for_stands_beside_such_a_handshake(tmp_path, verify):
    async with parts_of(tmp_path) as parts:
        parts.use(SOURCE.replace("MORE", verify).replace('provider = "acme"', 'provider = "x"'))
        assert parts.intake.blueprint.sources["acme"].handshakes[0].signs_for_strangers


async def test_a_question_that_is_signed_is_answered_only_when_it_is_genuine(tmp_path):
    body = b'{"type":"url_verification","challenge":"3eZbrw\\"<"}'
    async with parts_of(tmp_path) as parts:
        slack = door(parts, tmp_path, SLACK)
        assert (await slack.ask("POST", body=body, x_acme_token=b"wrong")).status == 401
        reply = await slack.ask("POST", body=body, x_acme_token=ORDERS)
        assert (reply.status, json.loads(reply.body)) == (200, {"challenge": '3eZbrw"<'})
        assert await slack.events() == []
        assert (await slack.ask("POST", body=b'{"type":"message"}', x_acme_token=ORDERS)).status == 200
        assert [row.type for row in await slack.events()] == ["message"]


async def test_W3_a_header_is_echoed_but_nothing_that_would_split_the_answer(tmp_path):
    async with parts_of(tmp_path) as parts:
        asana = door(parts, tmp_path, ASANA)
        reply = await asana.ask("POST", x_hook_secret=b"b537207f20cbfa02")
        assert (reply.status, reply.headers[0]) == (204, (b"x-hook-secret", b"b537207f20cbfa02"))
        for value in (b"a\r\nSet-Cookie: x=1", b"\x00", b"\xff", b" a", b"", b"a" * 5000):
            assert (await asana.ask("POST", x_hook_secret=value)).status == 400


async def test_other_methods_than_those_of_the_handshakes_stay_refused(tmp_path):
    async with parts_of(tmp_path) as parts:
        trello = door(parts, tmp_path, TRELLO)
        assert (await trello.ask("HEAD")).status == 200
        reply = await trello.ask("GET")
        assert (reply.status, reply.headers) == (405, ((b"allow", b"HEAD, POST"),))
        nothing_fits = door(parts, tmp_path, META)
        assert (await nothing_fits.ask("GET", "other=1")).status == 405


async def test_W4_a_body_that_is_no_json_is_no_question(tmp_path):
    unsigned = SLACK.replace("json =", "verified = false\njson =")
    async with parts_of(tmp_path) as parts:
        slack = door(parts, tmp_path, unsigned)
        for body in (b"", b"{", b"[" * 100_000, b'{"type":"url_verification"}'):
            assert (await slack.ask("POST", body=body)).status in (400, 401)
        long = json.dumps({"type": "url_verification", "challenge": "x" * 5000}).encode()
        assert (await slack.ask("POST", body=long)).status == 400


@pytest.mark.parametrize("query", ["crc_token=abc&crc_token=abd", "crc_token=abc&crc%5Ftoken=abd"])
async def test_W5_a_question_that_says_two_things_is_not_answered(tmp_path, query):
    async with parts_of(tmp_path) as parts:
        reply = await door(parts, tmp_path, X).ask("GET", query)
        assert reply.status in {400, 405}
        meta = door(parts, tmp_path, META, 'handshake = { secret = { file = "states" } }')
        token = (tmp_path / "secrets" / "states").read_text()
        reply = await meta.ask("GET", f"hub=subscribe&verify={token}&challenge=1&challenge=2")
        assert reply.status == 400


@pytest.mark.parametrize("challenge", ["%00", "%ff", "%0d%0a%0d%0aHTTP/1.1%20200", "%3Cscript%3E", "a" * 4096])
async def test_W6_whatever_the_challenge_its_echo_is_bounded_plain_text_and_no_header(tmp_path, challenge):
    async with parts_of(tmp_path) as parts:
        meta = door(parts, tmp_path, META, 'handshake = { secret = { file = "states" } }')
        ask = f"hub=subscribe&verify={(tmp_path / 'secrets' / 'states').read_text()}&challenge="
        reply = await meta.ask("GET", ask + challenge)
        assert (reply.status, reply.body) == (200, unquote(challenge).encode())
        assert reply.content_type == "text/plain"
        assert (b"x-content-type-options", b"nosniff") in reply.headers
        assert (await meta.ask("GET", ask + "a" * 4097)).status == 400


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('[[handshake]]\nname = "a"\nverified = false\n', "an unverified POST needs match"),
        ('[[handshake]]\nname = "a"\nbody = "x"\njson = {}\n', "body and json cannot stand together"),
        ('[[handshake]]\nname = "a"\nbody = "{query}"\n', "handshake a: body: selector 'query'"),
        ('[[handshake]]\nname = "a"\njson = { x = { hmac = "{query.a}", algorithm = "md5" } }\n', "json.x: expected"),
        ('[[handshake]]\nname = "a"\nmatch = { "bdy.x" = 1 }\n', "bdy.x"),
        ('[[handshake]]\nname = "a"\ntoken = "token"\n', "handshake a: token: selector"),
        ('[[handshake]]\nname = "a"\nstatus = 302\n', "status"),
    ],
)
async def test_a_preset_that_is_wrong_is_told(tmp_path, written, told):
    async with parts_of(tmp_path) as parts:
        with pytest.raises(ConfigError) as found:
            door(parts, tmp_path, written)
        assert told in "\n".join(found.value.problems)
