"""What an operator selects, read in steps that each look at a bounded number of rows, oldest first.

A step first finds how far it goes, by counting rows of one index; then it reads what fits within that stretch. So a
filter that fits nothing costs as little, a step, as one that fits everything.
"""

from contextlib import closing
from typing import Any, Final

from gateway.core.model import StoredEvent
from gateway.store.codes import HOLD_CODES, OUTCOME_CODES, REPLAY_STATE_CODES, REPLAY_STATES, STATE_CODES, NameKind
from gateway.store.ids import ID_MAX, first_id
from gateway.store.operator import (
    AuditRow,
    CountedEvents,
    DeliveryFilter,
    EventFilter,
    Number,
    Position,
    Replay,
    Replayable,
    ReplayState,
    SelectedDeliveries,
    SelectedEvents,
)
from gateway.store.reads import Reads, glob_of
from gateway.store.statements import load_statements

_SQL: Final = load_statements("operator")
_FIND_NAME: Final = load_statements("interventions")["find_name"]
SCAN: Final = 20_000
"""Rows that one step looks at."""
BYTES: Final = 8 * 1024 * 1024
"""Of requests that one step loads; one event more may come on top."""
LAST_N: Final = 2**31


def select_deliveries(reads: Reads, chosen: DeliveryFilter, after: Position, limit: int) -> SelectedDeliveries:
    """See `Operator.select_deliveries`."""
    low, high = delivery_range(chosen)
    low = max(low, after.event_id)
    target = None
    if chosen.target is not None:
        found = reads.rows(_FIND_NAME, (int(NameKind.TARGET), chosen.target))
        target = found[0][0] if found else -1
    dead = set(chosen.states) == {"dead"} and target is not None
    bound = reads.rows(_SQL["find_dead_bound" if dead else "find_bound"], (low, high, SCAN, *([target] * dead)))
    values = {
        "low": low,
        "high": bound[0][0] if bound else high,
        "event": after.event_id,
        "n": after.n,
        "only": chosen.n,
        "state1": STATE_CODES[chosen.states[0]],
        "state2": STATE_CODES[chosen.states[-1]],
        "target": target,
        "source": chosen.source,
        "type": None if chosen.type_glob is None else glob_of(chosen.type_glob),
        "replay": chosen.replay,
        "outcome": None if chosen.outcome is None else OUTCOME_CODES[chosen.outcome],
        "reason": chosen.reason,
        "limit": limit,
    }
    rows: list[Number] = [
        (event, n) for event, n in reads.rows(_SQL["select_dead" if dead else "select_deliveries"], values)
    ]
    if len(rows) == limit:
        return SelectedDeliveries(rows, Position(*rows[-1]))
    return SelectedDeliveries(rows, Position(bound[0][0], LAST_N) if bound else None)


def count_events(reads: Reads, chosen: EventFilter, after: int) -> CountedEvents:
    """See `Operator.count_events`."""
    if chosen.event_ids:
        return CountedEvents(sum(bool(_rows_of(reads, event_id)) for event_id in chosen.event_ids), None)
    values, bound = _stretch(reads, chosen, after, ID_MAX)
    ((count,),) = reads.rows(_SQL["count_events"], values)
    return CountedEvents(count, bound)


def select_events(reads: Reads, chosen: EventFilter, after: int, last: int, limit: int) -> SelectedEvents:
    """See `Operator.select_events`."""
    if chosen.event_ids:
        return _select_named(reads, chosen.event_ids, after, limit)
    values, bound = _stretch(reads, chosen, after, last)
    events: list[StoredEvent] = []
    size = 0
    with closing(reads.each(_SQL["select_events"], {**values, "limit": limit})) as rows:
        for row in rows:
            events.append(_stored(row))
            size += len(events[-1].head) + len(events[-1].payload or b"")
            if size > BYTES:
                break
    found = [Replayable(event, _targets_of(reads, event.id)) for event in events]
    if len(events) == limit or size > BYTES:
        return SelectedEvents(found, events[-1].id)
    return SelectedEvents(found, bound)


class OperatorReads:
    """What is listed, by a connection's reads."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    def replays(self, limit: int, state: ReplayState | None = None) -> list[Replay]:
        """See `Operator.replays`."""
        code = None if state is None else REPLAY_STATE_CODES[state]
        return [as_replay(row) for row in self._reads.rows(_SQL["replays"], (code, limit))]

    def replay(self, replay_id: str) -> Replay | None:
        """See `Operator.replay`."""
        rows = self._reads.rows(_SQL["replay"], (replay_id,))
        return as_replay(rows[0]) if rows else None

    def audit(self, before: int | None, limit: int) -> list[AuditRow]:
        """See `Operator.audit`."""
        rows = self._reads.rows(_SQL["audit"], (ID_MAX if before is None else before, limit))
        return [AuditRow._make(row) for row in rows]


def as_replay(row: tuple[Any, ...]) -> Replay:
    """Read a row of the table of replays."""
    return Replay._make((*row[:4], REPLAY_STATES[row[4]], *row[5:]))


def delivery_range(chosen: DeliveryFilter) -> tuple[int, int]:
    """Give the lowest and the highest id of events that `chosen` may select."""
    low = 0 if chosen.since is None else first_id(chosen.since)
    high = ID_MAX if chosen.until is None else first_id(chosen.until) - 1
    if chosen.event_id is not None:
        return max(low, chosen.event_id), min(high, chosen.event_id)
    return low, high


def event_range(chosen: EventFilter, after: int, last: int) -> tuple[int, int]:
    """Give the id behind which, and the one up to which, events may be selected."""
    low = after if chosen.since is None else max(after, first_id(chosen.since) - 1)
    return low, last if chosen.until is None else min(last, first_id(chosen.until) - 1)


def _stretch(reads: Reads, chosen: EventFilter, after: int, last: int) -> tuple[dict[str, Any], int | None]:
    """Give the values for one step's statements, and where it ends; None: nothing is behind it."""
    low, high = event_range(chosen, after, last)
    bound = reads.rows(_SQL["find_event_bound"], (low, high, SCAN - 1))
    end = bound[0][0] if bound else None
    values = {
        "after": low,
        "last": high if end is None else end,
        "source": chosen.source,
        "without": chosen.without_source,
        "type": None if chosen.type_glob is None else glob_of(chosen.type_glob),
        "hold": HOLD_CODES[chosen.hold],
    }
    return values, end


def _select_named(reads: Reads, event_ids: tuple[int, ...], after: int, limit: int) -> SelectedEvents:
    found: list[Replayable] = []
    size = 0
    for event_id in event_ids:
        if event_id > after:
            for event in _rows_of(reads, event_id):
                found.append(Replayable(event, _targets_of(reads, event_id)))
                size += len(event.payload or b"")
            if len(found) == limit or size > BYTES:
                return SelectedEvents(found, event_id)
    return SelectedEvents(found, None)


def _rows_of(reads: Reads, event_id: int) -> list[StoredEvent]:
    event = reads.event(event_id)
    return [] if event is None else [event]


def _targets_of(reads: Reads, event_id: int) -> tuple[str, ...]:
    return tuple([text for (text,) in reads.rows(_SQL["targets_of"], (event_id,))])


def _stored(row: tuple[Any, ...]) -> StoredEvent:
    return StoredEvent._make((*row[:7], row[7] or b"", *row[8:]))
