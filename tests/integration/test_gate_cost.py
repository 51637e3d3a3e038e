"""A gate is one row: closing or opening it touches none of the deliveries behind it; see benchmarks/outage.py."""

import apsw
import trio
from dispatch_bench import event_of, opened_store

from gateway.runtime import Runtime
from gateway.store.contract import Acceptance, Gate, NewDelivery, NewEvent

REQUESTS, EVENTS = 40, 500
ALL = "SELECT count(*), total(event * 31 + n), total(due), total(state), total(claims), total(attempts) FROM delivery"


def look(folder):
    """Read beside the store, by the same library: another one would drop its locks."""
    connection = apsw.Connection(str(folder / "hookgate.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return connection.execute(ALL).get, connection.execute("SELECT count(*) FROM gate").get
    finally:
        connection.close()


async def test_closing_and_opening_a_gate_touches_no_delivery_behind_it(tmp_path):
    planned = (NewDelivery("orders", "crm", admitted=False),)
    async with opened_store(tmp_path) as store:
        for request in range(REQUESTS):
            events = tuple(NewEvent(event_of(request * EVENTS + n)[0], None, planned) for n in range(EVENTS))
            await store.accept(Acceptance(b"", b"{}", Runtime().now_ms(), events))
        assert store.backlog("crm").pending == REQUESTS * EVENTS
        deliveries, gates = look(tmp_path)
        assert gates == 0
        with trio.fail_after(30):
            await store.close_gate(Gate("crm", "breaker", 1, 2, "refused"))
        assert look(tmp_path) == (deliveries, 1)
        with trio.fail_after(30):
            assert await store.open_gate("crm", "breaker")
        assert look(tmp_path) == (deliveries, 0)
