"""What every store promises.

SQLite keeps it today, PostgreSQL is meant to, and `gateway.testing.check_store` proves it.

Durability: when `accept` returns, the events, their deliveries and their de-dup keys have survived a successful
flush. A state of a delivery is written only by whoever holds its current claim (the epoch of this process and the
`claims` number). The contract assumes no global unique index and no clock shared with other processes.

The values that it takes and gives are those of `gateway.store.values`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from gateway.core.model import StoredEvent
from gateway.errors import StoreError
from gateway.store.values import (
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
    NewEvent,
    Ordering,
    Record,
    Rename,
    StoreHealth,
    Taken,
    Verdict,
    VerdictKind,
)

if TYPE_CHECKING:
    from gateway.store.operator import Operator

__all__ = [
    "LATE_SECONDS",
    "Acceptance",
    "AttemptRow",
    "Backlog",
    "Claim",
    "DeliveryQuery",
    "DeliveryRow",
    "EventQuery",
    "EventRow",
    "Gate",
    "GateKind",
    "Keep",
    "NewDelivery",
    "NewEvent",
    "Ordering",
    "Record",
    "Rename",
    "Store",
    "StoreHealth",
    "Taken",
    "Verdict",
    "VerdictKind",
]


LATE_SECONDS: Final = 5.0
"""How long a sender waits for a commit at most; then nobody knows whether there will be an event."""


class Store(Protocol):
    """A durable store. All methods are called from the trio thread; none blocks it.

    Cancellation: a cancelled caller stops waiting, but what it handed over is still carried out, whole. Errors:
    `StoreBusyError`, `StoreFullError`, `StoreBrokenError`; after the last nothing but `health` answers and
    `wait_broken` returns.
    """

    epoch: int
    """The number of this process's ownership; new at each open."""

    @property
    def operator(self) -> "Operator":
        """What an operator does: select, retry, cancel, replay."""
        ...

    async def accept(self, acceptance: Acceptance) -> tuple[Verdict, ...]:
        """Make one request's events durable and give a verdict for each, in order.

        A key that repeats inside the request, or inside one group commit, counts as a duplicate of its first use. A
        duplicate revives the first event's dead deliveries and, if that event was held as `unmatched`, plans the
        deliveries given here for it, unless it was `polled`. What `seen_as` finds is a duplicate, too. Raises
        `StoreBusyError`, `StoreFullError` or `StoreBrokenError`; then nothing may be acknowledged.
        """
        ...

    def answer_late(self) -> int:
        """Let each `accept` that has waited `LATE_SECONDS` for its commit raise `StoreBusyError`; give how many.

        The events may still come to be: they are then ordinary ones, and the sender's next try is a duplicate.
        """
        ...

    async def claim(self, target: str, limit: int, limit_bytes: int, now: int) -> list[Claim]:
        """Take up to `limit` due deliveries of `target`, oldest due first; at least one, then up to `limit_bytes`.

        What replays added comes after all else, unless a later event of its key that none added waits for it. None that
        has expired by `now`: `expire` is the one for those.
        """
        ...

    def record(self, records: Sequence[Record], settled: Callable[[Sequence[Taken]], None]) -> None:
        """Write new states and attempts, each only if our claim on it still holds.

        `settled` is called in the trio thread once durable.

        `settled` gets what became of each record. Ordered before waiting acceptances. On a broken store it is never
        called.
        """
        ...

    def backlog(self, target: str) -> Backlog:
        """Tell what waits for `target`, from memory."""
        ...

    def targets(self) -> list[str]:
        """Name every target that has pending, in-flight or dead deliveries, configured or not."""
        ...

    async def gates(self) -> list[Gate]:
        """Give all closed gates."""
        ...

    async def close_gate(self, gate: Gate) -> None:
        """Close a gate (or update its reason and `until`): one row, whatever waits behind it. Durable on return."""
        ...

    async def open_gate(self, target: str, kind: GateKind) -> bool:
        """Open a gate; False if it was not closed. Durable on return."""
        ...

    async def expire(self, now: int) -> dict[str, int]:
        """Cancel one small batch of pending deliveries that have expired by `now`, due or not, whatever gate is closed.

        Each gets an attempt row that tells why. Give their number by target; empty: there are no more.
        """
        ...

    async def step_forward(self, by_ms: int, now: int, since_ms: int) -> int:
        """The wall clock went forward by `by_ms` to `now`, at most `since_ms` ago: move all that waits along.

        What waited then waits as long as it would have; what became due or expired by the step alone is not. What
        carries a time of the last `since_ms` was written after the step and stays. Give the number of deliveries
        moved. What is recorded while this runs may be left, and is then due early.
        """
        ...

    async def step_back(self, by_ms: int, now: int) -> int:
        """The wall clock went back by `by_ms` to `now`: move all that waits for a later time along, gates included.

        Nothing is due before `now`; what is due stays so. Give the number of deliveries moved. What is recorded while
        this runs may be moved too, and is then due early. A store that is opened finds out by itself if the clock went
        back by more than a minute since; `warnings` tells.
        """
        ...

    async def set_ordering(
        self, target: str, ordering: Ordering | None, key_of: Callable[[StoredEvent], bytes | None]
    ) -> int:
        """Order what is not settled for `target` so, and what comes; None: it is not ordered.

        If the rule is another than before, each such delivery gets the key that `key_of` gives (from any thread; it
        must not raise), and those whose turn it is are due, at once or when they have backed off. What was given to
        `accept` before gets its key so too, although nobody waits for it any more. Give the number of keys given or
        taken. Until this returns nobody may claim for `target`, nor reserve slots for it; what is
        accepted meanwhile has the new keys. Ordered before everything else about the target by whoever starts
        delivering to it: after a crash half-way, or a cancellation, it must be asked again.
        """
        ...

    async def event(self, event_id: int) -> StoredEvent | None:
        """Load one event."""
        ...

    async def events(self, query: EventQuery) -> list[EventRow]:
        """List events, newest first."""
        ...

    async def deliveries(self, query: DeliveryQuery) -> list[DeliveryRow]:
        """List deliveries, newest first."""
        ...

    async def attempts(self, event_id: int, n: int) -> list[AttemptRow]:
        """Give the tries of one delivery, first to last."""
        ...

    async def rename(self, renames: Sequence[Rename]) -> list[Rename]:
        """Let each new name own what the former one owned (backlog, de-dup keys, notes), each in O(1): all or none.

        What was given to `accept` before goes along, although nobody waits for it any more, and running replays follow
        their source. Gives those carried out: not where there was nothing, or the new name already owns something.
        """
        ...

    async def notes(self, prefix: str) -> Mapping[str, bytes]:
        """Give the notes whose names begin with `prefix`: small things of other parts that outlive the process."""
        ...

    async def keep_notes(self, notes: Mapping[str, bytes | None]) -> None:
        """Write notes, or remove those whose value is None; all or none, durable on return."""
        ...

    async def retain(self, keep: Keep, now: int) -> int:
        """Remove one small batch of what is older than `keep`, never unsettled work.

        Give the number of rows removed (0 = done).
        """
        ...

    async def probe(self) -> None:
        """Make one small durable commit, so that readiness and watchdog rest on a real one."""
        ...

    def health(self) -> StoreHealth:
        """Tell how the store is, from memory."""
        ...

    async def wait_broken(self) -> StoreError:
        """Return once a commit has failed with an I/O error: the process must exit."""
        ...
