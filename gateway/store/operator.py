"""What every store promises to the operator: select, retry, cancel, replay, and who did what. A part of the contract.

Selections are read in steps that each look at a bounded number of rows, oldest first, on a connection that only reads;
what is changed is named delivery by delivery, in small transactions. So neither a million rows nor a slow filter keeps
the writer, or the memory, for longer than a moment.
"""

import json
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias

from gateway.core.model import HoldReason, State, StoredEvent
from gateway.store.contract import NewDelivery

ReplayState: TypeAlias = Literal["running", "done", "cancelled"]
Number: TypeAlias = tuple[int, int]
"""A delivery: its event's id and its number within it."""
SAME_MS: Final = 600_000
"""So long the same, done again by the same person, is added to its entry in the audit, unless another came between."""

OUTDONE_REASON: Final = "a newer delivery of its event took its place"
"""Why a dead delivery that blocked its key was cancelled when its event came again."""


def replaced_reason(replay_id: str) -> str:
    """Say, for the operator, why a dead delivery that blocked its key was cancelled."""
    return f"replayed: {replay_id}"


def source_of_plan(plan: str) -> str | None:
    """Give the name that the source which a replay's plan chooses by has in the store now; None: it chooses by none."""
    try:
        found: dict[str, Any] = json.loads(plan)
        now: str | None = found.get("source_now") or found["chosen"].get("source")
    except (ValueError, KeyError, TypeError, AttributeError):  # of another version
        return None
    return now


def follow_source(plan: str, formerly: str, name: str) -> str:
    """Give a running replay's plan once the source `formerly` is called `name`; what was asked for stays legible."""
    if source_of_plan(plan) != formerly:
        return plan
    return json.dumps({**json.loads(plan), "source_now": name}, sort_keys=True)


class Position(NamedTuple):
    """How far a walk over deliveries has come: this one, and all before it, were looked at."""

    event_id: int = 0
    n: int = -1


class DeliveryFilter(NamedTuple):
    """Which deliveries an operator means; None = any."""

    states: tuple[State, ...]
    target: str | None = None
    source: str | None = None
    type_glob: str | None = None
    outcome: str | None = None
    """Of the last attempt: one of the outcomes in `AttemptRow`."""
    reason: str | None = None
    """Text that the last attempt's reason contains, in any case (of ASCII letters)."""
    replay: str | None = None
    """The replay that made them."""
    since: int | None = None
    """Of events accepted at this time or later."""
    until: int | None = None
    """Of events accepted before this time."""
    event_id: int | None = None
    n: int | None = None


class EventFilter(NamedTuple):
    """Which events an operator means; None = any."""

    source: str | None = None
    without_source: str | None = None
    type_glob: str | None = None
    hold: HoldReason | None = None
    since: int | None = None
    until: int | None = None
    event_ids: tuple[int, ...] = ()
    """If there are any, only these, whatever the rest says; in rising order."""


class SelectedDeliveries(NamedTuple):
    """One step of a walk over deliveries."""

    found: Sequence[Number]
    position: Position | None
    """Where the next step begins; None: there is nothing more."""


class Replayable(NamedTuple):
    """An event to plan again."""

    event: StoredEvent
    targets: tuple[str, ...]
    """Those it was planned for before, in any state."""


class SelectedEvents(NamedTuple):
    """One step of a walk over events."""

    found: Sequence[Replayable]
    position: int | None
    """The last event that was looked at; None: there is nothing more."""


class CountedEvents(NamedTuple):
    """One step of a count of events."""

    events: int
    position: int | None


class Note(NamedTuple):
    """Who does something by hand, to what, and why, for the audit."""

    who: str
    subject: str
    reason: str = ""


class Replay(NamedTuple):
    """One replay, as it is kept."""

    id: str
    asked_at: int
    who: str
    plan: str
    """What is replayed, where to and how fast, in a form of the daemon's own; `follow_source` keeps it true."""
    state: ReplayState = "running"
    position: int = 0
    """The last event that was looked at."""
    last: int = 0
    """The last event there was when it began: what came later is not replayed."""
    events: int = 0
    """Events planned again."""
    added: int = 0
    """Deliveries added."""
    left_out: int = 0
    """Deliveries not added because their target's `replay` key says so."""
    passed_over: int = 0
    """Events not planned: no route, no payload any more, or planned already since they were chosen."""
    ended_at: int | None = None
    reason: str = ""
    """Why it was cancelled."""


class Planned(NamedTuple):
    """The deliveries that a replay adds to one event."""

    event_id: int
    deliveries: Sequence[NewDelivery]
    """At least one."""


class Advance(NamedTuple):
    """One step of a replay: written whole, or not at all."""

    planned: Sequence[Planned]
    left_out: int
    passed_over: int
    position: int
    done: bool
    hold: HoldReason | None = None
    """Only events that are still held so get deliveries; None: all do."""


class AuditRow(NamedTuple):
    """What somebody did by hand."""

    id: int
    at: int
    who: str
    action: str
    subject: str
    affected: int
    """How many deliveries, or names."""
    reason: str


class Operator(Protocol):
    """The operator's part of a store. Errors and cancellation as in `gateway.store.contract.Store`."""

    async def select_deliveries(self, chosen: DeliveryFilter, after: Position, limit: int) -> SelectedDeliveries:
        """Name up to `limit` deliveries that `chosen` selects behind `after`, oldest first; maybe none of this step."""
        ...

    async def retry(self, deliveries: Sequence[Number], note: Note) -> int:
        """Make those of `deliveries` that are dead pending again, due now, attempts from 0; give their number."""
        ...

    async def cancel(self, deliveries: Sequence[Number], note: Note) -> int:
        """Cancel those that are pending or dead, with an attempt row that tells the note's reason; count them."""
        ...

    async def count_events(self, chosen: EventFilter, after: int) -> CountedEvents:
        """Count events that `chosen` selects behind the id `after`, one step."""
        ...

    async def select_events(self, chosen: EventFilter, after: int, last: int, limit: int) -> SelectedEvents:
        """Load up to `limit` events that `chosen` selects, from behind `after` to `last`, and at most some megabytes.

        Oldest first; of `event_ids` those that are not there are passed over.
        """
        ...

    async def begin_replay(self, replay: Replay) -> Replay | None:
        """Keep a new replay of what is in the store now; None, or the one that has its id. Durable on return."""
        ...

    async def advance_replay(self, replay_id: str, step: Advance) -> int | None:
        """Add a step's linked deliveries, due now, and keep how far the replay has come: one transaction.

        An event that has deliveries of this replay gets no more of them; one that is gone gets none, nor one that is
        no longer held as the step says: a repeat, or another replay, has planned it since. Gives the number added; None
        if the replay is not running: nothing was written. Where what is dead blocks its key, the event's dead
        deliveries to the same target are cancelled: those added take their place in the order.
        """
        ...

    async def cancel_replay(self, replay_id: str, note: Note) -> Replay | None:
        """End a running replay, for the note's reason; what it added stays. Give it; None if it is not running."""
        ...

    async def replays(self, limit: int, state: ReplayState | None = None) -> list[Replay]:
        """List replays, newest first."""
        ...

    async def replay(self, replay_id: str) -> Replay | None:
        """Give one replay."""
        ...

    async def audit(self, before: int | None, limit: int) -> list[AuditRow]:
        """List what was done by hand, newest first, below the number `before`."""
        ...
