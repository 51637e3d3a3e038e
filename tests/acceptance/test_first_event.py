"""The real process over real HTTP: Truework and Truora requests as their pages describe them, to server and file."""

import hashlib
import json

import jwt
import pytest

from harness.daemon import running
from harness.senders import Client, post, truework, truora, truora_event, truora_token
from harness.settings import ORDERS_TOKEN, STATES_TOKEN, TRUORA_KEY, Settings
from harness.sink import open_sink

STATE_CHANGE = "verification_request.state.change"


async def _events(daemon, *filters):
    return (await daemon.cli("events", "list", *filters))["events"]


async def test_a_truework_event_reaches_the_http_target_unchanged_and_the_file_under_one_id(home):
    async with open_sink() as sink:
        Settings(home, crm=sink.url).write()
        async with running(home) as daemon:
            sent = truework("order-1", ORDERS_TOKEN)
            assert (await post(daemon.port, sent)).status == 200
            await sink.wait_taken(1, 30)
            await daemon.wait_settled()
            (event,) = await _events(daemon)
            (arrival,) = sink.arrivals
            (line,) = home.lines("audit.jsonl")
        assert arrival.digest == hashlib.sha256(sent.body).hexdigest()
        assert arrival.headers["content-type"] == "application/json"
        assert event["id"] == arrival.webhook_id == line["id"]
        assert (event["source"], event["credential"], event["type"]) == ("truework", "orders", "order.completed")
        assert (event["version"], event["hold"], event["unsettled"]) == ("2023-10-30", None, 0)
        assert line["type"] == "order.completed"


@pytest.mark.parametrize("wrapping", ["jwt", "text", "json"])
async def test_a_truora_token_is_taken_in_each_way_it_has_been_seen(home, wrapping):
    async with open_sink() as sink:
        Settings(home, crm=sink.url).write()
        async with running(home) as daemon:
            event = truora_event("HKE1")
            assert (await post(daemon.port, truora([event], TRUORA_KEY, wrapping=wrapping))).status == 200
            await sink.wait_taken(1, 30)
            (listed,) = await _events(daemon)
        assert listed["type"] == "digital_identity.identity_process.succeeded"
        assert json.loads(sink.arrivals[0].body) == event


async def test_secrets_of_the_senders_are_stored_nowhere_and_logged_nowhere(home):
    Settings(home).write()
    async with running(home) as daemon:
        assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN))).status == 200
        assert (await post(daemon.port, truework("order-2", STATES_TOKEN))).status == 401
        await daemon.wait_settled()
        shown = json.dumps([await daemon.ask("/status"), await _events(daemon), home.lines("audit.jsonl")])
        assert await daemon.stop() == 0
    kept = b"".join(path.read_bytes() for path in home.state.rglob("*") if path.is_file())
    for secret in (ORDERS_TOKEN, STATES_TOKEN, TRUORA_KEY):
        assert secret not in shown
        assert secret.encode() not in kept + home.stderr.read_bytes()
    assert b"order-1" in kept


FORGED = jwt.encode({"iss": "Truora", "iat": 1795262400, "events": [truora_event("HKE1")]}, "x" * 32, algorithm="HS256")
GENUINE = truora([truora_event("HKE1")], TRUORA_KEY).body.decode()
HEAD, CLAIMS, SIGNATURE = GENUINE.split(".")
REFUSED = {
    "a wrong token": truework("o", "tw-wrong"),
    "an empty token": truework("o", ""),
    "a token that is a prefix of the right one": truework("o", ORDERS_TOKEN[:-1]),
    "the token of orders for a state change": truework("o", ORDERS_TOKEN, event=STATE_CHANGE),
    "the token of state changes for an order": truework("o", STATES_TOKEN),
    "a token for a type that no credential speaks for": truework("o", ORDERS_TOKEN, event="report.created"),
    "the other provider's secret": truework("o", TRUORA_KEY),
    "a JWT signed with another key": truora_token("HKE1", FORGED),
    "a JWT of alg none": truora([truora_event("HKE1")], TRUORA_KEY, algorithm="none"),
    "a JWT of alg none, wrapped": truora([truora_event("HKE1")], TRUORA_KEY, algorithm="none", wrapping="json"),
    "a JWT of another HMAC": truora([truora_event("HKE1")], TRUORA_KEY, algorithm="HS512"),
    "a JWT without its signature": truora_token("HKE1", f"{HEAD}.{CLAIMS}."),
    "a JWT with a changed claim": truora_token("HKE1", f"{HEAD}.{CLAIMS[:-4]}AAAA.{SIGNATURE}"),
    "no JWT at all": truora_token("HKE1", "hello"),
}


async def test_what_is_not_proven_is_answered_401_alike_and_leaves_no_event(home):
    Settings(home).write()
    async with running(home) as daemon:
        answers = {why: await post(daemon.port, request) for why, request in REFUSED.items()}
        assert {why: answer.status for why, answer in answers.items()} == dict.fromkeys(REFUSED, 401)
        assert {answer.body for answer in answers.values()} == {b"unauthorized\n"}
        assert await _events(daemon) == []
        status = await daemon.ask("/status")
        assert sum(status["ingress"]["refused"].values()) == len(REFUSED)
        assert (await post(daemon.port, truora_token("HKE1", GENUINE))).status == 200
        assert len(await _events(daemon)) == 1
    assert home.lines("audit.jsonl")[0]["type"] == "digital_identity.identity_process.succeeded"


async def test_S4_a_repeat_is_answered_2xx_and_delivered_once_also_after_a_restart(home):
    async with open_sink() as sink:
        Settings(home, crm=sink.url).write()
        sent = truework("order-1", ORDERS_TOKEN)
        for _ in range(2):
            async with running(home) as daemon:
                for _ in range(3):
                    assert (await post(daemon.port, sent)).status == 200
                await daemon.wait_settled()
                assert len(await _events(daemon)) == 1
                assert await daemon.stop() == 0
        assert len(sink.arrivals) == 1


async def test_racing_copies_give_one_event(home):
    import trio

    async with open_sink() as sink:
        Settings(home, crm=sink.url).write()
        async with running(home) as daemon:
            statuses = []

            async def race(request):
                statuses.append((await post(daemon.port, request)).status)

            async with trio.open_nursery() as nursery:
                for copy in range(120):
                    nursery.start_soon(race, truework(f"order-{copy % 3}", ORDERS_TOKEN))
            await daemon.wait_settled()
            assert statuses == [200] * 120
            assert len(await _events(daemon)) == 3
        assert len(sink.arrivals) == 3


async def test_a_truora_batch_of_three_with_one_repeat_gives_two_events(home):
    async with open_sink() as sink:
        Settings(home, crm=sink.url).write()
        first, second = truora_event("HKE1"), truora_event("HKE2", action="failed")
        async with running(home) as daemon:
            assert (await post(daemon.port, truora([first, second, first], TRUORA_KEY))).status == 200
            await daemon.wait_settled()
            listed = await _events(daemon)
        assert [event["type"].rpartition(".")[2] for event in listed] == ["failed", "succeeded"]
        assert sorted(json.loads(arrival.body)["id"] for arrival in sink.arrivals) == ["HKE1", "HKE2"]


async def test_J8_the_same_events_under_another_token_are_not_forwarded_again(home):
    Settings(home).write()
    async with running(home) as daemon:
        assert (await post(daemon.port, truora([truora_event("HKE1")], TRUORA_KEY, issued_at=1795262400))).status == 200
        assert (await post(daemon.port, truora([truora_event("HKE1")], TRUORA_KEY, issued_at=1795262430))).status == 200
        await daemon.wait_settled()
        assert len(await _events(daemon)) == 1
    assert len(home.lines("audit.jsonl")) == 1


async def test_S14_a_known_key_with_another_payload_is_recorded_as_a_conflict_and_not_forwarded(home):
    async with open_sink() as sink:
        Settings(home, crm=sink.url).write()
        async with running(home) as daemon:
            assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN))).status == 200
            assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN, metadata={"a": 1}))).status == 200
            await daemon.wait_settled()
            newest, first = await _events(daemon)
            told = await daemon.wait_logged("event.conflict")
            shown = await daemon.cli("events", "show", told[0]["event_id"])
        assert (newest["hold"], newest["deliveries"], newest["replaces"]) == ("conflict", 0, first["id"])
        assert (shown["id"], shown["replaces"]) == (newest["id"], first["id"])
        assert told[0]["source"] == "truework"
        assert len(sink.arrivals) == 1


async def test_events_that_no_rule_expects_are_kept_and_told_but_not_delivered(home):
    Settings(home).write()
    async with running(home) as daemon:
        unseen = truework("order-1", ORDERS_TOKEN, version="2024-02-01")
        unmatched = truora([truora_event("HKE1", type="check", action="finished")], TRUORA_KEY)
        for request in (unseen, unmatched):
            assert (await post(daemon.port, request)).status == 200
        by_hold = {event["hold"]: event for event in await _events(daemon)}
        assert by_hold["version"]["version"] == "2024-02-01"
        assert by_hold["unmatched"]["type"] == "check.finished"
        assert [event["deliveries"] for event in by_hold.values()] == [0, 0]
        await daemon.wait_logged("event.version_unseen")
        (told,) = await daemon.wait_logged("event.unmatched")
        assert told["event_id"] == by_hold["unmatched"]["id"]
        assert (await daemon.cli("events", "show", told["event_id"]))["unmet"] == []
    assert not home.lines("audit.jsonl")


async def test_an_event_whose_match_does_not_hold_is_shown_with_the_route_and_the_condition(home):
    settings = Settings(home)
    settings.write()
    home.write_config(
        settings.text().replace(
            'source = "truework"\nevent', 'source = "truework"\nmatch = { "body.data.state" = "canceled" }\nevent'
        )
    )
    async with running(home) as daemon:
        assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN))).status == 200
        (event,) = await _events(daemon)
        shown = await daemon.cli("events", "show", event["id"])
        assert shown["hold"] == "unmatched"
        unmet = {"route": "orders", "condition": 'match body.data.state = "canceled"', "found": '"completed"'}
        assert shown["unmet"] == [unmet]
        assert await daemon.stop() == 0
        assert (await daemon.cli("events", "show", event["id"]))["unmet"] is None


async def test_a_route_takes_only_the_versions_of_its_glob(home):
    narrow = f"""
[routes.recent]
source = "truework"
version = ["2023-1*"]
targets = ["recent"]
[targets.recent]
type = "file"
path = "{home.files}/recent.jsonl"
"""
    Settings(home, more=narrow).write()
    async with running(home) as daemon:
        for version in ("2023-01-15", "2023-10-30", "2023-12-01"):
            assert (await post(daemon.port, truework(version, ORDERS_TOKEN, version=version))).status == 200
        await daemon.wait_settled()
    assert sorted(line["version"] for line in home.lines("recent.jsonl")) == ["2023-10-30", "2023-12-01"]
    assert len(home.lines("audit.jsonl")) == 3


BODY = truework("order-1", ORDERS_TOKEN, size=0).body
UNREADABLE = {
    "D1 depth": BODY.replace(b'"note": ""', b'"note": ' + b"[" * 100_000 + b"]" * 100_000),
    "D1 digits": BODY.replace(b'"note": ""', b'"note": ' + b"9" * 900_000 + b".5e999999"),
    "D2 duplicate key": BODY.replace(b'"state": "completed"', b'"state": "completed", "state": "canceled"'),
    "D3 NaN": BODY.replace(b'"note": ""', b'"note": NaN'),
    "D3 Infinity": BODY.replace(b'"note": ""', b'"note": Infinity'),
    "D3 1e999": BODY.replace(b'"note": ""', b'"note": 1e999'),
    "not JSON": b"hello",
    "not UTF-8": BODY.replace(b'"note": ""', b'"note": "\xff"'),
}


@pytest.mark.parametrize("why", UNREADABLE)
async def test_D1_D2_D3_a_body_that_is_no_sound_JSON_is_answered_400_and_leaves_no_event(home, why):
    assert UNREADABLE[why] != BODY
    Settings(home).write()
    async with running(home) as daemon:
        with Client(daemon.port) as client:
            answer = await client.send(truework("order-1", ORDERS_TOKEN)._replace(body=UNREADABLE[why]))
            assert (answer.status, answer.body) == (400, b"bad request\n")
            assert (await daemon.ask("/events"))["events"] == []
            assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN))).status == 200


async def test_D6_template_text_in_a_payload_stays_plain_data(home):
    hostile = {"a": "{{ 7*7 }}{event.type}%s{0.__init__}__class__"}
    async with open_sink() as sink:
        Settings(home, crm=sink.url).write()
        async with running(home) as daemon:
            sent = truework("order-1", ORDERS_TOKEN, metadata=hostile)
            assert (await post(daemon.port, sent)).status == 200
            await sink.wait_taken(1, 30)
        assert sink.arrivals[0].body == sent.body
