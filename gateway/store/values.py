"""The values that a store takes and gives, as `gateway.store.contract` has them.

All times are milliseconds since 1970. Names of sources, routes and targets are plain strings here; how they are kept
is the store's own matter.
"""

from typing import Final, Literal, NamedTuple, TypeAlias

from gateway.core.model import Delivery, Event, HoldReason, State, StoredEvent

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
    One that backs off and lets an older one go first is not due before it has backed off.
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


REASON_MAX: Final = 500
"""Characters of a reason, or of what somebody acts on by hand, that are kept."""


class AttemptRow(NamedTuple):
    """One try, as it is kept."""

    started_at: int
    took_ms: int
    outcome: str
    """`delivered`, `retry`, `rejected`, `target_down`, `not_tried`, or `interrupted`."""
    reason: str
    """For the operator, of which `REASON_MAX` characters are kept; no secret."""


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
    notes: tuple[tuple[str, str], ...] = ()
    """Notes that bear the name, and what they are called from now on."""


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
    source: str | None = None


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
