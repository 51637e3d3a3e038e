"""What waits for each target, in memory: the trio thread owns it, and each commit tells how it changed.

`pending`, `in_flight` and `dead` are exact for what is committed; `next_due` is a lower bound, made exact again by each
claim.
"""

from dataclasses import dataclass

from gateway.store.contract import Backlog


@dataclass(slots=True)
class Change:
    """How one target's backlog changed in one transaction."""

    pending: int = 0
    in_flight: int = 0
    dead: int = 0
    waiting: int = 0
    due: int | None = None
    """The earliest new due time."""
    exact_due: bool = False
    """True: `due` is the earliest of all (None = nothing is pending), not only of what is new."""

    def add_pending(self, count: int, due: int | None) -> None:
        """`count` deliveries have become pending, the earliest due at `due`."""
        self.pending += count
        if due is not None and (self.due is None or due < self.due):
            self.due = due

    def set_next_due(self, due: int | None) -> None:
        """The transaction looked: the earliest pending one is due at `due`."""
        self.due, self.exact_due = due, True


class Changes(dict[str, Change]):
    """How the backlogs changed in one transaction, by target."""

    def __missing__(self, target: str) -> Change:
        """Start with no change."""
        change = self[target] = Change()
        return change

    def add(self, others: "Changes") -> None:
        """Add what a part of the transaction changed."""
        for target, other in others.items():
            change = self[target]
            change.pending += other.pending
            change.in_flight += other.in_flight
            change.dead += other.dead
            change.waiting += other.waiting
            if other.exact_due:
                change.set_next_due(other.due)
            else:
                change.add_pending(0, other.due)


class Backlogs:
    """The backlog of every target that has one."""

    def __init__(self) -> None:
        self._targets: dict[str, Backlog] = {}

    def of(self, target: str) -> Backlog:
        """Tell what waits for `target`."""
        return self._targets.get(target, _EMPTY)

    def targets(self) -> list[str]:
        """Name every target that something is known of."""
        return sorted(self._targets)

    def apply(self, changes: Changes) -> None:
        """Take over what a committed transaction changed."""
        for target, change in changes.items():
            old = self.of(target)
            new = Backlog(
                old.pending + change.pending,
                old.in_flight + change.in_flight,
                old.dead + change.dead,
                change.due if change.exact_due else _earlier(old.next_due, change.due),
                old.waiting + change.waiting,
            )
            if new.pending or new.in_flight or new.dead:
                self._targets[target] = new if new.pending else new._replace(next_due=None)
            else:
                self._targets.pop(target, None)

    def rename(self, formerly: str, name: str) -> None:
        """`name` now owns what waited for `formerly`, besides what has come for it since."""
        old, new = self._targets.pop(formerly, _EMPTY), self.of(name)
        counts = (old.pending + new.pending, old.in_flight + new.in_flight, old.dead + new.dead)
        if any(counts):
            self._targets[name] = Backlog(*counts, _earlier(old.next_due, new.next_due), old.waiting + new.waiting)


_EMPTY = Backlog()


def _earlier(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)
