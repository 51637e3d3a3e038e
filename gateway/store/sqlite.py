"""The store in one SQLite file: this module puts the parts together and is the only one that tasks talk to.

Three threads: the writer (group commit), the reader, and the checkpointer. The trio thread never touches the file.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import apsw
import trio

from gateway.core.model import Delivery, StoredEvent
from gateway.errors import StoreBrokenError, StoreError
from gateway.runtime import Runtime
from gateway.store import interventions
from gateway.store.backlog import Backlogs
from gateway.store.checkpoints import Checkpoints
from gateway.store.claim import claim_due
from gateway.store.connection import open_reader
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
    NewDelivery,
    Record,
    StoreHealth,
    Verdict,
)
from gateway.store.filter_builder import FilterBuilder
from gateway.store.group_commit import GroupCommit, fail
from gateway.store.ledger import Ledger, Turn
from gateway.store.interventions import SLICE
from gateway.store.queue import Batch, CommitQueue, Entry, Job, Recording
from gateway.store.reads import Reads
from gateway.store.retention import Retention
from gateway.store.settings import StoreSettings
from gateway.store.space import Space
from gateway.store.start import Started, start, stop
from gateway.store.worker import Worker

T = TypeVar("T")


class SqliteStore:
    """Keeps the contract of `Store` with one SQLite file."""

    def __init__(self, path: Path, runtime: Runtime, settings: StoreSettings, started: Started) -> None:
        self.epoch = started.ledger.epoch
        self.warnings = started.warnings
        """What was found wrong when the store was opened, for the log and the operator; empty if nothing was."""
        self._settings = settings
        self._runtime = runtime
        self._token = trio.lowlevel.current_trio_token()
        self._queue = CommitQueue(runtime, settings)
        self._space = Space(path, runtime, settings)
        self._backlogs = started.backlogs
        self._broken: StoreBrokenError | None = None
        self._broke = trio.Event()
        retention = Retention()
        self._retention_steps = (
            retention.blank,
            retention.forget,
            retention.expire_keys,
            retention.forget_audit,
        )
        self._reader = Worker(runtime, "store-reader")
        self._reads = Reads(open_reader(path))
        self._copier = Worker(runtime, "store-checkpoints")
        self._checkpoints = Checkpoints(
            path, started.ledger.connection, started.tail, self._copier, self._checkpoint_failed
        )
        self._filters = FilterBuilder(
            partial(open_reader, path),
            started.key_filter,
            settings.filter_bytes,
            self._copier.post,
            self._keep_filter,
        )
        keys = started.ledger.keys
        keys.on_sealed = lambda: self._filters.sealed(keys.sealed())
        keys.on_sealed()
        self._commits = GroupCommit(
            self._queue,
            started.ledger,
            self._space,
            runtime,
            self._from_writer(self._finished),
            self._from_writer(self._is_broken),
            self._checkpoints.after_commit,
        )

    def run(self) -> None:
        """Commit what is asked for until `close`; in the writer thread."""
        self._commits.run()

    async def close(self) -> None:
        """Let the writer finish what waits, and end the other threads."""
        self._queue.close()
        await self._copier.call(self._checkpoints.close)
        await self._copier.call(self._filters.close)
        await self._copier.close()
        await self._reader.call(self._reads.close)
        await self._reader.close()

    @property
    def broken(self) -> bool:
        """True after an I/O error: the file must not be touched again."""
        return self._broken is not None

    async def accept(self, acceptance: Acceptance) -> tuple[Verdict, ...]:
        """See `Store.accept`."""
        if self._broken is not None:
            raise StoreBrokenError(*self._broken.args)
        if self._space.low and not self._space.stale:
            raise self._space.refusal()
        return await self._queue.add_entry(acceptance).wait()

    async def claim(self, target: str, limit: int, limit_bytes: int, now: int) -> list[Claim]:
        """See `Store.claim`."""
        call = partial(claim_due, target=target, limit=limit, limit_bytes=limit_bytes, now=now)
        return await self._do(call, undo=self._release_claims)

    def record(self, records: Sequence[Record], settled: Callable[[Sequence[bool]], None]) -> None:
        """See `Store.record`."""
        if self._broken is None:
            self._queue.add_recording(Recording(records, settled))

    def backlog(self, target: str) -> Backlog:
        """See `Store.backlog`."""
        return self._backlogs.of(target)

    def targets(self) -> list[str]:
        """See `Store.targets`."""
        return self._backlogs.targets()

    async def gates(self) -> list[Gate]:
        """See `Store.gates`."""
        return await self._read(self._reads.gates)

    async def close_gate(self, gate: Gate) -> None:
        """See `Store.close_gate`."""
        await self._do(partial(interventions.close_gate, gate=gate))

    async def open_gate(self, target: str, kind: GateKind) -> bool:
        """See `Store.open_gate`."""
        return await self._do(partial(interventions.open_gate, target=target, kind=kind))

    async def retry(self, query: DeliveryQuery, now: int) -> int:
        """See `Store.retry`. Many are done in slices; whoever is cancelled half-way has done some."""
        done, more = 0, True
        while more and done < query.limit:
            limit = min(SLICE, query.limit - done)
            count = await self._do(partial(interventions.retry_some, query=query, now=now, limit=limit))
            done, more = done + count, count == limit
        return done

    async def plan_again(self, event_id: int, deliveries: Sequence[NewDelivery], replay: str) -> int | None:
        """See `Store.plan_again`; the deliveries are due now, whatever their `admitted` says."""
        call = partial(interventions.plan_again, event_id=event_id, deliveries=deliveries, replay=replay)
        return await self._do(call, grows=True)

    async def cancel(self, query: DeliveryQuery, reason: str, now: int) -> int:
        """See `Store.cancel`. Many are done in slices; whoever is cancelled half-way has done some."""
        done, more, before = 0, True, query.before
        while more and done < query.limit:
            limit = min(SLICE, query.limit - done)
            call = partial(interventions.cancel_some, query=query, reason=reason, now=now, limit=limit, before=before)
            count, lowest = await self._do(call)
            done, more, before = done + count, count == limit, lowest + 1
        return done

    async def event(self, event_id: int) -> StoredEvent | None:
        """See `Store.event`."""
        return await self._read(partial(self._reads.event, event_id))

    async def events(self, query: EventQuery) -> list[EventRow]:
        """See `Store.events`; at most 1,000."""
        return await self._read(partial(self._reads.events, query))

    async def deliveries(self, query: DeliveryQuery) -> list[DeliveryRow]:
        """See `Store.deliveries`; at most 1,000."""
        return await self._read(partial(self._reads.deliveries, query))

    async def attempts(self, event_id: int, n: int) -> list[AttemptRow]:
        """See `Store.attempts`."""
        return await self._read(partial(self._reads.attempts, event_id, n))

    async def rename(self, kind: Literal["target", "source"], formerly: str, name: str) -> bool:
        """See `Store.rename`."""
        renamed = await self._do(partial(interventions.rename, kind=kind, formerly=formerly, name=name))
        if renamed and kind == "target":
            self._backlogs.rename(formerly, name)
        return renamed

    async def retain(self, keep: Keep, now: int) -> int:
        """See `Store.retain`."""
        for step in self._retention_steps:
            more = True
            while more:
                removed, more = await self._do(partial(step, keep=keep, now=now))
                if removed:
                    return removed
        return 0

    async def probe(self) -> None:
        """See `Store.probe`."""
        await self._do(interventions.probe)

    def health(self) -> StoreHealth:
        """See `Store.health`."""
        reason = ""
        if self._broken is not None:
            reason = str(self._broken)
        elif self._space.low:
            reason = str(self._space.refusal())
        elif self._queue.size >= self._settings.queue_bytes:
            reason = f"{self._queue.size} bytes wait for a commit"
        queue, space = self._queue, self._space
        return StoreHealth(
            not reason, reason, self._commits.last_commit, queue.count, queue.size, space.free, space.used
        )

    async def wait_broken(self) -> StoreError:
        """See `Store.wait_broken`."""
        await self._broke.wait()
        if self._broken is None:
            raise AssertionError("the event is set only with the error")
        return self._broken

    async def _do(
        self, call: Callable[[Ledger, Turn], T], *, undo: Callable[[T], None] | None = None, grows: bool = False
    ) -> T:
        """Have the writer carry `call` out in a transaction; durable on return."""
        if self._broken is not None:
            raise StoreBrokenError(*self._broken.args)
        job = Job(call, undo, grows=grows)
        self._queue.add_job(job)
        result: T = await job.wait()
        return result

    async def _read(self, call: Callable[[], T]) -> T:
        if self._broken is not None:
            raise StoreBrokenError(*self._broken.args)
        return await self._reader.call(call)

    def _from_writer(self, call: Callable[..., None]) -> Callable[..., None]:
        """Let the writer thread have `call` run in the trio thread; one wake-up for a whole batch."""

        def post(*values: object) -> None:
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(call, *values)

        return post

    def _finished(self, batch: Batch, turn: Turn) -> None:
        self._backlogs.apply(turn.changes)
        for recording in batch.recordings:
            recording.settled(recording.taken)
        for job in batch.jobs:
            if job.abandoned and job.undo is not None and job.error is None:
                job.undo(job.value)
            job.wake()
        for entry in batch.entries:
            if entry.abandoned and entry.handed_on and entry.error is None:
                self._release_entry(entry)
            entry.wake()

    def _is_broken(self, error: StoreBrokenError) -> None:
        self._broken = error
        left = self._queue.drain()
        fail(left, error)
        self._finished(left, Turn(0))
        self._broke.set()

    def _checkpoint_failed(self, error: Exception) -> None:
        """An I/O error while pages were copied: let the writer stop on it. From the checkpointer's thread."""

        def stop(_ledger: Ledger, _turn: Turn) -> None:
            raise apsw.IOError(f"while the log was copied: {error}")

        self._queue.add_job(Job(stop, None, grows=False))

    def _keep_filter(self, number: int, kept: bytes) -> None:
        """A filter is whole: keep it for the next start. From the checkpointer's thread."""
        self._queue.add_job(Job(lambda ledger, _turn: ledger.keys.keep_filter(number, kept), None, grows=False))

    def _release_claims(self, claims: list[Claim]) -> None:
        """Nobody took these claims: they are due again, no attempt counted."""
        now = self._runtime.now_ms()
        self.record([released(claim.delivery, now) for claim in claims], _nobody_asks)

    def _release_entry(self, entry: Entry) -> None:
        """Whoever was to get these deliveries has gone: they are due again."""
        now, records = self._runtime.now_ms(), []
        for new, verdict in zip(entry.acceptance.events, entry.value, strict=True):
            if verdict.kind == "new":
                for n, (route, target, admitted) in enumerate(new.deliveries):
                    if admitted:
                        records.append(released(Delivery(verdict.event_id, n, target, route, 1, 0, 0, None, 0), now))
        self.record(records, _nobody_asks)


def released(delivery: Delivery, now: int) -> Record:
    """Give the record that hands a claim back: due at `now`, no attempt counted."""
    key = (delivery.event_id, delivery.n, delivery.claims)
    return Record(*key, "pending", now, delivery.attempts, None, delivery.progress, delivery.target)


def _nobody_asks(_taken: Sequence[bool]) -> None:
    """The records of an abandoned claim interest nobody."""


@asynccontextmanager
async def open_sqlite(path: Path, runtime: Runtime, settings: StoreSettings) -> AsyncIterator[SqliteStore]:
    """Open the store at `path`, new if there is none; closed at the end, with everything that waits carried out.

    Raises StoreError if it cannot be made durable, is in use, damaged, newer than this version, or on a network file system.
    """
    writer = Worker(runtime, "store-writer")
    try:
        with trio.CancelScope(shield=True):
            started = await writer.call(partial(start, path, runtime, settings))
            store = SqliteStore(path, runtime, settings, started)
        writer.post(store.run)
        try:
            yield store
        finally:
            with trio.CancelScope(shield=True):
                await store.close()
                await writer.call(partial(stop, started, flush=not store.broken))
    finally:
        await writer.close()
