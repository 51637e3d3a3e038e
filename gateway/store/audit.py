"""Writes down who did what by hand, and how many it changed, inside the transaction that changed it.

Many small transactions of one command are one entry.
"""

from typing import Final

from gateway.store.ledger import Ledger, Turn
from gateway.store.operator import SAME_MS, Note
from gateway.store.statements import load_statements
from gateway.store.values import REASON_MAX

_SQL: Final = load_statements("operator")


def note_done(ledger: Ledger, turn: Turn, action: str, note: Note, count: int) -> None:
    """Write an entry, or add `count` to the last one if it is of the same."""
    subject, reason = note.subject[:REASON_MAX], note.reason[:REASON_MAX]
    known = (count, note.who, action, subject, reason, turn.now - SAME_MS)
    ledger.cursor.execute(_SQL["add_to_audit"], known)
    if not ledger.connection.changes():
        ledger.cursor.execute(_SQL["append_audit"], (turn.now, note.who, action, subject, count, reason))
