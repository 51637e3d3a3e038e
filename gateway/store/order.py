"""The order of deliveries that have a key, inside a transaction: whose turn it is.

Of one target and key only the oldest unsettled delivery has a due time, unless another is in flight or a dead one
blocks it; the others wait without one, so they cost a claim nothing. `relink` makes that true again after anything has
changed it, and belongs into the same transaction. One that lets an older one go first backs off no shorter for that.
Where only the latest is kept, it also cancels what a newer one makes needless.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, TypeAlias

from gateway.core.model import event_text
from gateway.store.codes import OUTCOME_CODES
from gateway.store.contract import Ordering, Record
from gateway.store.ledger import Ledger, Turn
from gateway.store.statements import RowStatement, Values, load_statements

_SQL: Final = load_statements("order")
_FIND_TAKEN: Final = RowStatement(_SQL["find_taken"], 3)
_FIND_KEYS: Final = RowStatement(_SQL["find_keys"], 2)
_FIND_LATE: Final = RowStatement(_SQL["find_late"], 3)
_DEMOTE: Final = RowStatement(_SQL["demote"], 4)
_FIND_NEXT: Final = RowStatement(_SQL["find_next"], 3)
_PROMOTE: Final = RowStatement(_SQL["promote"], 3)
_FIND_SUPERSEDED: Final = RowStatement(_SQL["find_superseded"], 2)
_CANCEL_SUPERSEDED: Final = RowStatement(_SQL["cancel_superseded"], 3)
_APPEND_ATTEMPTS: Final = RowStatement(load_statements("record")["append_attempts"], 7)
_BLOCK: Final = Ordering("")
SUPERSEDED_MAX: Final = 500
"""As the statement says, for each 256 keys."""

Key: TypeAlias = tuple[int, bytes]
"""The number of a target, and what `key_number` gives."""


def key_number(ledger: Ledger, source: str, digest: bytes) -> bytes:
    """Give the key as it is stored: a source's own, also after the source was renamed."""
    return ledger.names.sources[source].to_bytes(4, "big") + digest


def taken_keys(ledger: Ledger, keys: Collection[Key]) -> set[Key]:
    """Give those of `keys` whose next delivery must wait."""
    return set(_FIND_TAKEN.execute(ledger.cursor, _lines(ledger, sorted(keys)))) if keys else set()


def blocks(ledger: Ledger, target: int) -> bool:
    """Tell whether what is dead stops what comes after it of its key."""
    return ledger.orderings.get(target, _BLOCK).on_dead == "block"


def relink_records(ledger: Ledger, turn: Turn, records: Sequence[Record]) -> None:
    """Relink the keys of deliveries whose states were just written."""
    numbers, ordered = ledger.names.targets, ledger.orderings
    rows: Values = []
    for record in records:
        if numbers[ledger.owner(record.target, record.event_id, record.n)] in ordered:
            rows += (record.event_id, record.n)
    if rows:
        relink(ledger, turn, _FIND_KEYS.execute(ledger.cursor, rows))


def relink(ledger: Ledger, turn: Turn, keys: Iterable[Key]) -> None:
    """Give those of `keys` a due time whose turn it is, and take it from the others."""
    chosen = sorted(set(keys))
    if not chosen:
        return
    latest = [key for key in chosen if ledger.keeps_latest(key[0])]
    while latest and supersede(ledger, turn, latest) >= SUPERSEDED_MAX:
        pass
    lines = _lines(ledger, chosen)
    texts, changes, cursor = ledger.names.texts, turn.changes, ledger.cursor
    ahead = steady_ahead(ledger, turn)
    late: Values = []
    for target, event_id, n in _FIND_LATE.execute(cursor, lines):
        late += (event_id, n, turn.now, ahead)
        changes[texts[target]].waiting += 1
    _DEMOTE.execute(cursor, late)
    due: Values = []
    for target, event_id, n, resumes_at in _FIND_NEXT.execute(cursor, lines):
        at = turn.now if resumes_at is None else max(turn.now, resumes_at - ahead)
        due += (event_id, n, at)
        change = changes[texts[target]]
        change.waiting -= 1
        change.add_pending(0, at)
    _PROMOTE.execute(cursor, due)


def steady_ahead(ledger: Ledger, turn: Turn) -> int:
    """Give what the de-dup clock is ahead of the wall clock: by it a wait is kept over steps of the latter."""
    return ledger.keys.now() - turn.now


def supersede(ledger: Ledger, turn: Turn, keys: Iterable[Key]) -> int:
    """Cancel what waits of `keys` although a newer event does, about `SUPERSEDED_MAX` at once; give the number."""
    found = _FIND_SUPERSEDED.execute(ledger.cursor, [value for key in keys for value in key])
    cancelled: Values = []
    tries: Values = []
    for event_id, n, target, claims, waits, newest in found:
        cancelled += (event_id, n, turn.now)
        reason = f"superseded by {event_text(newest)}"
        tries += (event_id, n, claims + 1, turn.now, 0, OUTCOME_CODES["cancelled"], reason)
        change = turn.changes[ledger.names.texts[target]]
        change.pending -= 1
        change.waiting -= waits
    _CANCEL_SUPERSEDED.execute(ledger.cursor, cancelled)
    _APPEND_ATTEMPTS.execute(ledger.cursor, tries)
    return len(found)


def read_orderings(ledger: Ledger) -> dict[int, Ordering]:
    """Read how targets are ordered, by their numbers, as far as all that waits for them is in that order."""
    rows: list[tuple[Any, ...]] = ledger.cursor.execute(_SQL["list_orderings"]).fetchall()
    return {
        target: Ordering(rule, "block" if blocks else "skip", "latest" if latest else "all")
        for target, rule, blocks, latest in rows
    }


def _lines(ledger: Ledger, keys: Iterable[Key]) -> Values:
    values: Values = []
    for target, key in keys:
        values += (target, key, blocks(ledger, target))
    return values
