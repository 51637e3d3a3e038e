"""`all_of` and `any_of`: several schemes for one credential, and the addresses of scheme `ip`."""

import pytest
from ingress_bench import ORDERS, STATES, parts_of

from gateway.core.model import Request
from gateway.errors import ConfigError
from gateway.store.contract import EventQuery

CONFIG = """
[sources.acme]
provider = "generic"
identify = { type = "body.type" }
VERIFY
[routes.all]
source = "acme"
targets = ["audit"]
[targets.audit]
type = "file"
path = "audit.jsonl"
"""
HMAC = '{ scheme = "hmac", header = "X-Sig" }'
TOKEN = '{ scheme = "token", header = "X-Token", secret = { file = "states" } }'
ALL = f'credentials.main = {{ secret = {{ file = "orders" }}, verify = {{ all_of = [{HMAC}, {TOKEN}] }} }}'
ANY = ALL.replace("all_of", "any_of")
IP = 'verify = { scheme = "ip", ranges = ["192.0.2.0/24", "2001:db8::/32"] }'


def credential(parts):
    return parts.intake.blueprint.sources["acme"].credentials[0]


def unsigned(parts, client="192.0.2.7"):
    headers = ((b"content-type", b"application/json"),)
    return Request("POST", "/hooks/acme", "", headers, b'{"type":"paid"}', client, parts.runtime.now_ms())


def without(request, name):
    return request._replace(headers=tuple(pair for pair in request.headers if pair[0] != name))


async def statuses(parts, *requests):
    return [(await parts.receiver.handle(each)).status for each in requests]


async def test_V1_all_of_takes_only_what_every_scheme_proves_and_stores_no_secret(tmp_path):
    async with parts_of(tmp_path) as parts:
        parts.use(CONFIG.replace("VERIFY", ALL))
        signed = credential(parts).verifier.sign(unsigned(parts))
        wrong = [without(signed, b"x-sig"), without(signed, b"x-token"), signed._replace(body=b'{"type":"other"}')]
        assert await statuses(parts, *wrong) == [401, 401, 401]
        assert await statuses(parts, signed) == [200]
        (row,) = await parts.store.events(EventQuery())
        assert STATES not in (await parts.store.event(row.id)).head
        assert credential(parts).scheme == "all_of(hmac, token)"


async def test_V4_a_proof_that_is_sent_twice_is_none_in_any_combination(tmp_path):
    async with parts_of(tmp_path) as parts:
        for verify in (ALL, ANY):
            parts.use(CONFIG.replace("VERIFY", verify))
            signed = credential(parts).verifier.sign(unsigned(parts))
            twice = signed._replace(headers=signed.headers * 2)
            assert await statuses(parts, twice) == [401], verify
        assert await parts.store.events(EventQuery()) == []


@pytest.mark.parametrize("name", [b"x-forwarded-for", b"x-real-ip", b"forwarded", b"remote-addr", b"true-client-ip"])
async def test_V5_no_header_lends_a_stranger_an_address(tmp_path, name):
    async with parts_of(tmp_path) as parts:
        parts.use(CONFIG.replace("VERIFY", IP))
        stranger = unsigned(parts, "198.51.100.9")
        lent = stranger._replace(headers=(*stranger.headers, (name, b"192.0.2.7")))
        assert await statuses(parts, stranger, lent) == [401, 401]


@pytest.mark.parametrize("client", ["::ffff:192.0.2.7", "192.0.3.7", "2001:db9::1", "", "192.0.2.7.evil", "192.0.2.07"])
async def test_V6_an_address_that_is_nearly_in_range_is_none(tmp_path, client):
    async with parts_of(tmp_path) as parts:
        parts.use(CONFIG.replace("VERIFY", IP))
        expected = 200 if client == "::ffff:192.0.2.7" else 401  # the same host over a socket for both families
        assert await statuses(parts, unsigned(parts, client)) == [expected]


async def test_V2_any_of_takes_what_one_scheme_proves_whichever_it_is(tmp_path):
    async with parts_of(tmp_path) as parts:
        parts.use(CONFIG.replace("VERIFY", ANY))
        signed = credential(parts).verifier.sign(unsigned(parts))
        by_token = unsigned(parts)._replace(headers=((b"x-token", STATES),))
        assert await statuses(parts, signed, by_token) == [200, 200]
        mixed_up = unsigned(parts)._replace(headers=((b"x-token", ORDERS),))
        assert await statuses(parts, unsigned(parts), mixed_up) == [401, 401]


async def test_V3_addresses_prove_the_sender_and_need_no_credential(tmp_path):
    async with parts_of(tmp_path) as parts:
        parts.use(CONFIG.replace("VERIFY", IP))
        inside = ["192.0.2.7", "2001:db8::1", "::ffff:192.0.2.1"]
        outside = ["192.0.3.1", "2001:db9::1", "", "unix", "::ffff:192.0.3.1", "127.0.0.1", "192.0.2.7.evil.example"]
        assert await statuses(parts, *(unsigned(parts, client) for client in inside)) == [200] * len(inside)
        assert await statuses(parts, *(unsigned(parts, client) for client in outside)) == [401] * len(outside)


@pytest.mark.parametrize(
    ("verify", "told"),
    [
        (ALL.replace(HMAC, '{ scheme = "none" }'), "scheme none would let everybody in"),
        (ALL.replace(f"[{HMAC}, {TOKEN}]", f"[{HMAC}]"), "a list of 2 to 8 tables"),
        (ALL.replace("all_of =", 'header = "X", all_of ='), "expected all_of alone"),
        (ALL.replace(HMAC, f"{{ any_of = [{HMAC}, {TOKEN}] }}"), "expected any_of alone"),
        (ALL.replace(HMAC, '"hmac"'), "expected a table"),
        (ALL.replace('scheme = "hmac"', 'scheme = "hmca"'), 'unknown scheme "hmca"; did you mean "hmac"'),
        (ALL.replace('scheme = "hmac"', "scheme = { file = 5 }"), "expected the name of a scheme as text"),
        (ALL.replace('header = "X-Sig"', 'heder = "X-Sig"'), "heder"),
        (ALL.replace('{ file = "states" }', '{ file = "nowhere" }'), "nowhere"),
        (ALL.replace('{ file = "states" }', '{ fil = "states" }'), "secret"),
        (IP.replace("192.0.2.0/24", "192.0.2.1/24"), "expected a network such as"),
        (IP + '\ncredentials.main = { secret = { file = "orders" } }', "checks no secret"),
        (ALL.replace(TOKEN, '{ scheme = "ip", ranges = ["::1"], secret = { file = "states" } }'), "checks no secret"),
    ],
)
async def test_what_is_wrong_with_a_combination_is_told_with_its_place(tmp_path, verify, told):
    async with parts_of(tmp_path) as parts:
        with pytest.raises(ConfigError) as found:
            parts.use(CONFIG.replace("VERIFY", verify))
        assert told in "\n".join(map(str, found.value.problems))


async def test_a_combination_of_the_preset_gives_way_to_a_scheme_that_the_operator_writes(tmp_path):
    (tmp_path / "presets").mkdir()
    either = '[{ scheme = "hmac", header = "X-Sig" }, { scheme = "token", header = "X-T" }]'
    (tmp_path / "presets/acme.toml").write_text(f'title = "Acme"\nverify.any_of = {either}\n')
    config = CONFIG.replace("generic", "acme")
    main = 'credentials.main = { secret = { file = "orders" } }'
    async with parts_of(tmp_path) as parts:
        parts.use(config.replace("VERIFY", main))
        assert credential(parts).scheme == "any_of(hmac, token)"
        parts.use(config.replace("VERIFY", main + '\nverify = { scheme = "token", header = "X-T" }'))
        assert credential(parts).scheme == "token"
