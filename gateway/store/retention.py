"""Removes what is old, in small batches by ranges of ids: first heads and bodies, then whole requests.

A request goes as one: while any delivery of any of its events is unsettled, nothing of it is touched, whatever its age.
The newest event stays, so that ids go on from it. Freed pages are used again; the file does not shrink (auto_vacuum
would cost every commit).
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

from gateway.store.contract import Keep
from gateway.store.ids import first_id
from gateway.store.ledger import Ledger, Turn
from gateway.store.order import relink
from gateway.store.statements import ListStatement, load_statements

_SQL: Final = load_statements("retention")
_LAST_EVENT: Final = load_statements("start")["last_event"]
_BLANK_REQUESTS: Final = ListStatement(_SQL["blank_requests"])
_FORGET: Final = ("forget_attempts", "forget_deliveries", "forget_events", "forget_requests")
ROWS: Final = 256
BYTES: Final = 16 * 1024 * 1024
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


class _Old(NamedTuple):
    """One request that is old enough to look at."""

    id: int
    size: int
    last_event: int
    state: int


class _Sweep:
    """A walk over the requests, oldest first; what must stay is looked at again by the next walk."""

    def __init__(self) -> None:
        self._position = 0
        self._kept: int | None = None
        self._sure: tuple[int, int | None] = (0, None)

    def begin(self) -> None:
        """Go on from where the last step that was committed ended."""
        self._position, self._kept = self._sure

    def committed(self) -> None:
        """What was removed is gone for good."""
        self._sure = self._position, self._kept

    def next(self, ledger: Ledger, below: int) -> tuple[list[_Old], bool]:
        """Give the next requests below the id `below`, and whether there are more."""
        rows: list[tuple[Any, ...]] = ledger.cursor.execute(
            _SQL["scan_requests"], (self._position, below, ROWS)
        ).fetchall()
        found: list[_Old] = []
        size = 0
        for row in rows:
            found.append(_Old(*row))
            size += found[-1].size
            if size > BYTES:
                break
        more = len(found) == ROWS or len(found) < len(rows)
        if found:
            self._position = found[-1].id
        return found, more

    def keep(self, old: _Old) -> None:
        """This one must stay for now."""
        if self._kept is None:
            self._kept = old.id

    def end(self) -> None:
        """The walk is over: the next one begins at what was kept."""
        if self._kept is not None:
            self._position, self._kept = self._kept - 1, None


class Retention:
    """The steps of retention, each one small transaction; remembers how far it came, in memory only.

    A step may be undone and done again; `committed` tells that it was not.
    """

    def __init__(self) -> None:
        self._blanking = _Sweep()
        self._forgetting = _Sweep()
        self.steps: tuple[Step, ...] = (self.blank, self.forget, self.expire_keys, self.forget_audit)

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
        found, more = self._blanking.next(ledger, first_id(now - keep.bodies))
        dead_below = first_id(now - keep.dead)
        chosen: list[_Old] = []
        for old in found:
            if old.state == _UNSETTLED or (old.state == _DEAD and old.id >= dead_below):
                self._blanking.keep(old)
            elif old.size:
                chosen.append(old)
        _BLANK_REQUESTS.run(ledger.cursor, [old.id for old in chosen])
        for first, last in _ranges(found, chosen):
            ledger.cursor.execute(_SQL["blank_parts"], (first, last))
        if not more:
            self._blanking.end()
        return Done(len(chosen), more)

    def forget(self, ledger: Ledger, turn: Turn, keep: Keep, now: int) -> Done:
        """Remove requests and all that came of them: past `keep.metadata`, and `keep.dead` where something is dead."""
        self._begin()
        found, more = self._forgetting.next(ledger, first_id(now - keep.metadata))
        dead_below = first_id(now - keep.dead)
        newest: int = ledger.cursor.execute(_LAST_EVENT).get
        chosen: list[_Old] = []
        for old in found:
            young = old.state == _DEAD and old.id >= dead_below
            if old.state == _UNSETTLED or young or old.last_event == newest:
                self._forgetting.keep(old)
            else:
                chosen.append(old)
        for span in _ranges(found, chosen):
            _forget_between(ledger, turn, span)
        if not more:
            self._forgetting.end()
        return Done(len(chosen), more)

    def expire_keys(self, ledger: Ledger, turn: Turn, keep: Keep, now: int) -> Done:
        """Remove de-dup keys that are older than the window and `keep.keys`."""
        del turn, now
        ledger.keys.save_clock()
        return Done(ledger.keys.expire_some(keep.keys, KEYS), more=False)

    def forget_audit(self, ledger: Ledger, turn: Turn, keep: Keep, now: int) -> Done:
        """Remove audit entries, and replays that ended, that are older than `keep.metadata`."""
        del turn
        removed = 0
        for name in ("forget_audit", "forget_replays"):
            ledger.cursor.execute(_SQL[name], (now - keep.metadata, ROWS))
            removed += ledger.connection.changes()
        return Done(removed, more=False)


def _forget_between(ledger: Ledger, turn: Turn, span: tuple[int, int]) -> None:
    dead: list[tuple[Any, ...]] = ledger.cursor.execute(_SQL["count_dead_between"], span).fetchall()
    freed: list[Any] = ledger.cursor.execute(_SQL["keys_of_dead_between"], span).fetchall() if dead else []
    for target, count in dead:
        turn.changes[ledger.names.texts[target]].dead -= count
    for name in _FORGET:
        ledger.cursor.execute(_SQL[name], span)
    relink(ledger, turn, freed)


def _ranges(found: Sequence[_Old], chosen: Sequence[_Old]) -> list[tuple[int, int]]:
    """Give the id ranges of `chosen`; those that are neighbours in `found` share one."""
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
            joined = True
    return ranges
