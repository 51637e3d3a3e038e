"""Removes what is old, in small batches by ranges of ids: first heads and bodies, then whole requests.

A request goes as one: while any delivery of any of its events is unsettled, nothing of it is touched, whatever its age.
The newest event stays, so that ids go on from it. Freed pages are used again; the file does not shrink (auto_vacuum
would cost every commit).
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from gateway.store.contract import Keep
from gateway.store.ids import first_id
from gateway.store.ledger import Ledger, Turn
from gateway.store.order import relink
from gateway.store.statements import ListStatement, load_statements
from gateway.store.sweep import Old, Sweep

_SQL: Final = load_statements("retention")
_LAST_EVENT: Final = load_statements("start")["last_event"]
_REQUESTS_OF: Final = ListStatement(_SQL["requests_of"])
_BLANK_REQUESTS: Final = ListStatement(_SQL["blank_requests"])
_FORGET: Final = ("forget_attempts", "forget_deliveries", "forget_events", "forget_requests")
ROWS: Final = 256
KEYS: Final = 5000
_UNSETTLED: Final = 2
_DEAD: Final = 1


class Done(NamedTuple):
    """What one step removed, and whether it has more to look at."""

    removed: int
    more: bool


class Step(Protocol):
    """One step of retention, inside a transaction."""

    def __call__(self, ledger: Ledger, turn: Turn, keep: Keep, now: int) -> Done:
        """Remove a batch."""
        ...


class Retention:
    """The steps of retention, each one small transaction; remembers how far it came, in memory only.

    A step may be undone and done again; `committed` tells that it was not.
    """

    def __init__(self) -> None:
        self._blanking = Sweep()
        self._forgetting = Sweep()
        self.steps: tuple[Step, ...] = (self.blank, self.forget, self.expire_keys, self.forget_audit)
        self._turn = 0

    @property
    def step(self) -> Step:
        """The step whose turn it is: until it has nothing more to look at."""
        return self.steps[self._turn]

    def turn(self) -> None:
        """It is the next one's turn, so that none waits for another to be done for good."""
        self._turn = (self._turn + 1) % len(self.steps)

    def look_again(self, requests: Iterable[int]) -> None:
        """A repeat may have brought back what was taken of these; no step is under way."""
        self._blanking.look_again(requests)

    def committed(self) -> None:
        """The last step was committed; no step is under way."""
        self._blanking.committed()
        self._forgetting.committed()

    def _begin(self) -> None:
        """Forget what steps did that were undone."""
        self._blanking.begin()
        self._forgetting.begin()

    def blank(self, ledger: Ledger, turn: Turn, keep: Keep, now: int) -> Done:
        """Take heads, bodies and parts: past `keep.bodies`, and past `keep.dead` where something is dead."""
        del turn
        self._begin()
        found, more, adjoining = self._blanking.next(ledger, first_id(now - keep.bodies))
        dead_below = first_id(now - keep.dead)
        chosen: list[Old] = []
        for old in found:
            if old.state == _UNSETTLED or (old.state == _DEAD and old.id >= dead_below):
                self._blanking.keep(old)
            elif old.size:
                chosen.append(old)
        _BLANK_REQUESTS.run(ledger.cursor, [old.id for old in chosen])
        for first, last in _ranges(found, chosen, adjoining):
            ledger.cursor.execute(_SQL["blank_parts"], (first, last))
        return Done(len(chosen), more)

    def forget(self, ledger: Ledger, turn: Turn, keep: Keep, now: int) -> Done:
        """Remove requests and all that came of them: past `keep.metadata`, and `keep.dead` where something is dead."""
        self._begin()
        found, more, adjoining = self._forgetting.next(ledger, first_id(now - keep.metadata))
        dead_below = first_id(now - keep.dead)
        newest: int = ledger.cursor.execute(_LAST_EVENT).get
        chosen: list[Old] = []
        for old in found:
            young = old.state == _DEAD and old.id >= dead_below
            if old.state == _UNSETTLED or young or old.last_event == newest:
                self._forgetting.keep(old)
            else:
                chosen.append(old)
        for span in _ranges(found, chosen, adjoining):
            _forget_between(ledger, turn, span)
        return Done(len(chosen), more)

    def expire_keys(self, ledger: Ledger, turn: Turn, keep: Keep, now: int) -> Done:
        """Remove de-dup keys that are older than the window and `keep.keys`."""
        del turn, now
        ledger.keys.save_clock()
        removed = ledger.keys.expire_some(keep.keys, KEYS)
        return Done(removed, more=removed > 0)

    def forget_audit(self, ledger: Ledger, turn: Turn, keep: Keep, now: int) -> Done:
        """Remove audit entries, and replays that ended, that are older than `keep.metadata`."""
        del turn
        removed = 0
        for name in ("forget_audit", "forget_replays"):
            ledger.cursor.execute(_SQL[name], (now - keep.metadata, ROWS))
            removed += ledger.connection.changes()
        return Done(removed, more=removed > 0)


def requests_of(ledger: Ledger, turn: Turn, events: Sequence[int]) -> list[int]:
    """Give the requests of events."""
    del turn
    return [request for (request,) in _REQUESTS_OF.run(ledger.cursor, events)]


def _forget_between(ledger: Ledger, turn: Turn, span: tuple[int, int]) -> None:
    dead: list[tuple[Any, ...]] = ledger.cursor.execute(_SQL["count_dead_between"], span).fetchall()
    freed: list[Any] = ledger.cursor.execute(_SQL["keys_of_dead_between"], span).fetchall() if dead else []
    for target, count in dead:
        turn.changes[ledger.names.texts[target]].dead -= count
    for name in _FORGET:
        ledger.cursor.execute(_SQL[name], span)
    relink(ledger, turn, freed)


def _ranges(found: Sequence[Old], chosen: Sequence[Old], adjoining: bool) -> list[tuple[int, int]]:
    """Give the id ranges of `chosen`; those that are neighbours in `found` share one if they are `adjoining`."""
    ranges: list[tuple[int, int]] = []
    ids = {old.id for old in chosen}
    joined = False
    for old in found:
        if old.id not in ids:
            joined = False
        elif joined:
            ranges[-1] = (ranges[-1][0], old.last_event)
        else:
            ranges.append((old.id, old.last_event))
            joined = adjoining
    return ranges
