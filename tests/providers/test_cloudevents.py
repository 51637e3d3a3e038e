"""CloudEvents over HTTP: the modes of its binding, and the consent of its web hook specification."""

import json
from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from gateway.core.identify import identify
from gateway.core.model import Proof, Request
from gateway.core.selector import Scope, parse_selector

TOKEN = b"a-bearer-token-0123456789"
AUTHORIZATION = (b"authorization", b"Bearer " + TOKEN)


def request(door, body=b"", headers=(), method="POST"):
    return Request(method, door.source.path, "", headers, body, "192.0.2.7", door.runtime.now_ms())


def binary(identity, *more):
    head = {b"ce-specversion": b"1.0", b"ce-id": identity, b"ce-source": b"/orders", b"ce-type": b"order.paid"}
    return (AUTHORIZATION, (b"content-type", b"application/json"), *head.items(), *more)


async def test_in_binary_mode_the_headers_tell_the_event_whatever_its_data_looks_like(open_door):
    async with open_door("cloudevents_http", TOKEN) as door:
        for number, data in enumerate([{"type": "other", "id": "x"}, [{"type": "a"}, {"type": "b"}], "text"]):
            sent = request(door, json.dumps(data).encode(), binary(b"%d" % number))
            assert await door.post(sent) == 202
            assert await door.post(sent) == 202
        assert [row.type for row in await door.events()] == ["order.paid"] * 3


async def test_in_structured_mode_one_id_of_two_sources_is_two_events(open_door):
    async with open_door("cloudevents_http", TOKEN) as door:
        for source in ("/a", "/b", "/a"):
            event = {"specversion": "1.0", "id": "1", "source": source, "type": "order.paid"}
            assert await door.post(request(door, json.dumps(event).encode(), (AUTHORIZATION,))) == 202
        assert len(await door.events()) == 2


async def test_nothing_is_taken_without_the_token(open_door):
    async with open_door("cloudevents_http", TOKEN) as door:
        assert await door.post(request(door, b"{}", binary(b"1")[1:])) == 401
        assert await door.events() == []


async def test_consent_names_the_origin_that_asks_and_the_rate_if_one_is_asked_for(open_door):
    async with open_door("cloudevents_http", TOKEN) as door:
        origin = (b"webhook-request-origin", b"eventemitter.example.com")
        asked = await door.ask(request(door, b"", (origin,), "OPTIONS"))
        assert (asked.status, dict(asked.headers)[b"webhook-allowed-origin"]) == (200, origin[1])
        assert b"webhook-allowed-rate" not in dict(asked.headers)
        rated = await door.ask(request(door, b"", (origin, (b"webhook-request-rate", b"120")), "OPTIONS"))
        assert dict(rated.headers)[b"webhook-allowed-rate"] == b"120"
        assert (await door.ask(request(door, b"", (), "OPTIONS"))).status == 405
        assert await door.events() == []


def written(door, message, *more):
    """Make a request of what the official package writes."""
    headers = tuple((name.lower().encode(), value.encode()) for name, value in message.headers.items())
    return request(door, message.body, (AUTHORIZATION, *headers, *more))


def event(identity="1", source="/orders", data=None, **attributes):
    at = datetime(2031, 1, 2, 3, 4, 5, tzinfo=UTC)
    given = {"id": identity, "source": source, "type": "order.paid", "time": at, **attributes}
    return CloudEvent(given, {"order": 7} if data is None else data)


def batch(door, events, kind=b"application/cloudevents-batch+json"):
    body = json.dumps([json.loads(to_structured_event(each).body) for each in events]).encode()
    return request(door, body, (AUTHORIZATION, (b"content-type", kind)))


@pytest.mark.parametrize("write", [to_binary_event, to_structured_event])
async def test_what_the_official_package_writes_is_one_event_and_its_repeat_none(open_door, write):
    async with open_door("cloudevents_http", TOKEN) as door:
        given = event(subject="Euro € 100 %", tenantid="acme", datacontenttype="application/json")
        for _ in range(2):
            assert await door.post(written(door, write(given))) == 202
        (row,) = await door.events()
        assert (row.type, row.occurred_at) == ("order.paid", 1_925_089_445_000)


async def test_in_binary_mode_the_time_is_the_events_and_not_its_datas(open_door):
    async with open_door("cloudevents_http", TOKEN) as door:
        sent = request(door, b'{"time": "2001-01-01T00:00:00Z"}', binary(b"1", (b"ce-time", b"2031-01-01T00:00:00Z")))
        assert await door.post(sent) == 202
        assert [row.occurred_at for row in await door.events()] == [1_924_992_000_000]


async def test_a_batch_is_an_event_for_each_known_by_source_and_id(open_door):
    async with open_door("cloudevents_http", TOKEN) as door:
        events = [event("1"), event("2"), event("1", "/other"), event("1")]
        assert await door.post(batch(door, events)) == 202
        assert len(await door.events()) == 3, "one of them stands there twice"
        assert (
            await door.post(batch(door, [event("2"), event("3")], b"Application/CloudEvents-Batch+JSON; charset=utf-8"))
            == 202
        )
        assert len(await door.events()) == 4


async def test_D13_a_batch_that_is_none_or_holds_nothing_or_too_much_loses_nobody_s_event(open_door):
    async with open_door("cloudevents_http", TOKEN) as door:
        assert await door.post(batch(door, [])) == 202
        assert await door.events() == []
        assert await door.post(batch(door, [event(str(n)) for n in range(1001)])) == 400
        assert await door.events() == []
        kind = (b"content-type", b"application/cloudevents-batch+json")
        assert await door.post(request(door, b"{broken", (AUTHORIZATION, kind))) == 400
        assert await door.post(request(door, b'[1, null, "x", {}]', (AUTHORIZATION, kind))) == 202
        assert {row.type for row in await door.events()} == {"unknown"}
        one = json.dumps({"id": "9", "source": "/a", "type": "order.paid"}).encode()
        assert await door.post(request(door, one, (AUTHORIZATION, kind))) == 202
        assert [row.type for row in await door.events()].count("order.paid") == 1


async def test_extension_attributes_can_be_selected_in_every_mode(open_door):
    async with open_door("cloudevents_http", TOKEN) as door:
        read = parse_selector("header.ce-tenantid"), parse_selector("body.tenantid")
        seen = []
        for sent in (
            written(door, to_binary_event(event(tenantid="acme"))),
            written(door, to_structured_event(event("2", tenantid="acme"))),
            batch(door, [event("3", tenantid="acme")]),
        ):
            for found in identify(door.source.identify, "s", "c", sent, Proof()):
                scope = Scope(sent, found.body, None, found, "s")
                seen.append(next(value for each in read if (value := each.value(scope)) == "acme"))
        assert seen == ["acme"] * 3
