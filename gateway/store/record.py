"""The verb *record* inside a transaction: next states and attempts, each only if our claim still holds."""

from collections.abc import Sequence
from typing import Final

from gateway.core.model import UNSETTLED
from gateway.store.codes import OUTCOME_CODES, STATE_CODES
from gateway.store.contract import Record
from gateway.store.ledger import Ledger, Turn
from gateway.store.order import relink_records
from gateway.store.statements import RowStatement, Values, load_statements
from gateway.store.values import REASON_MAX

_SQL: Final = load_statements("record")
_WRITE_STATES: Final = RowStatement(_SQL["write_states"], 9)
_APPEND_ATTEMPTS: Final = RowStatement(_SQL["append_attempts"], 7)


class StaleRecordsError(Exception):
    """Some of many records no longer hold their claim; they must be written one by one to tell which."""


def record_all(ledger: Ledger, turn: Turn, records: Sequence[Record]) -> None:
    """Write all `records`; raises StaleRecordsError, with a half-written transaction, if any claim no longer holds."""
    before = ledger.connection.total_changes()
    _WRITE_STATES.execute(ledger.cursor, _states(records, turn.now))
    if ledger.connection.total_changes() - before != len(records):
        raise StaleRecordsError
    _append(ledger, turn, records)


def record_each(ledger: Ledger, turn: Turn, records: Sequence[Record]) -> list[bool]:
    """Write `records` one by one; True for each whose claim still held."""
    taken: list[bool] = []
    for record in records:
        _WRITE_STATES.execute(ledger.cursor, _states([record], turn.now))
        taken.append(ledger.connection.changes() == 1)
    _append(ledger, turn, [record for record, held in zip(records, taken, strict=True) if held])
    return taken


def _append(ledger: Ledger, turn: Turn, records: Sequence[Record]) -> None:
    tries: Values = []
    for record in records:
        change = turn.changes[ledger.owner(record.target, record.event_id, record.n)]
        change.in_flight -= 1
        if record.state == "pending":
            change.add_pending(1, record.due)
        elif record.state == "dead":
            change.dead += 1
        if (tried := record.attempt) is not None:
            code = OUTCOME_CODES[tried.outcome]
            key = (record.event_id, record.n, record.claims)
            tries += (*key, tried.started_at, tried.took_ms, code, tried.reason[:REASON_MAX])
    _APPEND_ATTEMPTS.execute(ledger.cursor, tries)
    if ledger.orderings:
        relink_records(ledger, turn, records)


def _states(records: Sequence[Record], now: int) -> Values:
    values: Values = []
    for record in records:
        state = record.state
        settled_at = None if state in UNSETTLED else now
        row = (record.event_id, record.n, record.claims, STATE_CODES[state], record.due, record.attempts)
        values += (*row, record.progress, settled_at, record.waited)
    return values
