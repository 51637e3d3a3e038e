"""What every store promises.

SQLite keeps it today, PostgreSQL is meant to, and `gateway.testing.check_store` proves it.

Durability: when `accept` returns, the events, their deliveries and their de-dup keys have survived a successful
flush. A state of a delivery is written only by whoever holds its current claim (the epoch of this process and the
`claims` number). The contract assumes no global unique index and no clock shared with other processes.

All times are milliseconds since 1970. Names of sources, routes and targets are plain strings here; how they are kept
is the store's own matter.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

from gateway.core.model import Delivery, Event, HoldReason, State, StoredEvent
from gateway.errors import StoreError

if TYPE_CHECKING:
    from gateway.store.operator import Operator

GateKind: TypeAlias = Literal["breaker", "disabled", "held", "restored"]
VerdictKind: TypeAlias = Literal["new", "duplicate", "conflict"]
Taken: TypeAlias = bool | None
"""What became of a record: True = written; False = the claim was no longer ours, nothing was touched; None = it could
not be written (told in the log), the claim is still ours.
"""


class NewDelivery(NamedTuple):
    """One planned delivery of an event that is about to be accepted."""

    route: str
    target: str
    admitted: bool
    """True: a slot in the target's window is reserved, insert it `in_flight` with claims = 1.

    False: insert it `pending`, due now.
    """
    expires_ms: int | None = None
    """How long after the event came, or the replay was asked for, the delivery is of use; None: for ever."""
    key: bytes | None = None
    """16 bytes: the digest of what orders it at its target; None = unordered. Keys of two sources are never the same.

    While something of its target and key is unsettled, or dead where that blocks, it waits its turn, admitted or not.
    """


class NewEvent(NamedTuple):
    """One event to accept, with all it must lead to."""

    event: Event
    hold: HoldReason | None
    """Why it has no deliveries; None if it has some."""
    deliveries: tuple[NewDelivery, ...]
    on_conflict: Literal["hold", "accept"] = "hold"


class Acceptance(NamedTuple):
    """All that one request brought: accepted in one transaction, or not at all."""

    head: bytes
    body: bytes
    received_at: int
    events: tuple[NewEvent, ...]


class Verdict(NamedTuple):
    """What became of one event of an acceptance."""

    kind: VerdictKind
    """`new`: stored with its deliveries.

    `duplicate`: nothing stored, `event_id` is the first one's. `conflict`: the key is known with another payload;
    stored without deliveries (hold `conflict`) unless `on_conflict` is `accept`, then it is `new`.
    """
    event_id: int
    revived: int = 0
    """Duplicate only: dead deliveries of the first event made pending again, plus deliveries planned for an event
    that had none because it was `unmatched`.
    """
    waiting: tuple[int, ...] = ()
    """New only: the admitted deliveries, by their numbers, that were not claimed because they wait their turn."""


class AttemptRow(NamedTuple):
    """One try, as it is kept."""

    started_at: int
    took_ms: int
    outcome: str
    """`delivered`, `retry`, `rejected`, `target_down`, `not_tried`, or `interrupted`."""
    reason: str
    """For the operator, at most 500 characters; no secret."""


class Record(NamedTuple):
    """The next state of a delivery that this process has claimed."""

    event_id: int
    n: int
    claims: int
    state: State
    due: int | None
    """When it may be claimed again; set if and only if `state` is `pending`."""
    attempts: int
    attempt: AttemptRow | None
    """The try to append; None if none was made (released at stop)."""
    progress: bytes | None
    target: str
    """The target's name, for the backlog in memory."""
    waited: int = 0
    """Milliseconds that the delivery's policy had it wait between tries, this wait included."""


class Claim(NamedTuple):
    """A delivery that is now ours, with the event to deliver."""

    delivery: Delivery
    event: StoredEvent


class Backlog(NamedTuple):
    """What waits for one target, from memory: exact for `pending` and `dead`, a lower bound for `next_due`."""

    pending: int = 0
    in_flight: int = 0
    dead: int = 0
    next_due: int | None = None
    waiting: int = 0
    """Of `pending`: those that wait for another of their key, and so have no due time."""


class Ordering(NamedTuple):
    """How a target's deliveries that have a key are ordered: one after the other, in order of acceptance."""

    rule: str
    """What gives the keys, in words that change whenever the keys may."""
    on_dead: Literal["block", "skip"] = "block"
    """Whether a dead delivery stops what comes after it of its key until it is retried or cancelled."""
    keep: Literal["all", "latest"] = "all"
    """`latest`: what waits is cancelled once a newer event of its key waits, too."""


class Gate(NamedTuple):
    """A closed door on a target; deliveries behind it are parked and cost nothing."""

    target: str
    kind: GateKind
    since: int
    until: int | None
    """When a probe may try it (breaker); None = until somebody opens it."""
    reason: str


class Rename(NamedTuple):
    """A target or a source that has another name now."""

    kind: Literal["target", "source"]
    formerly: str
    name: str


class EventRow(NamedTuple):
    """An event in a list."""

    id: int
    source: str
    credential: str
    type: str
    version: str
    accepted_at: int
    occurred_at: int | None
    hold: HoldReason | None
    deliveries: int
    unsettled: int
    dead: int
    replaces: int | None
    """For a conflict: the event that had the key first."""


class DeliveryRow(NamedTuple):
    """A delivery in a list."""

    event_id: int
    n: int
    source: str
    type: str
    route: str
    target: str
    state: State
    due: int | None
    attempts: int
    claims: int
    interrupted: int
    settled_at: int | None
    replay: str | None
    last_reason: str | None
    behind: tuple[int, int] | None = None
    """If it waits its turn: event and number of the delivery that it waits for."""
    expires_at: int | None = None
    """When it is of no use any more; None: it always is."""


class EventQuery(NamedTuple):
    """Which events to list, newest first."""

    source: str | None = None
    type_glob: str | None = None
    hold: HoldReason | None = None
    before: int | None = None
    """Page on: only ids below this one."""
    limit: int = 50


class DeliveryQuery(NamedTuple):
    """Which deliveries to list, newest first."""

    target: str | None = None
    state: State | None = None
    event_id: int | None = None
    before: int | None = None
    """Page on: only of events below this one."""
    limit: int = 50
    before_n: int | None = None
    """With `before`, when listing: also those of that event with a number above this one."""


class Keep(NamedTuple):
    """How long settled things are kept, in milliseconds. Unsettled work is never removed."""

    bodies: int
    """Heads, bodies and parts of requests without dead deliveries."""
    metadata: int
    """Events and deliveries of requests without dead deliveries."""
    dead: int
    """Requests with dead deliveries, whole: until then they can be retried."""
    keys: int


class StoreHealth(NamedTuple):
    """What readiness, metrics and the watchdog look at."""

    accepting: bool
    """False at the low-water mark, when the queue is over its bytes, or after an I/O error."""
    reason: str
    last_commit: float
    """Monotonic seconds of the last successful durable commit (the probe's included)."""
    queued: int
    queued_bytes: int
    free_bytes: int
    disk_bytes: int
    """Size of the store's own files."""


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
        deliveries given here for it. Raises `StoreBusyError`, `StoreFullError` or `StoreBrokenError`; then nothing
        may be acknowledged.
        """
        ...

    async def claim(self, target: str, limit: int, limit_bytes: int, now: int) -> list[Claim]:
        """Take up to `limit` due deliveries of `target`, oldest due first; at least one, then up to `limit_bytes`.

        None that has expired by `now`: `expire` is the one for those.
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
        must not raise), and what is then due is due now. Give the number of keys given or taken. Until this returns
        nobody may claim for `target`, nor reserve slots for it; what is accepted meanwhile has the new keys. Ordered
        before everything else about the target by whoever starts delivering to it: after a crash half-way, or a
        cancellation, it must be asked again.
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
        """Let each new name own what the former one owned (backlog, de-dup keys), each in O(1): all or none.

        Gives those carried out: not where there was nothing, or the new name already owns something.
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
