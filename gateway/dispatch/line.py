"""One target's deliveries that wait in memory for a worker: fresh and old ones in turn, suspects last and alone.

Of each kind the sources take turns, too: one that floods the target does not keep another's events waiting.
"""

from collections import deque
from typing import NamedTuple

from gateway.core.lifecycle import runs_alone
from gateway.store.contract import Claim


class Slot(NamedTuple):
    """A delivery that holds a slot in its target's window."""

    claim: Claim
    size: int
    fresh: bool
    """True if it came straight from `accept`, False if it was claimed from the store."""
    resource: bytes | None = None
    """What was fetched for it, as JSON; None if nothing was needed, or has been yet."""


class Turns:
    """Deliveries of several sources, each source's in their order, one of each in turn."""

    def __init__(self) -> None:
        self._sources: dict[str, deque[Slot]] = {}
        self._next: deque[str] = deque()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, slot: Slot) -> None:
        """Put one at the end of its source's."""
        source = slot.claim.event.source
        waiting = self._sources.get(source)
        if waiting is None:
            waiting = self._sources[source] = deque()
            self._next.append(source)
        waiting.append(slot)
        self._count += 1

    def popleft(self) -> Slot:
        """Take the first of the source whose turn it is; there must be one."""
        source = self._next.popleft()
        waiting = self._sources[source]
        slot = waiting.popleft()
        self._count -= 1
        if waiting:
            self._next.append(source)
        else:
            del self._sources[source]
        return slot

    def clear(self) -> list[Slot]:
        """Take all there is."""
        slots = [slot for waiting in self._sources.values() for slot in waiting]
        self._sources.clear()
        self._next.clear()
        self._count = 0
        return slots


class Line:
    """Who is next.

    An old backlog never keeps a fresh event waiting for more than one other, nor the other way round.
    """

    def __init__(self) -> None:
        self._fresh = Turns()
        self._old = Turns()
        self._suspects: deque[Slot] = deque()
        self._fresh_turn = True

    def __len__(self) -> int:
        return len(self._fresh) + len(self._old)

    def add(self, slot: Slot) -> None:
        """Put a delivery at the end of its kind."""
        if slot.fresh:
            self._fresh.append(slot)
        elif runs_alone(slot.claim.delivery):
            self._suspects.append(slot)
        else:
            self._old.append(slot)

    def next(self) -> Slot:
        """Take the next one that is no suspect; there must be one."""
        first, second = (self._fresh, self._old) if self._fresh_turn else (self._old, self._fresh)
        self._fresh_turn = not self._fresh_turn
        return (first or second).popleft()

    @property
    def suspects(self) -> int:
        """How many suspects wait."""
        return len(self._suspects)

    def next_suspect(self) -> Slot | None:
        """Take the next suspect; None if there is none."""
        return self._suspects.popleft() if self._suspects else None

    def clear(self) -> list[Slot]:
        """Take all there is."""
        slots = [*self._fresh.clear(), *self._old.clear(), *self._suspects]
        self._suspects.clear()
        return slots
