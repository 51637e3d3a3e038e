"""The writer thread: one transaction for whatever waited while the last one ran.

It alone writes. A batch that breaks a constraint is done again, each request under a savepoint, so that one bad request
fails alone. An I/O error leaves the outcome unknown: everyone who waits gets StoreBrokenError and nothing is ever
written again by this process. A disk without room is no unknown outcome: the commit mark is written last, so what was
refused is not there; newcomers are turned away, records wait for room.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import apsw

from gateway.errors import StoreBrokenError, StoreBusyError, StoreError
from gateway.runtime import Runtime
from gateway.store.accept import Offer, accept_all
from gateway.store.contract import Record
from gateway.store.ledger import Ledger, Turn
from gateway.store.queue import Batch, CommitQueue, Entry, Job, Recording
from gateway.store.record import record_all, record_each
from gateway.store.space import Space
from gateway.store.steps import raise_wall

STARVED_SECONDS: Final = 0.25
CLOSING_SECONDS: Final = 5.0
"""So long a store that closes waits for room for its records: the next start frees what they would have settled."""

UNKNOWN: Final = (
    apsw.IOError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.ProtocolError,
    apsw.NoMemError,
    MemoryError,
)
"""After these nobody knows what the file holds, or will hold after a restart."""


class _CommitError(Exception):
    """COMMIT failed: its outcome is unknown."""


class GroupCommit:
    """Runs in the writer thread until the queue is closed and empty, or something broke."""

    def __init__(
        self,
        queue: CommitQueue,
        ledger: Ledger,
        space: Space,
        runtime: Runtime,
        *,
        finish: Callable[[Batch, Turn], None],
        broke: Callable[[StoreBrokenError], None],
        after_commit: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._ledger = ledger
        self._space = space
        self._runtime = runtime
        self._finish = finish
        self._broke = broke
        self._after_commit = after_commit
        self._starved = False
        self.given_up = 0
        """Records that were not written, because there was no room and the store closed."""
        self.under_way = Batch()
        """What is being committed, or was last."""
        self.last_commit = runtime.monotonic()

    def run(self) -> None:
        """Commit until the queue is closed and empty, or a commit's outcome is unknown: then `broke` is called."""
        batch: Batch | None = Batch()
        try:
            while (batch := self._queue.take()) is not None:
                self.under_way = batch
                self._commit(batch)
        except BaseException as error:  # noqa: BLE001 - a writer that ends for any reason leaves a broken store
            broken = _broken(error)
            self._broke(broken)
            fail(batch or Batch(), broken)
            self._finish(batch or Batch(), Turn(0))

    def _commit(self, batch: Batch) -> None:
        self._space.check()
        if self._space.low:
            _refuse_growth(batch, self._space.refusal)
        turn = Turn(0)
        try:
            turn = self._attempt(batch)
            self._starved = False
        except apsw.BusyError:
            _refuse(
                batch, lambda: StoreBusyError("another process is writing to the store's file: nothing was written")
            )
            self._queue.put_back(batch.recordings)
            batch.recordings = []
        except apsw.FullError:
            turn = self._settle_only(batch)
        self._finish(batch, turn)
        if self._starved:
            self._queue.nap(STARVED_SECONDS)

    def _attempt(self, batch: Batch) -> Turn:
        """Carry `batch` out: all at once, or if anything in it is refused, one by one."""
        try:
            return self._transact(batch, self._all_at_once)
        except (*UNKNOWN, apsw.FullError, apsw.BusyError, _CommitError):
            raise
        except Exception:  # noqa: BLE001 - whatever one request broke, the others must not pay for it
            return self._transact(batch, self._one_by_one)

    def _settle_only(self, batch: Batch) -> Turn:
        """The disk is full: refuse newcomers, give up the reserve, and try the records and jobs once more."""
        _refuse_growth(batch, self._space.refusal)
        self._space.give_up_reserve()
        try:
            return self._attempt(batch)
        except apsw.FullError:
            self._starved = True
            _refuse(batch, self._space.refusal)
            if self._may_wait_for_room():
                self._queue.put_back(batch.recordings)
            else:
                self.given_up += sum(len(recording.records) for recording in batch.recordings)
            batch.recordings = []
            return Turn(0)

    def _may_wait_for_room(self) -> bool:
        closed_at = self._queue.closed_at
        return closed_at is None or self._runtime.monotonic() - closed_at < CLOSING_SECONDS

    def _transact(self, batch: Batch, carry_out: Callable[[Batch, Turn], None]) -> Turn:
        turn = Turn(self._runtime.now_ms())
        cursor = self._ledger.cursor
        cursor.execute("BEGIN IMMEDIATE")
        try:
            carry_out(batch, turn)
            raise_wall(self._ledger, turn)
            if self._space.low:
                # Written before COMMIT, a full disk is found while a rollback is still certain.
                self._ledger.connection.cache_flush()
        except BaseException:
            self._roll_back()
            raise
        try:
            cursor.execute("COMMIT")
        except apsw.FullError:
            # No room for the last page, so the commit mark is not there either; an fsync that fails is an IOError.
            self._roll_back()
            raise
        except BaseException as error:
            raise _CommitError(str(error)) from error
        self._ledger.committed(turn)
        self.last_commit = self._runtime.monotonic()
        self._after_commit()
        return turn

    def _roll_back(self) -> None:
        if self._ledger.connection.in_transaction:
            try:
                self._ledger.cursor.execute("ROLLBACK")
            except Exception as error:
                raise _CommitError(f"the rollback failed: {error}") from error
        self._ledger.rolled_back()

    def _all_at_once(self, batch: Batch, turn: Turn) -> None:
        records = [record for recording in batch.recordings for record in recording.records]
        if records:
            record_all(self._ledger, turn, records)
            for recording in batch.recordings:
                recording.taken = [True] * len(recording.records)
        for job in batch.jobs:
            if job.error is None:
                _do_job(self._ledger, job, turn)
        entries = [entry for entry in batch.entries if entry.error is None]
        if entries:
            _accept_entries(self._ledger, entries, turn)

    def _one_by_one(self, batch: Batch, turn: Turn) -> None:
        for recording in batch.recordings:
            recording.refusals.clear()
            for index, record in enumerate(recording.records):
                error = self._under_savepoint(turn, partial(_record_one, self._ledger, recording, index, record))
                if error is not None:
                    recording.taken[index] = None
                    recording.refusals.append((record, error))
        for job in batch.jobs:
            if job.error is None:
                job.error = self._under_savepoint(turn, partial(_do_job, self._ledger, job))
        for entry in batch.entries:
            if entry.error is None:
                entry.error = self._under_savepoint(turn, partial(_accept_entries, self._ledger, [entry]))

    def _under_savepoint(self, turn: Turn, act: Callable[[Turn], None]) -> StoreError | None:
        """Carry out one request; if it is refused, undo it alone and give the reason."""
        cursor, part = self._ledger.cursor, Turn(turn.now)
        cursor.execute("SAVEPOINT one")
        try:
            act(part)
        except (*UNKNOWN, apsw.FullError):
            raise  # all of the transaction is undone
        except Exception as error:  # noqa: BLE001 - a bad value or a broken constraint is this request's own
            cursor.execute("ROLLBACK TO one")
            cursor.execute("RELEASE one")
            self._ledger.rolled_back()
            return error if isinstance(error, StoreError) else StoreError(f"the store refused one request: {error}")
        cursor.execute("RELEASE one")
        turn.add(part)
        return None


def _record_one(ledger: Ledger, recording: Recording, index: int, record: Record, turn: Turn) -> None:
    recording.taken[index] = record_each(ledger, turn, [record])[0]


def _do_job(ledger: Ledger, job: Job, turn: Turn) -> None:
    job.value = job.call(ledger, turn)


def _accept_entries(ledger: Ledger, entries: Sequence[Entry], turn: Turn) -> None:
    offers = [Offer(entry.acceptance, not entry.abandoned) for entry in entries]
    for entry, offer, verdicts in zip(entries, offers, accept_all(ledger, turn, offers), strict=True):
        entry.value = verdicts
        entry.handed_on = offer.awaited


def fail(batch: Batch, error: StoreBrokenError) -> None:
    """Tell everybody in `batch` that the store is broken; records are dropped in silence."""
    for ticket in (*batch.jobs, *batch.entries):
        ticket.error = StoreBrokenError(*error.args)
    batch.recordings.clear()


def _refuse(batch: Batch, error: Callable[[], StoreError]) -> None:
    for ticket in (*batch.jobs, *batch.entries):
        if ticket.error is None:
            ticket.error = error()


def _refuse_growth(batch: Batch, error: Callable[[], StoreError]) -> None:
    for entry in batch.entries:
        entry.error = error()
    for job in batch.jobs:
        if job.grows:
            job.error = error()


def _broken(error: BaseException) -> StoreBrokenError:
    cause = error.__cause__ if isinstance(error, _CommitError) and error.__cause__ else error
    return StoreBrokenError(
        f"a commit failed and its outcome is unknown ({type(cause).__name__}: {cause}); nothing more is acknowledged; "
        "the process must end, the next start finds what is on the disk"
    )
