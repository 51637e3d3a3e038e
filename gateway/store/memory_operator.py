"""The operator's part of the memory store; every call is carried out at once and whole."""

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase

import trio

from gateway.core.model import HoldReason
from gateway.runtime import Runtime
from gateway.store.ids import ID_MAX
from gateway.store.memory_delivery import MemoryDelivery
from gateway.store.memory_rows import stored_event
from gateway.store.memory_tables import MemoryEvent, MemoryTables
from gateway.store.operator import (
    Advance,
    AuditRow,
    CountedEvents,
    DeliveryFilter,
    EventFilter,
    Note,
    Number,
    Position,
    Replay,
    Replayable,
    ReplayState,
    SelectedDeliveries,
    SelectedEvents,
)
from gateway.store.selecting import delivery_range, event_range
from gateway.store.values import REASON_MAX


class MemoryOperator:
    """Keeps the contract of `Operator` in the tables of a memory store."""

    def __init__(self, tables: MemoryTables, runtime: Runtime, commit: Callable[[], None]) -> None:
        self._tables = tables
        self._runtime = runtime
        self._commit = commit

    async def select_deliveries(self, chosen: DeliveryFilter, after: Position, limit: int) -> SelectedDeliveries:
        """See `Operator.select_deliveries`."""
        await trio.lowlevel.checkpoint()
        low, high = delivery_range(chosen)
        rows = [
            (event_id, one.n)
            for event_id, stored in sorted(self._tables.events.items())
            if low <= event_id <= high
            for one in stored.deliveries
            if (event_id, one.n) > after and _fits(one, stored, chosen)
        ]
        found: list[Number] = rows[:limit]
        return SelectedDeliveries(found, Position(*found[-1]) if len(rows) > limit else None)

    async def retry(self, deliveries: Sequence[Number], note: Note) -> int:
        """See `Operator.retry`."""
        await trio.lowlevel.checkpoint()
        found = [one for one in self._named(deliveries) if one.state == "dead"]
        for one in found:
            one.revive(self._runtime.now_ms())
            self._tables.refile(one)
        self._done("retry", note, len(found))
        return len(found)

    async def cancel(self, deliveries: Sequence[Number], note: Note) -> int:
        """See `Operator.cancel`."""
        await trio.lowlevel.checkpoint()
        found = [one for one in self._named(deliveries) if one.state in ("pending", "dead")]
        now = self._runtime.now_ms()
        for one in found:
            one.cancel(now, note.reason[:REASON_MAX])
            self._tables.refile(one)
        self._done("cancel", note, len(found))
        return len(found)

    async def count_events(self, chosen: EventFilter, after: int) -> CountedEvents:
        """See `Operator.count_events`."""
        await trio.lowlevel.checkpoint()
        return CountedEvents(len(list(self._events(chosen, after, ID_MAX))), None)

    async def select_events(self, chosen: EventFilter, after: int, last: int, limit: int) -> SelectedEvents:
        """See `Operator.select_events`."""
        await trio.lowlevel.checkpoint()
        ids = list(self._events(chosen, after, last))
        found = [Replayable(stored_event(self._tables, event_id), self._targets_of(event_id)) for event_id in ids]
        return SelectedEvents(found[:limit], ids[limit - 1] if len(ids) > limit else None)

    async def begin_replay(self, replay: Replay) -> Replay | None:
        """See `Operator.begin_replay`."""
        await trio.lowlevel.checkpoint()
        known = self._tables.replays.get(replay.id)
        if known is None:
            self._tables.replays[replay.id] = replay._replace(last=max(self._tables.events, default=0))
            self._commit()
        return known

    async def advance_replay(self, replay_id: str, step: Advance) -> int | None:
        """See `Operator.advance_replay`."""
        await trio.lowlevel.checkpoint()
        replay, now = self._running(replay_id), self._runtime.now_ms()
        if replay is None:
            return None
        fresh = [each for each in step.planned if self._takes(each.event_id, replay_id, step.hold)]
        added = sum(self._tables.plan(event, deliveries, now, replay_id) for event, deliveries in fresh)
        replay = self._tables.replays[replay_id] = replay._replace(
            state="done" if step.done else "running",
            position=step.position,
            events=replay.events + len(fresh),
            added=replay.added + added,
            left_out=replay.left_out + step.left_out,
            passed_over=replay.passed_over + step.passed_over + len(step.planned) - len(fresh),
            ended_at=now if step.done else None,
        )
        if step.done:
            self._tables.note_done(now, "replay", Note(replay.who, replay_id), replay.added)
        self._commit()
        return added

    async def cancel_replay(self, replay_id: str, note: Note) -> Replay | None:
        """See `Operator.cancel_replay`."""
        await trio.lowlevel.checkpoint()
        replay, now = self._running(replay_id), self._runtime.now_ms()
        if replay is None:
            return None
        ended = replay._replace(state="cancelled", ended_at=now, reason=note.reason[:REASON_MAX])
        self._tables.replays[replay_id] = ended
        self._tables.note_done(now, "cancel replay", note._replace(subject=replay_id), ended.added)
        self._commit()
        return ended

    async def replays(self, limit: int, state: ReplayState | None = None) -> list[Replay]:
        """See `Operator.replays`."""
        await trio.lowlevel.checkpoint()
        found = [each for each in self._tables.replays.values() if state in (None, each.state)]
        return sorted(found, key=lambda each: (-each.asked_at, each.id))[:limit]

    async def replay(self, replay_id: str) -> Replay | None:
        """See `Operator.replay`."""
        await trio.lowlevel.checkpoint()
        return self._tables.replays.get(replay_id)

    async def audit(self, before: int | None, limit: int) -> list[AuditRow]:
        """See `Operator.audit`."""
        await trio.lowlevel.checkpoint()
        return [row for row in reversed(self._tables.audit) if before is None or row.id < before][:limit]

    def _named(self, deliveries: Sequence[Number]) -> list[MemoryDelivery]:
        found = (self._tables.find(*number) for number in dict.fromkeys(deliveries))
        return [one for one in found if one is not None]

    def _events(self, chosen: EventFilter, after: int, last: int) -> Iterator[int]:
        if chosen.event_ids:
            yield from (each for each in chosen.event_ids if each > after and each in self._tables.events)
            return
        low, high = event_range(chosen, after, last)
        for event_id, stored in sorted(self._tables.events.items()):
            if low < event_id <= high and _selects(stored, chosen):
                yield event_id

    def _targets_of(self, event_id: int) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.target for one in self._tables.events[event_id].deliveries))

    def _running(self, replay_id: str) -> Replay | None:
        replay = self._tables.replays.get(replay_id)
        return replay if replay is not None and replay.state == "running" else None

    def _takes(self, event_id: int, replay_id: str, hold: HoldReason | None) -> bool:
        stored = self._tables.events.get(event_id)
        if stored is None or (stored.part is None and self._tables.requests[stored.request].body is None):
            return False
        return hold in (None, stored.hold) and all(one.replay != replay_id for one in stored.deliveries)

    def _done(self, action: str, note: Note, count: int) -> None:
        if count:
            self._tables.note_done(self._runtime.now_ms(), action, note, count)
        self._commit()


def _fits(one: MemoryDelivery, stored: MemoryEvent, chosen: DeliveryFilter) -> bool:
    last = one.tries[-1] if one.tries else None
    return (
        one.state in chosen.states
        and chosen.n in (None, one.n)
        and chosen.target in (None, one.target)
        and chosen.source in (None, stored.event.source)
        and chosen.replay in (None, one.replay)
        and (chosen.type_glob is None or _matches(stored.event.type, chosen.type_glob))
        and (chosen.outcome is None or (last is not None and last.outcome == chosen.outcome))
        and (chosen.reason is None or (last is not None and _folded(chosen.reason) in _folded(last.reason)))
    )


def _selects(stored: MemoryEvent, chosen: EventFilter) -> bool:
    return (
        chosen.source in (None, stored.event.source)
        and chosen.without_source != stored.event.source
        and (chosen.type_glob is None or _matches(stored.event.type, chosen.type_glob))
        and chosen.hold in (None, stored.hold)
    )


def _matches(text: str, pattern: str) -> bool:
    return fnmatchcase(text, pattern.replace("[", "[[]").replace("?", "[?]"))


def _folded(text: str) -> bytes:
    """Give the text with ASCII letters in lower case, as SQLite compares."""
    return text.encode().lower()
