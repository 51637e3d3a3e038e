"""What an operator may order: retry, cancel, replay; the values of it and what is answered. Done by `gateway.desk`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from gateway.replay_plan import ReplayPlan
from gateway.store.operator import DeliveryFilter, EventFilter, Position, Replay


class Asker(NamedTuple):
    """Who asks."""

    uid: int | None
    """What the kernel says; None: a TCP connection, with the token."""
    says: str = ""
    """The name that the command gave, which proves nothing."""


@dataclass(frozen=True, slots=True)
class DeliveryOrder:
    """Deliveries to retry or to cancel."""

    chosen: Sequence[DeliveryFilter]
    """All that any of them selects; with more than one, each names an event."""
    told: str
    """The same in words, for the log and the audit."""
    position: Position = field(default_factory=Position)
    """Where to begin: an order that is carried out in several requests goes on from the last one's end."""
    dry_run: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """What came of one request's share of an order."""

    count: int
    position: Position | None
    """Where the next request goes on; None: nothing is left."""


@dataclass(frozen=True, slots=True)
class EventProgress:
    """What came of one request's share of counting events."""

    count: int
    position: int | None


@dataclass(frozen=True, slots=True)
class ReplayStatus:
    """A replay, and why it does not go on just now."""

    replay: Replay
    waits: str
    again: bool = False
    """True: the id was given before, nothing new was begun."""


class Desk(Protocol):
    """The operator's orders. Whoever is cancelled stops waiting; what was begun is carried out.

    `asker` is who gives the order, for the log and the audit.
    """

    async def retry(self, order: DeliveryOrder, asker: Asker) -> Progress:
        """Make dead deliveries due now, for a second or so. Raises NotPossibleError for names that nobody knows."""
        ...

    async def cancel(self, order: DeliveryOrder, asker: Asker) -> Progress:
        """Cancel pending and dead deliveries, for a second or so. Raises NotPossibleError as `retry`."""
        ...

    async def count_events(self, chosen: EventFilter, after: int) -> EventProgress:
        """Count the events that a replay would look at, for a second or so."""
        ...

    async def replay(self, replay_id: str, plan: ReplayPlan, asker: Asker) -> ReplayStatus:
        """Begin a replay, or tell how the one of this id fares; waits a moment for its end.

        Raises NotPossibleError if it cannot be done, or the id stands for another one.
        """
        ...

    async def replays(self, limit: int) -> list[ReplayStatus]:
        """List replays, newest first."""
        ...

    async def find_replay(self, replay_id: str) -> ReplayStatus:
        """Give one replay. Raises NotPossibleError if there is none."""
        ...

    async def cancel_replay(self, replay_id: str, reason: str, asker: Asker) -> ReplayStatus:
        """End a running replay; what it added stays. Raises NotPossibleError if there is none, or it has ended."""
        ...
