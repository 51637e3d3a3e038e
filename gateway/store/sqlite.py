"""The store in one SQLite file, as the contract says: each method names what the writer or the reader does for it.

What runs beneath is `engine`; the verbs are in modules of their names. The trio thread never touches the file.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio

from gateway.core.model import StoredEvent
from gateway.errors import StoreError
from gateway.runtime import Runtime
from gateway.store import interventions, reorder, steps
from gateway.store.claim import claim_due
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
from gateway.store.engine import Engine
from gateway.store.expiry import expire_some
from gateway.store.interventions import SLICE
from gateway.store.retention import Retention, requests_of
from gateway.store.settings import StoreSettings
from gateway.store.sqlite_operator import SqliteOperator
from gateway.store.start import start, stop
from gateway.store.worker import Worker


class SqliteStore:
    """Keeps the contract of `Store` with one SQLite file."""

    def __init__(self, engine: Engine, epoch: int, warnings: Sequence[str]) -> None:
        self.epoch = epoch
        self.operator = SqliteOperator(engine)
        self.warnings = tuple(warnings)
        """What was found wrong when the store was opened, for the log and the operator; empty if nothing was."""
        self._engine = engine
        self._retention = Retention()

    async def accept(self, acceptance: Acceptance) -> tuple[Verdict, ...]:
        """See `Store.accept`."""
        return await self._engine.accept(acceptance)

    def answer_late(self) -> int:
        """See `Store.answer_late`."""
        return self._engine.answer_late()

    async def claim(self, target: str, limit: int, limit_bytes: int, now: int) -> list[Claim]:
        """See `Store.claim`."""
        call = partial(claim_due, target=target, limit=limit, limit_bytes=limit_bytes, now=now)
        return await self._engine.do(call, undo=self._engine.hand_back)

    def record(self, records: Sequence[Record], settled: Callable[[Sequence[Taken]], None]) -> None:
        """See `Store.record`."""
        self._engine.record(records, settled)

    def backlog(self, target: str) -> Backlog:
        """See `Store.backlog`."""
        return self._engine.backlogs.of(target)

    def targets(self) -> list[str]:
        """See `Store.targets`."""
        return self._engine.backlogs.targets()

    async def gates(self) -> list[Gate]:
        """See `Store.gates`."""
        return await self._engine.read(self._engine.reads.gates)

    async def close_gate(self, gate: Gate) -> None:
        """See `Store.close_gate`."""
        await self._engine.do(partial(interventions.close_gate, gate=gate))

    async def open_gate(self, target: str, kind: GateKind) -> bool:
        """See `Store.open_gate`."""
        return await self._engine.do(partial(interventions.open_gate, target=target, kind=kind))

    async def step_back(self, by_ms: int, now: int) -> int:
        """See `Store.step_back`. Many are moved in slices; after a failure half-way some are."""
        await self._engine.do(partial(steps.move_gates, by_ms=by_ms, now=now))
        done = 0
        for target in self._engine.backlogs.targets():
            after, more = steps.after_due(now), True
            while more:
                call = partial(steps.move_some, target=target, by_ms=by_ms, now=now, after=after, limit=SLICE)
                count, after = await self._engine.do(call)
                done, more = done + count, count == SLICE
        await self._move_expiry(-by_ms, now, steps.AFTER_STEP_MS)
        await self._engine.do(partial(steps.lower_wall, now=now))
        return done

    async def step_forward(self, by_ms: int, now: int, since_ms: int) -> int:
        """See `Store.step_forward`. Many are moved in slices; after a failure half-way the rest is due early."""
        await self._move_expiry(by_ms, now, since_ms)
        done = 0
        for target in self._engine.backlogs.targets():
            call = partial(steps.move_some_on, target=target, by_ms=by_ms, now=now, since_ms=since_ms, limit=SLICE)
            before, more = steps.LAST, True
            while more:
                count, before = await self._engine.do(partial(call, before=before))
                done, more = done + count, count == SLICE
        return done

    async def _move_expiry(self, by_ms: int, now: int, since_ms: int) -> None:
        call = partial(steps.move_expiry, by_ms=by_ms, now=now, since_ms=since_ms, limit=SLICE)
        place, more = steps.LAST if by_ms > 0 else steps.FIRST, True
        while more:
            count, place = await self._engine.do(partial(call, place=place))
            more = count == SLICE

    async def expire(self, now: int) -> dict[str, int]:
        """See `Store.expire`. The reader looks first: a commit of nothing would pass for a sign of health."""
        if await self._engine.read(partial(self._engine.reads.any_expired, now)):
            await self._engine.do(partial(expire_some, now=now))
        told, self._engine.expired = self._engine.expired, {}
        return told

    async def set_ordering(
        self, target: str, ordering: Ordering | None, key_of: Callable[[StoredEvent], bytes | None]
    ) -> int:
        """See `Store.set_ordering`. Many are done in slices."""
        begun = await self._engine.do(partial(reorder.begin, target=target, ordering=ordering), in_turn=True)
        if begun is None:
            return 0
        number = begun.target
        count = await self._rekey(number, ordering, key_of) if begun.rekey else 0
        after: bytes | None = b""
        while after is not None:
            after = await self._engine.do(partial(reorder.assign_turns, target=number, after=after))
        await self._engine.do(partial(reorder.finish, target=number, ordering=ordering))
        return count

    async def _rekey(
        self, target: int, ordering: Ordering | None, key_of: Callable[[StoredEvent], bytes | None]
    ) -> int:
        taken, more = 0, True
        while more:
            count = await self._engine.do(partial(reorder.take_keys, target=target))
            taken, more = taken + count, count == reorder.SLICE
        given = 0
        for walk in reorder.WALKS if ordering is not None else ():
            after, more = reorder.START, True
            while more:
                call = partial(reorder.give_keys, target=target, walk=walk, after=after, key_of=key_of)
                count, after, more = await self._engine.do(call)
                given += count
        return max(taken, given)

    async def event(self, event_id: int) -> StoredEvent | None:
        """See `Store.event`."""
        return await self._engine.read(partial(self._engine.reads.event, event_id))

    async def events(self, query: EventQuery) -> list[EventRow]:
        """See `Store.events`; at most 1,000. Raises StoreBusyError if the search takes seconds."""
        return await self._engine.read(partial(self._engine.reads.events, query))

    async def deliveries(self, query: DeliveryQuery) -> list[DeliveryRow]:
        """See `Store.deliveries`; at most 1,000. Raises StoreBusyError if the search takes seconds."""
        return await self._engine.read(partial(self._engine.reads.deliveries, query))

    async def attempts(self, event_id: int, n: int) -> list[AttemptRow]:
        """See `Store.attempts`."""
        return await self._engine.read(partial(self._engine.reads.attempts, event_id, n))

    async def rename(self, renames: Sequence[Rename]) -> list[Rename]:
        """See `Store.rename`."""
        if not renames:
            return []
        return await self._engine.do(partial(interventions.rename_all, renames=renames), in_turn=True)

    async def notes(self, prefix: str) -> Mapping[str, bytes]:
        """See `Store.notes`."""
        return await self._engine.read(partial(self._engine.reads.notes, prefix))

    async def keep_notes(self, notes: Mapping[str, bytes | None]) -> None:
        """See `Store.keep_notes`."""
        await self._engine.do(partial(interventions.keep_notes, notes=dict(notes)))

    async def retain(self, keep: Keep, now: int) -> int:
        """See `Store.retain`."""
        if self._engine.revived:
            revived, self._engine.revived = self._engine.revived, []
            self._retention.look_again(await self._engine.do(partial(requests_of, events=revived)))
        for _ in self._retention.steps:
            more = True
            while more:
                removed, more = await self._engine.do(partial(self._retention.step, keep=keep, now=now))
                self._retention.committed()
                if not more:
                    self._retention.turn()
                if removed:
                    return removed
        return 0

    async def probe(self) -> None:
        """See `Store.probe`."""
        await self._engine.do(interventions.probe)

    def health(self) -> StoreHealth:
        """See `Store.health`."""
        return self._engine.health()

    async def wait_broken(self) -> StoreError:
        """See `Store.wait_broken`."""
        while self._engine.broken is None:
            await self._engine.broke.wait()
        return self._engine.broken


@asynccontextmanager
async def open_sqlite(path: Path, runtime: Runtime, settings: StoreSettings) -> AsyncIterator[SqliteStore]:
    """Open the store at `path`, new if there is none; closed at the end, with everything that waits carried out.

    Raises StoreError if it cannot be made durable, is in use, damaged, newer than this version, or on a network file
    system.
    """
    writer = Worker(runtime, "store-writer")
    try:
        with trio.CancelScope(shield=True):
            started = await writer.call(partial(start, path, runtime, settings))
        engine = Engine(path, runtime, settings, started)
        writer.post(engine.run)
        try:
            yield SqliteStore(engine, started.ledger.epoch, started.warnings)
        finally:
            with trio.CancelScope(shield=True):
                await engine.close()
                await writer.call(lambda: stop(started, flush=engine.is_sound))
                engine.tell_given_up()
    finally:
        await writer.close()
