"""Dead deliveries that block their keys give way to newer ones of their events, inside a transaction."""

from collections.abc import Iterable
from typing import Any, Final

from gateway.store.ledger import Ledger, Turn
from gateway.store.order import Key
from gateway.store.statements import RowStatement, Values, load_statements

_SQL: Final = load_statements("operator")
_CANCEL: Final = RowStatement(_SQL["cancel"], 3)
_APPEND_CANCELLATIONS: Final = RowStatement(_SQL["append_cancellations"], 5)


def replace_dead(ledger: Ledger, turn: Turn, dead: Iterable[tuple[Any, ...]], reason: str) -> list[Key]:
    """Cancel dead deliveries that block their keys: what takes their place must not wait for them.

    Each comes as event, number, target, claims and key. Give the keys, for the next of each to go: today's rule may
    give what takes their place another.
    """
    states: Values = []
    attempts: Values = []
    keys: list[Key] = []
    for event, n, target, claims, okey in dead:
        states += (event, n, turn.now)
        attempts += (event, n, claims + 1, turn.now, reason)
        keys.append((target, okey))
        turn.changes[ledger.names.texts[target]].dead -= 1
    _CANCEL.execute(ledger.cursor, states)
    _APPEND_CANCELLATIONS.execute(ledger.cursor, attempts)
    return keys
