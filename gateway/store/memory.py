"""The store in this process's memory, for simulations: no file, no thread, durable as long as its tables are kept.

Every call is carried out at once and whole; callers still pass a checkpoint, so that virtual clocks and cancellation
work as with a real store. It passes the same conformance suite as SQLite's.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import trio

from gateway.core.model import Delivery, StoredEvent
from gateway.errors import StoreError
from gateway.runtime import Runtime
from gateway.store.contract import (
    Acceptance,
    AttemptRow,
    Backlog,
    Claim,
    DeliveryQuery,
    DeliveryRow,
    EventQuery,
    EventRow,
    Gate,
    GateKind,
    Keep,
    Ordering,
    Record,
    Rename,
    StoreHealth,
    Taken,
    Verdict,
)
from gateway.store.ids import first_id
from gateway.store.memory_accept import accept
from gateway.store.memory_delivery import MemoryDelivery
from gateway.store.memory_operator import MemoryOperator
from gateway.store.memory_retention import blank, expire, forget, forget_audit
from gateway.store.memory_rows import delivery_row, event_row, selects, stored_event
from gateway.store.memory_tables import MemoryTables
from gateway.store.operator import Note
from gateway.store.settings import StoreSettings


class MemoryStore:
    """Keeps the contract of `Store` in plain dictionaries."""

    def __init__(self, runtime: Runtime, settings: StoreSettings, tables: MemoryTables) -> None:
        self._runtime = runtime
        self._settings = settings
        self._tables = tables
        self._opened = runtime.monotonic()
        self._last_commit = self._opened
        self._dedup_base = tables.dedup_ms
        tables.epoch += 1
        self.warnings = tables.catch_up(runtime.now_ms())
        tables.interrupt(runtime.now_ms())
        self.epoch = tables.epoch
        self.operator = MemoryOperator(tables, runtime, self._commit)

    async def accept(self, acceptance: Acceptance) -> tuple[Verdict, ...]:
        """See `Store.accept`."""
        for new in acceptance.events:
            for text in new.event[:4]:
                _checked(text)
        cancelled = await _checkpoint()
        self._tables.dedup_ms = self._dedup_now()
        verdicts = accept(self._tables, acceptance, self._runtime.now_ms(), self.epoch if cancelled is None else None)
        self._commit()
        if cancelled is not None:
            raise cancelled
        return verdicts

    def answer_late(self) -> int:
        """See `Store.answer_late`: nothing waits here."""
        return 0

    async def claim(self, target: str, limit: int, limit_bytes: int, now: int) -> list[Claim]:
        """See `Store.claim`; whoever is cancelled here has claimed nothing."""
        await trio.lowlevel.checkpoint()
        waiting = [one for one in self._active(target) if one.due is not None and one.due <= now]
        waiting = [one for one in waiting if one.expires_at is None or one.expires_at > now]
        claims: list[Claim] = []
        size = 0
        waits = self._tables.lines.holds_back
        last = {(one.event_id, one.n): one.replay is not None and not waits(one) for one in waiting}
        waiting.sort(key=lambda one: (last[one.event_id, one.n], one.due, one.event_id, one.n))
        for one in waiting[:limit]:
            claims.append(self._claim(one))
            size += len(claims[-1].event.payload or b"")
            if size > limit_bytes:
                break
        self._commit()
        return claims

    def _claim(self, one: MemoryDelivery) -> Claim:
        one.state, one.due, one.epoch, one.claims = "in_flight", None, self.epoch, one.claims + 1
        stored = stored_event(self._tables, one.event_id)
        counts = (one.claims, one.attempts, one.interrupted)
        delivery = Delivery(one.event_id, one.n, one.target, one.route, *counts, one.progress, stored.accepted_at)
        delivery = delivery._replace(waited=one.waited, expires_at=one.expires_at)
        return Claim(delivery, stored)

    def record(self, records: Sequence[Record], settled: Callable[[Sequence[Taken]], None]) -> None:
        """See `Store.record`; `settled` is called at the next turn of the trio loop."""
        now = self._runtime.now_ms()
        taken = [self._tables.record(record, self.epoch, now) for record in records]
        self._commit()
        trio.lowlevel.current_trio_token().run_sync_soon(settled, taken)

    def backlog(self, target: str) -> Backlog:
        """See `Store.backlog`."""
        counts = {"pending": 0, "in_flight": 0, "dead": 0}
        next_due = None
        for one in self._active(target):
            counts[one.state] += 1
            if one.due is not None and (next_due is None or one.due < next_due):
                next_due = one.due
        waiting = sum(one.state == "pending" and one.due is None for one in self._active(target))
        return Backlog(**counts, next_due=next_due, waiting=waiting)

    def targets(self) -> list[str]:
        """See `Store.targets`."""
        return sorted(target for target, active in self._tables.active.items() if active)

    async def gates(self) -> list[Gate]:
        """See `Store.gates`."""
        await trio.lowlevel.checkpoint()
        return sorted(self._tables.gates.values(), key=lambda gate: (gate.target, gate.kind))

    async def close_gate(self, gate: Gate) -> None:
        """See `Store.close_gate`."""
        await trio.lowlevel.checkpoint()
        self._tables.gates[gate.target, gate.kind] = gate
        self._commit()

    async def open_gate(self, target: str, kind: GateKind) -> bool:
        """See `Store.open_gate`."""
        await trio.lowlevel.checkpoint()
        self._commit()
        return self._tables.gates.pop((target, kind), None) is not None

    async def step_back(self, by_ms: int, now: int) -> int:
        """See `Store.step_back`."""
        await trio.lowlevel.checkpoint()
        self._commit()
        return self._tables.step_back(by_ms, now)

    async def step_forward(self, by_ms: int, now: int, since_ms: int) -> int:
        """See `Store.step_forward`."""
        await trio.lowlevel.checkpoint()
        self._commit()
        return self._tables.step_forward(by_ms, now, since_ms)

    async def expire(self, now: int) -> dict[str, int]:
        """See `Store.expire`."""
        await trio.lowlevel.checkpoint()
        told = self._tables.expire(now)
        self._commit()
        return told

    async def set_ordering(
        self, target: str, ordering: Ordering | None, key_of: Callable[[StoredEvent], bytes | None]
    ) -> int:
        """See `Store.set_ordering`."""
        await trio.lowlevel.checkpoint()
        self._tables.dedup_ms = self._dedup_now()
        count = self._tables.set_ordering(
            target, ordering, lambda event_id: key_of(stored_event(self._tables, event_id)), self._runtime.now_ms()
        )
        self._commit()
        return count

    async def event(self, event_id: int) -> StoredEvent | None:
        """See `Store.event`."""
        await trio.lowlevel.checkpoint()
        return stored_event(self._tables, event_id) if event_id in self._tables.events else None

    async def events(self, query: EventQuery) -> list[EventRow]:
        """See `Store.events`."""
        await trio.lowlevel.checkpoint()
        found = (
            event_row(event_id, stored)
            for event_id, stored in sorted(self._tables.events.items(), reverse=True)
            if query.before is None or event_id < query.before
        )
        return [row for row in found if selects(query, row)][: max(query.limit, 0)]

    async def deliveries(self, query: DeliveryQuery) -> list[DeliveryRow]:
        """See `Store.deliveries`."""
        await trio.lowlevel.checkpoint()
        found = list(self._tables.newest_first(query))[: max(query.limit, 0)]
        return [delivery_row(one, self._tables) for one in found]

    async def attempts(self, event_id: int, n: int) -> list[AttemptRow]:
        """See `Store.attempts`."""
        await trio.lowlevel.checkpoint()
        one = self._tables.find(event_id, n)
        return [] if one is None else list(one.tries)

    async def rename(self, renames: Sequence[Rename]) -> list[Rename]:
        """See `Store.rename`."""
        await trio.lowlevel.checkpoint()
        self._commit()
        return [each for each in renames if self._rename(each)]

    def _rename(self, wanted: Rename) -> bool:
        tables, (kind, formerly, name, notes) = self._tables, wanted
        done = (tables.rename_target if kind == "target" else tables.rename_source)(formerly, name)
        if done:
            for old, new in notes:
                if old in tables.notes:
                    tables.notes[new] = tables.notes.pop(old)
            note = Note("the configuration", f"{kind} {formerly}", f"is {name} now")
            tables.note_done(self._runtime.now_ms(), "rename", note, 1)
        return done

    async def notes(self, prefix: str) -> dict[str, bytes]:
        """See `Store.notes`."""
        await trio.lowlevel.checkpoint()
        return {name: value for name, value in self._tables.notes.items() if name.startswith(prefix)}

    async def keep_notes(self, notes: Mapping[str, bytes | None]) -> None:
        """See `Store.keep_notes`."""
        await trio.lowlevel.checkpoint()
        self._commit()
        for name, value in notes.items():
            if value is None:
                self._tables.notes.pop(name, None)
            else:
                self._tables.notes[name] = value

    async def retain(self, keep: Keep, now: int) -> int:
        """See `Store.retain`."""
        await trio.lowlevel.checkpoint()
        window = max(keep.keys, self._settings.dedup_window_ms)
        removed = (
            blank(self._tables, first_id(now - keep.bodies), first_id(now - keep.dead))
            or forget(self._tables, first_id(now - keep.metadata), first_id(now - keep.dead))
            or expire(self._tables, self._dedup_now() - window)
            or forget_audit(self._tables, now - keep.metadata)
        )
        self._commit()
        return removed

    async def probe(self) -> None:
        """See `Store.probe`."""
        await trio.lowlevel.checkpoint()
        self._commit()

    def health(self) -> StoreHealth:
        """See `Store.health`."""
        return StoreHealth(
            accepting=True,
            reason="",
            last_commit=self._last_commit,
            queued=0,
            queued_bytes=0,
            free_bytes=0,
            disk_bytes=0,
        )

    async def wait_broken(self) -> StoreError:
        """Memory has no I/O errors: waits until cancelled."""
        await trio.sleep_forever()

    def _active(self, target: str) -> list[MemoryDelivery]:
        return list(self._tables.active.get(target, {}).values())

    def _dedup_now(self) -> int:
        return self._dedup_base + int((self._runtime.monotonic() - self._opened) * 1000)

    def _commit(self) -> None:
        self._tables.dedup_ms = self._dedup_now()
        self._tables.relink(self._runtime.now_ms())
        self._last_commit = self._runtime.monotonic()
        self._tables.wall_ms = max(self._tables.wall_ms, self._runtime.now_ms())


async def _checkpoint() -> trio.Cancelled | None:
    """Pass a checkpoint, but let the caller finish what was handed over before it is cancelled."""
    try:
        await trio.lowlevel.checkpoint()
    except trio.Cancelled as cancelled:
        return cancelled
    return None


def _checked(text: str) -> None:
    """Refuse what no real store could keep."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise StoreError(f"the store refused one request: {error}") from error


@asynccontextmanager
async def open_memory(
    runtime: Runtime, settings: StoreSettings, tables: MemoryTables | None = None
) -> AsyncIterator[MemoryStore]:
    """Open a store in memory; on the same `tables` again, it is the same store after a restart."""
    await trio.lowlevel.checkpoint()
    yield MemoryStore(runtime, settings, MemoryTables() if tables is None else tables)
