"""A target is ordered otherwise than before, in small transactions: keys are taken, given anew, and turns assigned.

While the rule changes nobody claims for the target, and what is accepted has the new keys already; so each step need
only find what it has not met. Until the last one the rule on disk is empty: after a crash all is done again.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from gateway.core.model import StoredEvent
from gateway.store.codes import STATES
from gateway.store.contract import Ordering
from gateway.store.ledger import Ledger, Turn
from gateway.store.order import Key, key_number, read_orderings, relink, steady_ahead, supersede
from gateway.store.statements import RowStatement, Values, load_statements

_SQL: Final = load_statements("order")
_TAKE_KEYS: Final = RowStatement(_SQL["take_keys"], 4)
_GIVE_KEYS: Final = RowStatement(_SQL["give_keys"], 5)
SLICE: Final = 256
"""Deliveries or keys changed in one transaction."""
BYTES: Final = 4 * 1024 * 1024
"""Payload bytes read in one transaction, at most, but for the last."""
WALKS: Final = ("unkeyed_in_flight", "unkeyed_dead", "unkeyed_pending")
"""In this order: what changes its state meanwhile is met by a later one."""

KeyOf: TypeAlias = Callable[[StoredEvent], bytes | None]
Place: TypeAlias = tuple[int, int, int]
START: Final[Place] = (-1, -1, -1)


class Given(NamedTuple):
    """How far a walk came."""

    keys: int
    after: Place
    more: bool


class Begun(NamedTuple):
    """What is to be done for a target."""

    target: int
    """Its number, which stays when it is renamed meanwhile."""
    rekey: bool
    """True if its keys must be given anew."""


def begin(ledger: Ledger, turn: Turn, *, target: str, ordering: Ordering | None) -> Begun | None:
    """Note how `target` will be ordered; None if it is ordered so already."""
    number = ledger.names.targets[target] if ordering is not None else ledger.names.targets.known(target)
    kept = None if number is None else read_orderings(ledger).get(number)
    if number is None or kept == ordering == ledger.orderings.get(number):
        return None
    rekey = kept is None or ordering is None or kept.rule != ordering.rule
    if rekey:
        finish(ledger, turn, target=number, ordering=(ordering or kept or Ordering(""))._replace(rule=""))
    else:
        turn.orderings[number] = ordering
    return Begun(number, rekey)


def take_keys(ledger: Ledger, turn: Turn, *, target: int) -> int:
    """Take the keys from some deliveries; give their number."""
    rows: list[tuple[Any, ...]] = ledger.cursor.execute(_SQL["find_keyed"], (target, SLICE)).fetchall()
    clocks = (turn.now, steady_ahead(ledger, turn))
    _TAKE_KEYS.execute(ledger.cursor, [value for event_id, n, _ in rows for value in (event_id, n, *clocks)])
    change = turn.changes[ledger.names.texts[target]]
    change.waiting -= sum(waits for _, _, waits in rows)
    change.add_pending(0, turn.now)
    return len(rows)


def give_keys(ledger: Ledger, turn: Turn, *, target: int, walk: str, after: Place, key_of: KeyOf) -> Given:
    """Ask for the keys of some deliveries behind `after`, and let those that have one wait."""
    rows: Values = []
    change, clocks = turn.changes[ledger.names.texts[target]], (turn.now, steady_ahead(ledger, turn))
    count = size = 0
    for row in ledger.cursor.execute(_SQL[walk], (target, *after)):
        event_id, n, place, state = row[:4]
        after = (place, event_id, n)
        count += 1
        event = _event(ledger, event_id, row[4:])
        if (digest := key_of(event)) is not None:
            rows += (event_id, n, key_number(ledger, event.source, digest), *clocks)
            change.waiting += STATES[state] == "pending"
        size += len(event.payload or b"")
        if count == SLICE or size > BYTES:
            break
    _GIVE_KEYS.execute(ledger.cursor, rows)
    return Given(len(rows) // 5, after, count == SLICE or size > BYTES)


def assign_turns(ledger: Ledger, turn: Turn, *, target: int, after: bytes) -> bytes | None:
    """Relink some keys behind `after`; give the last one, None if there are no more."""
    rows: list[tuple[Any, ...]] = ledger.cursor.execute(_SQL["next_keys"], (target, after, SLICE)).fetchall()
    keys: list[Key] = [(target, key) for (key,) in rows]
    if ledger.keeps_latest(target) and supersede(ledger, turn, keys):
        return after  # there may be many more of these keys
    relink(ledger, turn, keys)
    return keys[-1][1] if len(keys) == SLICE else None


def finish(ledger: Ledger, turn: Turn, *, target: int, ordering: Ordering | None) -> None:
    """Everything has its key and its turn: note the rule."""
    if ordering is None:
        ledger.cursor.execute(_SQL["forget_ordering"], (target,))
    else:
        row = (target, ordering.rule, ordering.on_dead == "block", ordering.keep == "latest")
        ledger.cursor.execute(_SQL["save_ordering"], row)
    turn.orderings[target] = ordering


def _event(ledger: Ledger, event_id: int, row: tuple[Any, ...]) -> StoredEvent:
    text = ledger.names.texts
    source, credential, kind, version, occurred_at, accepted_at, head, body, part = row
    names = (text[source], text[credential], text[kind], text[version])
    return StoredEvent(event_id, *names, occurred_at, accepted_at, head or b"", body, part)
