"""The verb *claim* inside a transaction: due deliveries become ours, with the events to deliver."""

from collections.abc import Iterator
from typing import Any, Final

from gateway.core.model import Delivery, StoredEvent
from gateway.store.contract import Claim
from gateway.store.expiry import Expired, cancel_expired
from gateway.store.ledger import Ledger, Turn
from gateway.store.statements import RowStatement, Values, load_statements

_SQL: Final = load_statements("claim")
_TAKE_DUE: Final = RowStatement(_SQL["take_due"], 2)
LOOKED_AT_MAX: Final = 3000
"""Of what is due, so much is looked at to find what no replay brought: some milliseconds."""


def claim_due(ledger: Ledger, turn: Turn, *, target: str, limit: int, limit_bytes: int, now: int) -> list[Claim]:
    """Claim up to `limit` deliveries of `target` due at `now`, oldest first, until payloads exceed `limit_bytes`.

    What replays brought comes last, but where it keeps a live event of its key from its turn: that one would wait as
    long as live events keep the target busy. There is never much of it at once, so the others are found past it soon;
    where an operator retried very many, those may go first. What has expired is cancelled in passing, so that however
    many there are, they hide nobody behind them.
    """
    number = ledger.names.targets.known(target)
    if number is None:
        return []
    claims: list[Claim] = []
    chosen: Values = []
    expired: list[Expired] = []
    size = 0
    for row in _find_due(ledger, number, now, limit):
        claim = _claim(ledger, target, row)
        delivery = claim.delivery
        if delivery.expires_at is not None and delivery.expires_at <= now:
            expired.append(Expired(delivery.event_id, delivery.n, target, delivery.claims, delivery.expires_at))
            continue
        claims.append(claim)
        chosen += row[:2]
        size += len(claim.event.payload or b"")
        if size > limit_bytes:
            break
    if claims:
        _TAKE_DUE.execute(ledger.cursor, chosen)
    cancel_expired(ledger, turn, expired, now)
    change = turn.changes[target]
    change.pending -= len(claims)
    change.in_flight += len(claims)
    change.set_next_due(_next_due(ledger, number))
    return claims


def _find_due(ledger: Ledger, target: int, now: int, limit: int) -> Iterator[tuple[Any, ...]]:
    """Give what is due, lazily: what is not asked for is not read."""
    for of_replays in (0, 1):
        for row in ledger.cursor.execute(_SQL["find_due"], (target, now, limit, of_replays, LOOKED_AT_MAX)):
            limit -= 1
            yield row


def _claim(ledger: Ledger, target: str, row: tuple[Any, ...]) -> Claim:
    event_id, n, route, claims, attempts, interrupted, progress, accepted_at, *lasts = row[:10]
    source, credential, kind, version, occurred_at, head, body, part = row[10:]
    text = ledger.names.texts
    counts = (claims + 1, attempts, interrupted)
    delivery = Delivery(event_id, n, target, text[route], *counts, progress, accepted_at, *lasts)
    event = StoredEvent(
        event_id,
        text[source],
        text[credential],
        text[kind],
        text[version],
        occurred_at,
        accepted_at,
        head or b"",
        body,
        part,
    )
    return Claim(delivery, event)


def _next_due(ledger: Ledger, target: int) -> int | None:
    due: int | None = ledger.cursor.execute(_SQL["next_due"], (target,)).get
    return due
