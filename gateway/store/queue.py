"""What waits for the writer thread: records, jobs, and acceptances in one line per source.

Both threads come here, so everything holds the lock, briefly. A batch takes records first, then jobs, then acceptances
with the sources in turn: a flooding source delays its own. A job that keeps its turn is taken, with the jobs behind it,
once the acceptances before it have been.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.errors import StoreBusyError, StoreError
from gateway.runtime import Runtime
from gateway.store.contract import Acceptance, Record, Taken, Verdict
from gateway.store.ledger import Ledger, Turn
from gateway.store.settings import StoreSettings
from gateway.store.tickets import Ticket

BATCH_REQUESTS: Final = 256
BATCH_BYTES: Final = 4 * 1024 * 1024
BATCH_RECORDS: Final = 1024
BATCH_JOBS: Final = 32
RECORDINGS_URGENT: Final = 64
"""Recordings, each of one try or one batch, that are worth a commit of their own."""
RECORDINGS_SECONDS: Final = 0.005
"""How long fewer wait for a request whose commit they can share."""


class Entry(Ticket[tuple[Verdict, ...]]):
    """One request that waits to be accepted."""

    __slots__ = ("acceptance", "handed_on", "number", "queued_at", "size")

    def __init__(self, acceptance: Acceptance, size: int, queued_at: float, number: int) -> None:
        super().__init__()
        self.acceptance = acceptance
        self.handed_on = False
        """True: deliveries with a reserved slot were stored as claimed, because somebody waited for them."""
        self.number = number
        """One more than that of the request queued before it."""
        self.size = size
        self.queued_at = queued_at


class Job(Ticket[Any]):
    """Anything else that the writer does for somebody, in the same transactions."""

    __slots__ = ("behind", "call", "grows", "in_turn", "undo")

    def __init__(
        self,
        call: Callable[[Ledger, Turn], Any],
        undo: Callable[[Any], None] | None,
        *,
        grows: bool,
        in_turn: bool = False,
    ) -> None:
        super().__init__()
        self.call = call
        self.undo = undo
        """Called in the trio thread with the result if nobody takes it."""
        self.grows = grows
        """True: refused while the disk is at its low-water mark."""
        self.in_turn = in_turn
        """True: done after the requests that were queued before it, whether anybody still waits for them or not."""
        self.behind = 0
        """The number of the last of them."""


class Recording:
    """Records that were handed over together."""

    __slots__ = ("records", "refusals", "settled", "taken")

    def __init__(self, records: Sequence[Record], settled: Callable[[Sequence[Taken]], None]) -> None:
        self.records = records
        self.settled = settled
        self.taken: list[Taken] = [False] * len(records)
        self.refusals: list[tuple[Record, StoreError]] = []
        """Those that could not be written, with the reason."""


@dataclass(slots=True)
class Batch:
    """What one transaction is asked to do."""

    recordings: list[Recording] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)


class CommitQueue:
    """The line before the writer thread."""

    def __init__(self, runtime: Runtime, settings: StoreSettings) -> None:
        self._runtime = runtime
        self._settings = settings
        self._lock = runtime.new_lock()
        self._bell = runtime.new_lock()
        self._bell.acquire()
        self._never = runtime.new_lock()
        self._never.acquire()
        self._idle = False
        self.closed_at: float | None = None
        """When `close` was called, on the clock that never steps; None: it was not."""
        self._recordings: deque[Recording] = deque()
        self._jobs: deque[Job] = deque()
        self._lines: dict[str, deque[Entry]] = {}
        self._oldest = 0.0
        self._last = 0
        self.count = 0
        """Requests that wait."""
        self.size = 0
        """Their bytes."""

    def add_entry(self, acceptance: Acceptance) -> Entry:
        """Queue a request. Raises StoreBusyError if the queue is over its bytes or its oldest has waited too long."""
        size = len(acceptance.head) + len(acceptance.body)
        for new in acceptance.events:
            if new.event.part is not None:
                size += len(new.event.part)
        now = self._runtime.monotonic()
        if self.count:
            self._refuse_if_busy(size, now)
        source = acceptance.events[0].event.source if acceptance.events else ""
        with self._lock:
            self._last += 1
            entry = Entry(acceptance, size, now, self._last)
            line = self._lines.get(source)
            if line is None:
                line = self._lines[source] = deque()
            if not self.count:
                self._oldest = now
            line.append(entry)
            self.count += 1
            self.size += size
            ring = self._idle
            self._idle = False
        if ring:
            self._bell.release()
        return entry

    def _refuse_if_busy(self, size: int, now: float) -> None:
        if self.size + size > self._settings.queue_bytes:
            raise StoreBusyError(f"{self.size} bytes wait for a commit; expected at most {self._settings.queue_bytes}")
        waited = now - self._oldest
        if waited > self._settings.queue_wait_seconds:
            raise StoreBusyError(f"the oldest request has waited {waited:.1f} s for a commit: the disk is slow")

    def queued_before(self, moment: float) -> list[Entry]:
        """Give the requests that have waited here since before `moment`, on the clock that never steps."""
        with self._lock:
            return [entry for line in self._lines.values() for entry in line if entry.queued_at < moment]

    def add_job(self, job: Job) -> None:
        """Queue a job."""
        with self._lock:
            job.behind = self._last if job.in_turn else 0
            self._jobs.append(job)
        self.ring()

    def add_recording(self, recording: Recording) -> None:
        """Queue records. They wait a moment for company: nobody's answer hangs on them."""
        with self._lock:
            self._recordings.append(recording)
            ring = self._idle and len(self._recordings) in {1, RECORDINGS_URGENT}
            if ring:
                self._idle = False
        if ring:
            self._bell.release()

    def put_back(self, recordings: Sequence[Recording]) -> None:
        """Queue records again that could not be written, before all others."""
        with self._lock:
            self._recordings.extendleft(reversed(recordings))

    def ring(self) -> None:
        """Wake the writer if it is idle."""
        with self._lock:
            ring = self._idle
            self._idle = False
        if ring:
            self._bell.release()

    def close(self) -> None:
        """Nothing more will be queued: `take` gives what is left, then None."""
        self.closed_at = self._runtime.monotonic()
        self.ring()

    def nap(self, seconds: float) -> None:
        """Let the writer thread rest."""
        self._never.acquire(timeout=seconds)

    def take(self) -> Batch | None:
        """Wait for work and take a batch; None once the queue is closed and empty. For the writer thread.

        Records alone are taken once they are many, or have waited for `RECORDINGS_SECONDS`: under load they share the
        next acceptance's commit, which halves the commits.
        """
        rested = False
        while True:
            with self._lock:
                waiting, closed = len(self._recordings), self.closed_at is not None
                if self.count or self._jobs or (waiting and (rested or closed or waiting >= RECORDINGS_URGENT)):
                    return self._batch()
                if closed:
                    return None
                self._idle = True
            rested = self._rest(RECORDINGS_SECONDS if waiting else -1)

    def _rest(self, seconds: float) -> bool:
        """Sleep until the bell rings, at most `seconds` (-1: no limit); True if it did not ring."""
        if self._bell.acquire(timeout=seconds):
            return False
        with self._lock:
            rang = not self._idle
            self._idle = False
        if rang:  # just now: what rang must be taken, or the next ring would find the bell still ringing
            self._bell.acquire()
        return not rang

    def _batch(self) -> Batch:
        batch = Batch()
        count = 0
        while self._recordings and count < BATCH_RECORDS:
            recording = self._recordings.popleft()
            batch.recordings.append(recording)
            count += len(recording.records)
        while self._jobs and len(batch.jobs) < BATCH_JOBS and self._is_next(self._jobs[0]):
            batch.jobs.append(self._jobs.popleft())
        if self.count:
            self._take_entries(batch.entries)
        return batch

    def _is_next(self, job: Job) -> bool:
        """Tell whether all that `job` keeps behind was taken by earlier batches: a batch does its jobs first."""
        return not job.behind or all(line[0].number > job.behind for line in self._lines.values())

    def _take_entries(self, entries: list[Entry]) -> None:
        size = 0
        while self._lines and len(entries) < BATCH_REQUESTS and size < BATCH_BYTES:
            source, line = next(iter(self._lines.items()))
            del self._lines[source]
            alone = not self._lines
            while line and len(entries) < BATCH_REQUESTS and size < BATCH_BYTES:
                entry = line.popleft()
                entries.append(entry)
                size += entry.size
                if not alone:
                    break
            if line:
                self._lines[source] = line  # at the end: the others come first
        self.count -= len(entries)
        self.size -= sum(entry.size for entry in entries)
        if self.count:
            self._oldest = min(line[0].queued_at for line in self._lines.values())

    def drain(self) -> Batch:
        """Take everything at once: the store is broken."""
        with self._lock:
            batch = Batch(list(self._recordings), list(self._jobs), [e for line in self._lines.values() for e in line])
            self._recordings.clear()
            self._jobs.clear()
            self._lines.clear()
            self.count = self.size = 0
        return batch
