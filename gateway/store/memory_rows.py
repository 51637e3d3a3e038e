"""How the memory store shows its rows: the values of the contract, made from what the tables hold."""

from fnmatch import fnmatchcase

from gateway.core.model import UNSETTLED, StoredEvent
from gateway.store.contract import DeliveryRow, EventQuery, EventRow
from gateway.store.memory_delivery import MemoryDelivery
from gateway.store.memory_tables import MemoryEvent, MemoryTables


def stored_event(tables: MemoryTables, event_id: int) -> StoredEvent:
    """Give an event with its request."""
    stored = tables.events[event_id]
    request, event = tables.requests[stored.request], stored.event
    names = (event.source, event.credential, event.type, event.version)
    return StoredEvent(event_id, *names, event.occurred_at, stored.accepted_at, request.head, request.body, stored.part)


def selects(query: EventQuery, row: EventRow) -> bool:
    """Tell whether `query` selects `row`, but for its page."""
    glob = None if query.type_glob is None else query.type_glob.replace("[", "[[]").replace("?", "[?]")
    return (
        (query.source is None or query.source == row.source)
        and (glob is None or fnmatchcase(row.type, glob))
        and (query.hold is None or query.hold == row.hold)
    )


def event_row(event_id: int, stored: MemoryEvent) -> EventRow:
    """Show an event in a list."""
    event, states = stored.event, [one.state for one in stored.deliveries]
    return EventRow(
        event_id,
        *(event.source, event.credential, event.type, event.version),
        stored.accepted_at,
        event.occurred_at,
        stored.hold,
        len(states),
        sum(state in UNSETTLED for state in states),
        states.count("dead"),
        stored.replaces,
    )


def delivery_row(one: MemoryDelivery, tables: MemoryTables) -> DeliveryRow:
    """Show a delivery in a list."""
    stored = tables.events[one.event_id]
    return DeliveryRow(
        one.event_id,
        one.n,
        stored.event.source,
        stored.event.type,
        one.route,
        one.target,
        one.state,
        one.due,
        one.attempts,
        one.claims,
        one.interrupted,
        one.settled_at,
        one.replay,
        one.tries[-1].reason if one.tries else None,
        tables.lines.behind(one),
        one.expires_at,
    )
