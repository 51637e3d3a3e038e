"""The verb *accept* in the memory store's tables: plain dictionaries, the same verdicts as `gateway.store.accept`."""

from gateway.core.model import Event
from gateway.store.contract import Acceptance, NewEvent, Verdict
from gateway.store.memory_tables import MemoryEvent, MemoryKey, MemoryRequest, MemoryTables


def accept(tables: MemoryTables, acceptance: Acceptance, now: int, epoch: int | None) -> tuple[Verdict, ...]:
    """Accept the events of one request; what is admitted is claimed by `epoch`, by nobody if that is None."""
    request = 0
    verdicts: list[Verdict] = []
    for new in acceptance.events:
        verdict, request = _accept(tables, acceptance, new, request, now, epoch)
        verdicts.append(verdict)
    return tuple(verdicts)


def _accept(
    tables: MemoryTables, acceptance: Acceptance, new: NewEvent, request: int, now: int, epoch: int | None
) -> tuple[Verdict, int]:
    event = new.event
    event_id = tables.ids.mint(now)
    if (seen := _seen(tables, event)) is not None:
        return _repeated(tables, acceptance, new, seen, now), request
    rivals = _rivals(tables, new, event_id)
    if rivals.get(event.digest, event_id) != event_id:
        return _repeated(tables, acceptance, new, rivals[event.digest], now), request
    if event.key is not None and event.mark is not None:
        tables.keys.setdefault((event.source, event.mark), MemoryKey(tables.dedup_ms, {event.digest: event_id}))
    replaces = min((rival for rival in rivals.values() if rival != event_id), default=None)
    held = replaces is not None and new.on_conflict == "hold"
    if not request:
        request = event_id
        tables.requests[request] = MemoryRequest(acceptance.head, acceptance.body)
    tables.requests[request].events.append(event_id)
    hold = "conflict" if held else new.hold
    tables.events[event_id] = MemoryEvent(event, request, acceptance.received_at, hold, replaces, event.part)
    if held:
        return Verdict("conflict", event_id), request
    waiting: list[int] = []
    for planned in new.deliveries:
        owner = epoch if planned.admitted else None
        one = tables.add_delivery(event_id, planned, now, owner, acceptance.received_at)
        waiting += [one.n] if planned.admitted and one.state == "pending" and one.due is None else ()
    return Verdict("new", event_id, 0, tuple(waiting)), request


def _repeated(tables: MemoryTables, acceptance: Acceptance, new: NewEvent, first: int, now: int) -> Verdict:
    if new.event.polled:
        return Verdict("duplicate", first)
    revived = tables.act_on_repeat(first, acceptance, new, now)
    return Verdict("duplicate", first, revived)


def _seen(tables: MemoryTables, event: Event) -> int | None:
    """Give the event that `seen_as` finds; None for none, or if the key finds a repeat."""
    if event.key is None or event.seen_as is None:
        return None
    own, seen = (tables.keys.get((event.source, each)) for each in (event.key, event.seen_as))
    return None if seen is None or (own and event.digest in own.events) else min(seen.events.values())


def _rivals(tables: MemoryTables, new: NewEvent, event_id: int) -> dict[bytes, int]:
    """Give the events with this key by digest, this one's own included unless it repeats one of them."""
    event = new.event
    if event.key is None:
        return {}
    known = tables.keys.setdefault((event.source, event.key), MemoryKey(tables.dedup_ms, {}))
    for former, digest in event.former:
        held = tables.keys.get((event.source, former))
        if held is None or digest not in held.events or event.digest in known.events:
            continue
        if former == event.key:
            known.events[event.digest] = held.events[digest]
        elif digest not in held.spent:
            known.events[event.digest] = held.events[digest]
            held.spent.add(digest)
    known.events.setdefault(event.digest, event_id)
    return known.events
