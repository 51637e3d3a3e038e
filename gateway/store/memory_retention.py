"""Retention of the memory store: one small batch a call, never unsettled work, the newest event stays."""

from typing import Final

from gateway.core.model import UNSETTLED
from gateway.store.memory_tables import MemoryTables

BATCH: Final = 256


def blank(tables: MemoryTables, below: int, dead_below: int) -> int:
    """Take heads, bodies and parts of requests with ids below `below`, with dead deliveries only below `dead_below`.

    Gives the number of requests.
    """
    old = (number for number in tables.requests if number < below and _holds_bytes(tables, number))
    chosen = [number for number in old if _may_go(tables, number, dead_below)][:BATCH]
    for number in chosen:
        request = tables.requests[number]
        request.head, request.body = b"", None
        for event_id in request.events:
            tables.events[event_id].part = None
    return len(chosen)


def forget(tables: MemoryTables, below: int, dead_below: int) -> int:
    """Remove whole requests with ids below `below`, with dead deliveries only below `dead_below`; give their number."""
    newest = max(tables.events, default=0)
    old = (number for number, request in tables.requests.items() if number < below and request.events[-1] != newest)
    chosen = [number for number in old if _may_go(tables, number, dead_below)][:BATCH]
    for number in chosen:
        tables.remove_request(number)
    return len(chosen)


def expire(tables: MemoryTables, before: int) -> int:
    """Remove keys first seen before `before` by the de-dup clock; give their number."""
    old = [key for key, known in tables.keys.items() if known.at < before][:BATCH]
    for key in old:
        del tables.keys[key]
    return len(old)


def forget_audit(tables: MemoryTables, before: int) -> int:
    """Remove audit entries, and replays that ended, from before `before`; give their number."""
    entries = [row for row in tables.audit if row.at < before]
    ended = [each.id for each in tables.replays.values() if each.ended_at is not None and each.ended_at < before]
    tables.audit = tables.audit[len(entries) :]
    for replay_id in ended:
        del tables.replays[replay_id]
    return len(entries) + len(ended)


def _holds_bytes(tables: MemoryTables, number: int) -> bool:
    """Tell whether there is anything to take; a part may have come back alone."""
    request = tables.requests[number]
    parts = (tables.events[event_id].part for event_id in request.events)
    return bool(request.head or request.body) or any(part is not None for part in parts)


def _may_go(tables: MemoryTables, number: int, dead_below: int) -> bool:
    states = _states(tables, number)
    return not states & UNSETTLED and ("dead" not in states or number < dead_below)


def _states(tables: MemoryTables, number: int) -> set[str]:
    events = (tables.events[event_id] for event_id in tables.requests[number].events)
    return {one.state for stored in events for one in stored.deliveries}
