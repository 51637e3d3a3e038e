"""What the admin API and a stopped gateway's command line show of the store."""

import base64
from functools import partial

import pytest

from gateway.admin.orders import read_replay
from gateway.admin.queries import BadQueryError, read_delivery_query, read_event_id, read_event_query
from gateway.admin.reading import PAYLOAD_MAX, list_deliveries, list_events, show_delivery, show_event
from gateway.core.head import encode_head
from gateway.core.model import Event, Request, event_text
from gateway.runtime import Runtime
from gateway.store.contract import Acceptance, DeliveryQuery, EventQuery, NewDelivery, NewEvent
from gateway.store.memory import open_memory
from gateway.store.settings import StoreSettings


def acceptance(body=b"{}", targets=("crm", "audit"), key=None):
    request = Request("POST", "/hooks/acme", "a=1", ((b"x-token", b"secret"), (b"x-id", b"7")), body, "192.0.2.1", 5)
    event = Event("acme", "main", "order.done", "2", key, None, None, body[:16].ljust(16), None, None)
    planned = tuple(NewDelivery("all", target, False) for target in targets)
    return Acceptance(encode_head(request, [b"x-token"], []), body, 5, (NewEvent(event, None, planned),))


@pytest.fixture
async def store():
    async with open_memory(Runtime(), StoreSettings()) as store:
        yield store


async def accepted(store, count=1, **about):
    return [(await store.accept(acceptance(**about)))[0].event_id for _ in range(count)]


async def test_pages_of_events_meet_without_gap_or_overlap(store):
    ids = [event_text(each) for each in reversed(await accepted(store, 5))]
    first = await list_events(store, EventQuery(limit=2))
    second = await list_events(store, EventQuery(limit=2, before=read_event_id(first["before"])))
    third = await list_events(store, EventQuery(limit=2, before=read_event_id(second["before"])))
    assert [row["id"] for page in (first, second, third) for row in page["events"]] == ids
    assert third["before"] is None


@pytest.mark.parametrize(("fields", "total"), [({}, 6), ({"target": "crm"}, 3), ({"state": "pending"}, 6)])
@pytest.mark.parametrize("limit", [1, 2, 3, 5])
async def test_pages_of_deliveries_are_full_and_meet_without_gap_or_overlap(store, fields, total, limit):
    await accepted(store, 3)
    pages, before = [], {}
    while before is not None:
        page = await list_deliveries(store, read_delivery_query({**fields, **before, "limit": str(limit)}))
        pages.append([(row["event"], row["n"]) for row in page["deliveries"]])
        before = page["before"] and {"before": page["before"]}
    shown = [row for page in pages for row in page]
    assert len(shown) == len(set(shown)) == total
    assert all(len(page) == limit for page in pages[:-1])


async def test_a_full_page_with_nothing_after_it_names_no_next_one(store):
    await accepted(store, 2)
    assert (await list_events(store, EventQuery(limit=2)))["before"] is None
    assert (await list_deliveries(store, DeliveryQuery(limit=4)))["before"] is None


async def test_an_event_is_shown_with_its_request_without_secrets_and_its_deliveries(store):
    (event_id,) = await accepted(store, body='{"name": "Zoë"}'.encode())
    shown = await show_event(store, event_id)
    assert shown["request"] == {"line": "POST /hooks/acme?a=1", "client": "192.0.2.1", "headers": [["x-id", "7"]]}
    assert shown["payload"] == {"bytes": 16, "cut": False, "text": '{"name": "Zoë"}'}
    assert sorted(row["target"] for row in shown["deliveries"]) == ["audit", "crm"]


async def test_an_event_is_shown_with_why_it_was_held_and_whose_key_it_has(store):
    (first,) = await accepted(store, key=b"k" * 16)
    (second,) = await accepted(store, key=b"k" * 16, body=b'{"other": 1}')
    assert second != first
    shown = await show_event(store, second)
    assert (shown["hold"], shown["replaces"]) == ("conflict", event_text(first))
    assert (await show_event(store, first))["hold"] is None


async def test_a_large_payload_is_cut_and_one_that_is_no_text_is_base64(store):
    large, binary = [(await accepted(store, body=body))[0] for body in (b"x" * (PAYLOAD_MAX + 1), b"\xff\x00")]
    payload = (await show_event(store, large))["payload"]
    assert (payload["bytes"], payload["cut"], len(payload["text"])) == (PAYLOAD_MAX + 1, True, PAYLOAD_MAX)
    assert base64.b64decode((await show_event(store, binary))["payload"]["base64"]) == b"\xff\x00"


async def test_what_is_not_there_is_none(store):
    (event_id,) = await accepted(store)
    assert await show_event(store, event_id + 1) is None
    assert await show_delivery(store, event_id, 9) is None
    assert (await show_delivery(store, event_id, 1))["tries"] == []


@pytest.mark.parametrize(
    ("read", "fields", "problem"),
    [
        (read_event_query, {"limit": "1001"}, "limit: expected a number from 1 to 1000"),
        (read_event_query, {"limit": "-1"}, "limit"),
        (read_event_query, {"limit": "٣"}, "limit"),
        (read_event_query, {"limit": "9" * 5000}, "limit"),
        (read_event_query, {"hold": "x"}, "hold: expected one of unmatched"),
        (read_event_query, {"target": "crm"}, "unknown parameter 'target'"),
        (read_delivery_query, {"state": "late"}, "state: expected one of pending"),
        (
            partial(read_replay, own_source=""),
            {"since": 253_402_300_800_000},
            "since: expected milliseconds since 1970, bef",
        ),
        (read_delivery_query, {"event": "17"}, "event: '17' is no event id"),
        (read_delivery_query, {"event": "evt_8000000000000000"}, "event: 'evt_8000000000000000' is no event id"),
        (read_delivery_query, {"before": "evt_XYZ"}, "before"),
        (read_delivery_query, {"before": "evt_0123456789abcdef:x"}, "before: expected EVENT or EVENT:N"),
    ],
)
def test_a_bad_field_is_told_with_what_was_expected(read, fields, problem):
    with pytest.raises(BadQueryError) as error:
        read(fields)
    assert str(error.value).startswith(problem)
