"""The walk of retention over the requests of a store: which ones are looked at, and when again.

It decides nothing about them; `gateway.store.retention` does.
"""

from array import array
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from gateway.store.ledger import Ledger
from gateway.store.statements import ListStatement, load_statements

_SQL: Final = load_statements("retention")
_SCAN_AGAIN: Final = ListStatement(_SQL["scan_again"])
ROWS: Final = 256
AGAIN: Final = 20_000
"""How many of those that had to stay are looked at again in a round."""
KEPT_MAX: Final = 1_000_000
"""How many are remembered, 8 bytes each. With more, a round may look at many in vain."""
BYTES: Final = 16 * 1024 * 1024
_NONE: Final = 2**63 - 1


class _Place(NamedTuple):
    """Where a step of a walk ended."""

    front: int
    again: int
    """How many it looked at again."""
    ends: bool
    """True if the round is over."""


class Old(NamedTuple):
    """One request that is old enough to look at."""

    id: int
    size: int
    last_event: int
    state: int


class Found(NamedTuple):
    """What a step looks at."""

    requests: list[Old]
    more: bool
    adjoining: bool
    """True if no other request lies between one of them and the next."""


class Sweep:
    """A walk over the requests, oldest first, in rounds; each is looked at once.

    What must stay is remembered and looked at again, so much of it in each round, so that a round costs what has come
    of age since the one before, however much else there is. Nothing is remembered of a step until it was committed.
    """

    def __init__(self) -> None:
        self._front = 0
        """Everything up to this id was looked at."""
        self._kept = array("q")
        """What had to stay, to be looked at again in this order."""
        self._again = 0
        """How many of these this round has yet to look at."""
        self._lost = _NONE
        """The first that had to stay and is not remembered."""
        self._stay: list[int] = []
        self._next: _Place | None = None

    def look_again(self, ids: Iterable[int]) -> None:
        """These may have come back to what they were before they were looked at; no step is under way."""
        back = sorted({each for each in ids if each <= self._front}.difference(self._kept))
        room = max(KEPT_MAX - len(self._kept), 0)
        self._lost = min([self._lost, *back[room:]])
        self._kept = array("q", back[:room]) + self._kept
        self._again += len(back[:room])

    def begin(self) -> None:
        """Go on from where the last step that was committed ended."""
        self._stay, self._next = [], None

    def next(self, ledger: Ledger, below: int) -> Found:
        """Give the next requests below the id `below`."""
        if self._again:
            return self._look_again(ledger, below)
        rows: list[tuple[Any, ...]] = ledger.cursor.execute(
            _SQL["scan_requests"], (self._front, below, ROWS)
        ).fetchall()
        found = _as_many_as_fit(rows)
        more = len(rows) == ROWS or len(found) < len(rows)
        self._next = _Place(found[-1].id if found else self._front, 0, ends=not more)
        return Found(found, more, adjoining=True)

    def _look_again(self, ledger: Ledger, below: int) -> Found:
        ids: list[int] = self._kept[: min(ROWS, self._again)].tolist()
        # What was old once is not any more where a reload says to keep for longer, or the clock went back.
        self._stay += [each for each in ids if each >= below]
        rows = _SCAN_AGAIN.run(ledger.cursor, [each for each in ids if each < below])
        found = _as_many_as_fit(rows)
        self._stay += [row[0] for row in rows[len(found) :]]
        self._next = _Place(self._front, len(ids), ends=False)
        return Found(found, more=True, adjoining=False)

    def keep(self, old: Old) -> None:
        """This one must stay for now."""
        self._stay.append(old.id)

    def committed(self) -> None:
        """What was removed is gone for good."""
        if self._next is None:
            return
        del self._kept[: self._next.again]
        self._again -= self._next.again
        self._front = self._next.front
        room = KEPT_MAX - len(self._kept)
        self._kept.extend(self._stay[:room])
        self._lost = min([self._lost, *self._stay[room:]])
        if self._next.ends:
            self._end()
        self.begin()

    def _end(self) -> None:
        """End a round: where something was not remembered, the next one walks from there on."""
        if self._lost < _NONE:
            self._front, self._lost = self._lost - 1, _NONE
            self._kept = array("q", (each for each in self._kept if each <= self._front))
        self._again = min(len(self._kept), AGAIN)


def _as_many_as_fit(rows: Sequence[tuple[Any, ...]]) -> list[Old]:
    """Give the first of `rows`, until there are so many bytes that a step would take too long."""
    found: list[Old] = []
    size = 0
    for row in rows:
        found.append(Old(*row))
        size += found[-1].size
        if size > BYTES:
            break
    return found
