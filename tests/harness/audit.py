"""Opens a store as the next start would and says what is in it, for the total-queue checker."""

import json
from pathlib import Path
from typing import NamedTuple

from gateway.runtime import Runtime
from gateway.store.contract import DeliveryQuery, EventQuery
from gateway.store.settings import StoreSettings
from gateway.store.sqlite import open_sqlite

SETTINGS = StoreSettings(low_water_bytes=0, reserve_bytes=0)


class Found(NamedTuple):
    """What a start finds."""

    orders: dict[str, str]
    """The state of its first delivery by the name of each Truework event."""
    delivered: dict[str, set[str]]
    """By target, the names of those that it has, as the store believes."""
    faults: list[str]
    """What contradicts itself: an event with another number of deliveries, or one that is there twice."""


async def open_and_look(database: Path, deliveries: int = 1) -> Found:
    """Recover the store and list it. Raises StoreError if it cannot be opened."""
    orders, delivered, faults = dict[str, str](), dict[str, set[str]](), list[str]()
    async with open_sqlite(database, Runtime(), SETTINGS) as store:
        for row in await store.events(EventQuery(source="truework", limit=1000)):
            event = await store.event(row.id)
            if event is None:
                faults.append(f"event {row.id} is listed and not there")
                continue
            name = json.loads(event.payload or b"{}")["data"]["order_id"]
            made = await store.deliveries(DeliveryQuery(event_id=row.id))
            states = [each.state for each in made]
            for each in made:
                if each.state == "delivered":
                    delivered.setdefault(each.target, set()).add(name)
            if name in orders or len(states) != deliveries:
                faults.append(f"{name}: {states}")
            orders[name] = states[0] if states else "none"
    return Found(orders, delivered, faults)
