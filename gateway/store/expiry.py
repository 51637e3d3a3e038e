"""Deliveries that are of no use any more: cancelled inside a transaction, each with an attempt row that tells why.

They are found by an index that holds the unsettled deliveries of targets with `expires` and no others; nothing here
scans what waits.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from gateway.core.lifecycle import expired_reason
from gateway.store.ledger import Ledger, Turn
from gateway.store.order import Key, relink
from gateway.store.statements import load_statements

_SQL: Final = load_statements("expiry")
BATCH: Final = 500
"""Deliveries cancelled in one transaction at most, so that acceptances do not wait long."""


class Expired(NamedTuple):
    """A pending delivery that has expired."""

    event_id: int
    n: int
    target: str
    try_number: int
    """The number of the attempt row: one more than its claims so far."""
    expires_at: int
    waits: bool = False
    """True if it waited for another of its key."""


def expire_some(ledger: Ledger, turn: Turn, *, now: int) -> None:
    """Cancel up to `BATCH` that have expired by `now`."""
    rows: Sequence[tuple[Any, ...]] = ledger.cursor.execute(_SQL["find_expired"], (now, BATCH)).fetchall()
    texts = ledger.names.texts
    cancel_expired(ledger, turn, [Expired(row[0], row[1], texts[row[2]], row[3] + 1, *row[4:]) for row in rows], now)


def cancel_expired(ledger: Ledger, turn: Turn, expired: Sequence[Expired], now: int) -> None:
    """Cancel these pending deliveries; those that waited for them go on."""
    keys: list[Key] = []
    for one in expired:
        target, key = ledger.cursor.execute(_SQL["cancel_expired"], (one.event_id, one.n, now)).get
        keys += [(target, key)] if key is not None else ()
        reason = expired_reason(one.expires_at)
        ledger.cursor.execute(_SQL["append_expiry"], (one.event_id, one.n, one.try_number, now, reason))
        turn.changes[one.target].pending -= 1
        turn.changes[one.target].waiting -= one.waits
        turn.expired[one.target] = turn.expired.get(one.target, 0) + 1
    relink(ledger, turn, keys)
