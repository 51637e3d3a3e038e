"""What a step of the wall clock asks of the store: what waits is moved along, so that it waits as long as before.

The store keeps the latest wall-clock time by which something may have been written. It rises with the commits and is
lowered only once everything was moved; so a step that came while the store was closed, or one whose moves were cut
short by a crash, is found at the next start. Moving twice makes something due early, never late, and loses nothing.
A step forward while the store was closed cannot be told from time that went by, and one whose moves are cut short
leaves the rest due early.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import apsw

from gateway.store.ledger import Ledger, Turn
from gateway.store.statements import load_statements

_SQL: Final = load_statements("steps")
SAVE_EVERY_MS: Final = 5_000
CLOSED_STEP_MS: Final = 60_000
"""A step this large while the store was closed is minded; less delays nothing for longer than that."""
_HIGHEST: Final = 2**63 - 1


class Place(NamedTuple):
    """A place in the line of what waits for one target."""

    due: int
    event_id: int
    n: int


FIRST: Final = Place(-1, -1, 0)
"""The place before everything."""
LAST: Final = Place(_HIGHEST, _HIGHEST, 0)
"""The place behind everything."""
AFTER_STEP_MS: Final = 10_000
"""What was accepted so short a time before a step back is found came after it."""


def after_due(now: int) -> Place:
    """Give the place behind everything that is due at `now`."""
    return Place(now, _HIGHEST, 0)


def move_some(
    ledger: Ledger, turn: Turn, *, target: str, by_ms: int, now: int, after: Place, limit: int
) -> tuple[int, Place]:
    """Move up to `limit` deliveries of `target` that wait behind `after`; give their number and the last one's place.

    They are taken earliest first and only ever move to before the place they were found at: none is moved twice.
    """
    number = ledger.names.targets.known(target)
    rows: Sequence[tuple[Any, ...]] = ledger.cursor.execute(_SQL["find_ahead"], (number, *after, limit)).fetchall()
    if not rows:
        return 0, after
    ledger.cursor.executemany(_SQL["move_one"], [(event_id, n, now, by_ms) for _, event_id, n in rows])
    turn.changes[target].add_pending(0, max(now, rows[0][0] - by_ms))
    return len(rows), Place(*rows[-1])


def move_some_on(
    ledger: Ledger, turn: Turn, *, target: str, by_ms: int, now: int, since_ms: int, before: Place, limit: int
) -> tuple[int, Place]:
    """Move up to `limit` deliveries of `target` that wait before `before` to `by_ms` later; as `move_some` else.

    They are taken latest first and move to behind the place they were found at. Those due in the last `since_ms` are
    of the time after the step. The earliest due time in memory stays as it is: a lower bound.
    """
    number = ledger.names.targets.known(target)
    values = (number, now - by_ms, now - since_ms, max(now, turn.now), *before, limit)
    rows: Sequence[tuple[Any, ...]] = ledger.cursor.execute(_SQL["find_behind"], values).fetchall()
    ledger.cursor.executemany(_SQL["move_one_on"], [(event_id, n, by_ms) for _, event_id, n in rows])
    return len(rows), Place(*rows[-1]) if rows else before


def move_expiry(
    ledger: Ledger, turn: Turn, *, by_ms: int, now: int, since_ms: int, place: Place, limit: int
) -> tuple[int, Place]:
    """Move when up to `limit` deliveries beyond `place` expire by `by_ms`, less than 0 for a step back.

    Only of those that had not expired before the step; what was accepted, or planned again, in the last
    `since_ms` is of the time after.
    """
    del turn
    find = _SQL["find_expiring_latest_first" if by_ms > 0 else "find_expiring_first_first"]
    rows: Sequence[tuple[Any, ...]] = ledger.cursor.execute(find, (now - by_ms, *place, limit)).fetchall()
    values = [(event_id, n, by_ms, now - since_ms, now) for _, event_id, n in rows]
    ledger.cursor.executemany(_SQL["move_expiry_of_one"], values)
    return len(rows), Place(*rows[-1]) if rows else place


def move_gates(ledger: Ledger, turn: Turn, *, by_ms: int, now: int) -> None:
    """Move the time at which probes may go through closed gates."""
    del turn
    ledger.cursor.execute(_SQL["move_gates"], (now, by_ms))


def lower_wall(ledger: Ledger, turn: Turn, *, now: int) -> None:
    """Everything was moved: `now` is the latest time by which anything was written."""
    ledger.cursor.execute(_SQL["save_wall"], (now,))
    turn.wall_ms = now


def raise_wall(ledger: Ledger, turn: Turn) -> None:
    """Keep the time of this transaction, every few seconds, if it is the latest so far."""
    if turn.wall_ms is None and turn.now - ledger.wall_ms > SAVE_EVERY_MS:
        ledger.cursor.execute(_SQL["save_wall"], (turn.now,))
        turn.wall_ms = turn.now


def catch_up(cursor: apsw.Cursor, now: int) -> tuple[int, str | None]:
    """At a start: move everything at once if the clock went back since; give the latest time, and what to tell."""
    wall: int = cursor.execute(_SQL["read_wall"]).get
    by_ms = wall - now
    if by_ms <= CLOSED_STEP_MS:
        latest = max(wall, now)
        cursor.execute(_SQL["save_wall"], (latest,))
        return latest, None
    cursor.execute(_SQL["move_all"], (now, by_ms))
    cursor.execute(_SQL["move_gates"], (now, by_ms))
    cursor.execute(_SQL["move_all_expiry"], (wall, by_ms))
    cursor.execute(_SQL["save_wall"], (now,))
    return now, (
        f"the clock went back by at least {by_ms // 1000} s since the store was last open: what waits for its time was "
        "moved back along with it; check the clock"
    )
