"""Text in an operator's selection is text: no wildcard, no pattern, no SQL, in either store."""

import pytest
from test_store_conformance import open_store  # noqa: F401 - a fixture is found by name

from gateway.store.contract import DeliveryQuery, EventQuery
from gateway.store.operator import DeliveryFilter, EventFilter, Position
from gateway.testing.store_desk import SETTINGS, Desk, SteppedRuntime

TRICKS = [
    "%",
    "_",
    "50_",
    "5%2",
    "'",
    "'; DROP TABLE delivery; --",
    '" OR 1=1 --',
    "\\",
    "\\%",
    "\0",
    "[0-9]",
    "?*",
    "\N{BOMB}",
]


async def selected(store, trick):
    """What any text field of a selection finds, of deliveries and of events."""
    found = []
    for field in ("target", "source", "type_glob", "reason", "replay"):
        chosen = DeliveryFilter(("dead",))._replace(**{field: trick})
        found += (await store.operator.select_deliveries(chosen, Position(0, 0), 10)).found
    for field in ("source", "type_glob"):
        found += (await store.operator.select_events(EventFilter(**{field: trick}), 0, 1 << 62, 10)).found
    found += await store.deliveries(DeliveryQuery(target=trick))
    found += await store.events(EventQuery(source=trick))
    return found


@pytest.mark.parametrize("trick", TRICKS)
async def test_O1_no_text_in_a_selection_means_more_than_itself(open_store, trick):  # noqa: F811
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        event_id = await desk.make_dead("502 from upstream")
        assert await selected(store, trick) == []
        assert [row.id for row in await store.events(EventQuery())] == [event_id]


async def test_O2_a_text_is_found_as_it_was_written(open_store):  # noqa: F811
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        ids = {}
        for trick in TRICKS:
            ids[trick] = await desk.accept_one(trick)
            (claim,) = await desk.claim()
            await desk.record(desk.ended(claim.delivery, "dead", f"said <{trick}> today"))
        for trick, event_id in ids.items():
            chosen = DeliveryFilter(("dead",), reason=f"<{trick}>")
            assert await desk.select(chosen) == [(event_id, 0)], trick
