"""CloudEvents over HTTP: the modes of its binding, and the consent of its web hook specification."""

import json

from gateway.core.model import Request

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
