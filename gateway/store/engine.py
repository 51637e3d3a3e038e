"""What runs beneath the SQLite store: three threads, and how their results come back to the trio thread.

The writer commits, the reader reads, the checkpointer copies the log and fills filters. Backlogs are applied and
waiters woken here, in the trio thread, once for each commit. What a cancelled caller had claimed goes back to the
store.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import apsw
import structlog
import trio

from gateway.core.model import Delivery
from gateway.errors import StoreBrokenError, StoreBusyError
from gateway.runtime import Runtime
from gateway.store.checkpoints import Checkpoints
from gateway.store.connection import open_reader
from gateway.store.contract import LATE_SECONDS, Acceptance, Claim, Record, StoreHealth, Taken, Verdict
from gateway.store.filter_builder import FilterBuilder
from gateway.store.group_commit import GroupCommit, fail
from gateway.store.ledger import Ledger, Turn
from gateway.store.queue import Batch, CommitQueue, Entry, Job, Recording
from gateway.store.settings import StoreSettings
from gateway.store.start import Started
from gateway.store.worker import Worker

T = TypeVar("T")

log = structlog.get_logger()


class Engine:
    """The threads of one open store; everything but `run` is called in the trio thread."""

    def __init__(self, path: Path, runtime: Runtime, settings: StoreSettings, started: Started) -> None:
        self.backlogs = started.backlogs
        self.expired: dict[str, int] = {}
        """Deliveries cancelled because they had expired that nobody was told of yet, by target."""
        self.revived: list[int] = []
        """Events that came again and are delivered for it, for retention to look at again: it may have taken them."""
        self.broken: StoreBrokenError | None = None
        self.broke = trio.Event()
        self._wrote_all = trio.Event()
        self._copied_badly = False
        self._runtime = runtime
        self._settings = settings
        self._token = trio.lowlevel.current_trio_token()
        self._queue = CommitQueue(runtime, settings)
        self._space = started.space
        self.reads = started.reads
        self._reader = Worker(runtime, "store-reader")
        self._copier = Worker(runtime, "store-checkpoints")
        connection, keys = started.ledger.connection, started.ledger.keys
        self._checkpoints = Checkpoints(path, connection, started.tail, self._copier.post, self._copying_failed)
        self._filters = FilterBuilder(
            partial(open_reader, path), started.key_filter, settings.filter_bytes, self._copier.post, self._keep_filter
        )
        keys.on_sealed = lambda: self._filters.sealed(keys.sealed())
        keys.on_sealed()
        self._commits = GroupCommit(
            self._queue,
            started.ledger,
            self._space,
            runtime,
            finish=self._in_trio(self._finished),
            broke=self._in_trio(self._is_broken),
            after_commit=self._checkpoints.after_commit,
        )

    def run(self) -> None:
        """Commit what is asked for until `close`; in the writer thread."""
        self._commits.run()
        self._in_trio(self._wrote_all.set)()

    @property
    def is_sound(self) -> bool:
        """True if no commit and no copy failed, so that what is left in the log may be flushed; after `close`."""
        return self.broken is None and not self._copied_badly

    async def close(self) -> None:
        """Let the writer finish what waits, then end the other threads: a commit may want its log copied."""
        self._queue.close()
        await self._wrote_all.wait()
        await self._copier.call(self._checkpoints.close)
        await self._copier.call(self._filters.close)
        await self._copier.close()
        await self._reader.close()

    def tell_given_up(self) -> None:
        """Log how many records found no room until the end; once the writer has ended."""
        if count := self._commits.given_up:
            log.warning("records.given_up", count=count)

    async def accept(self, acceptance: Acceptance) -> tuple[Verdict, ...]:
        """Queue a request and wait until it is durable."""
        if self.broken is not None:
            raise StoreBrokenError(*self.broken.args)
        if self._space.low and not self._space.stale:
            raise self._space.refusal()
        return await self._queue.add_entry(acceptance).wait()

    def answer_late(self) -> int:
        """Let requests that wait too long end with StoreBusyError; give their number."""
        late_since = self._runtime.monotonic() - LATE_SECONDS
        under_way = [entry for entry in self._commits.under_way.entries if entry.queued_at < late_since]
        late = [entry for entry in (*under_way, *self._queue.queued_before(late_since)) if entry.is_awaited]
        for entry in late:
            entry.give_up(StoreBusyError(f"no commit ended within {LATE_SECONDS:g} s: the disk is slow, or stuck"))
        return len(late)

    def record(self, records: Sequence[Record], settled: Callable[[Sequence[Taken]], None]) -> None:
        """Queue records."""
        if self.broken is None:
            self._queue.add_recording(Recording(records, settled))

    async def do(
        self,
        call: Callable[[Ledger, Turn], T],
        *,
        undo: Callable[[T], None] | None = None,
        grows: bool = False,
        in_turn: bool = False,
    ) -> T:
        """Have the writer carry `call` out; durable on return. `undo` gets the result if nobody takes it.

        With `in_turn` it comes after all that was given to `accept` before, else as soon as can be.
        """
        if self.broken is not None:
            raise StoreBrokenError(*self.broken.args)
        job = Job(call, undo, grows=grows, in_turn=in_turn)
        self._queue.add_job(job)
        result: T = await job.wait()
        return result

    async def read(self, call: Callable[[], T]) -> T:
        """Have the reader carry `call` out."""
        if self.broken is not None:
            raise StoreBrokenError(*self.broken.args)
        return await self._reader.call(call)

    def hand_back(self, claims: list[Claim]) -> None:
        """Nobody took these claims: they are due again, no attempt counted."""
        now = self._runtime.now_ms()
        self.record([_released(claim.delivery, now) for claim in claims], _nobody_asks)

    def health(self) -> StoreHealth:
        """Tell how the store is."""
        queue, space = self._queue, self._space
        reason = ""
        if self.broken is not None:
            reason = str(self.broken)
        elif space.low:
            reason = str(space.refusal())
        elif queue.size >= self._settings.queue_bytes:
            reason = f"{queue.size} bytes wait for a commit"
        return StoreHealth(
            not reason, reason, self._commits.last_commit, queue.count, queue.size, space.free, space.used
        )

    def _in_trio(self, call: Callable[..., None]) -> Callable[..., None]:
        """Let the writer thread have `call` run in the trio thread."""

        def post(*values: object) -> None:
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(call, *values)

        return post

    def _finished(self, batch: Batch, turn: Turn) -> None:
        self.backlogs.apply(turn.changes)
        for target, count in turn.expired.items():
            self.expired[target] = self.expired.get(target, 0) + count
        for renamed in turn.renamed:
            self.backlogs.rename(renamed.formerly, renamed.name)
        for recording in batch.recordings:
            for record, error in recording.refusals:
                log.error("record.refused", target=record.target, event_id=record.event_id, problem=str(error))
            recording.settled(recording.taken)
        for job in batch.jobs:
            if job.abandoned and job.undo is not None and job.error is None:
                job.undo(job.value)
            job.wake()
        for entry in batch.entries:
            if entry.error is None:
                self.revived += [verdict.event_id for verdict in entry.value if verdict.revived]
            if entry.abandoned and entry.handed_on and entry.error is None:
                self._hand_back_entry(entry)
            entry.wake()

    def _hand_back_entry(self, entry: Entry) -> None:
        """Whoever was to get these deliveries has gone: they are due again."""
        now = self._runtime.now_ms()
        records = [
            _released(Delivery(verdict.event_id, n, target, route, 1, 0, 0, None, 0), now)
            for new, verdict in zip(entry.acceptance.events, entry.value, strict=True)
            for n, (route, target, admitted, *_) in enumerate(new.deliveries)
            if admitted and verdict.kind == "new" and n not in verdict.waiting
        ]
        self.record(records, _nobody_asks)

    def _is_broken(self, error: StoreBrokenError) -> None:
        self.broken = error
        left = self._queue.drain()
        fail(left, error)
        self._finished(left, Turn(0))
        self.broke.set()

    def _copying_failed(self, error: Exception) -> None:
        """An I/O error while pages were copied: let the writer stop on it. From the checkpointer's thread."""
        self._copied_badly = True  # the writer may have ended, and not hear of it

        def stop(_ledger: Ledger, _turn: Turn) -> None:
            raise apsw.IOError(f"while the log was copied: {error}")

        self._queue.add_job(Job(stop, None, grows=False))

    def _keep_filter(self, number: int, kept: bytes) -> None:
        """A filter is whole: keep it for the next start. From the checkpointer's thread."""
        self._queue.add_job(Job(lambda ledger, _turn: ledger.keys.keep_filter(number, kept), None, grows=False))


def _released(delivery: Delivery, now: int) -> Record:
    key = (delivery.event_id, delivery.n, delivery.claims)
    return Record(*key, "pending", now, delivery.attempts, None, delivery.progress, delivery.target, delivery.waited)


def _nobody_asks(_taken: Sequence[Taken]) -> None:
    """The records of an abandoned claim interest nobody."""
