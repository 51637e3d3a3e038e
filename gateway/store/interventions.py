"""What an operator does, inside a transaction: retry, cancel, rename (each leaves an audit row); gates and notes."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.store.audit import note_done
from gateway.store.codes import GATE_CODES, STATE_CODES, NameKind
from gateway.store.contract import Gate, GateKind, Rename
from gateway.store.ledger import Ledger, Renamed, Turn
from gateway.store.operator import Note, Number, follow_source
from gateway.store.order import relink
from gateway.store.statements import RowStatement, Values, load_statements
from gateway.store.values import REASON_MAX

_SQL: Final = load_statements("interventions")
_OPERATOR: Final = load_statements("operator")
_REVIVE: Final = RowStatement(_OPERATOR["revive"], 3)
_FIND_CANCELLABLE: Final = RowStatement(_OPERATOR["find_cancellable"], 2)
_CANCEL: Final = RowStatement(_OPERATOR["cancel"], 3)
_APPEND_CANCELLATIONS: Final = RowStatement(_OPERATOR["append_cancellations"], 5)
SLICE: Final = 500
"""Deliveries changed in one transaction at most, so that acceptances do not wait long."""


def retry_some(ledger: Ledger, turn: Turn, *, deliveries: Sequence[Number], note: Note) -> int:
    """Make those of `deliveries` that are dead due now, or let them wait their turn; give their number."""
    values: Values = []
    for event_id, n in deliveries:
        values += (event_id, n, turn.now)
    rows = _REVIVE.execute(ledger.cursor, values)
    for target, _ in rows:
        change = turn.changes[ledger.names.texts[target]]
        change.dead -= 1
        change.add_pending(1, turn.now)
    relink(ledger, turn, [(target, okey) for target, okey in rows if okey is not None])
    if rows:
        note_done(ledger, turn, "retry", note, len(rows))
    return len(rows)


def cancel_some(ledger: Ledger, turn: Turn, *, deliveries: Sequence[Number], note: Note) -> int:
    """Cancel those of `deliveries` that are pending or dead; give their number."""
    values: Values = []
    for number in deliveries:
        values += number
    rows = _FIND_CANCELLABLE.execute(ledger.cursor, values)
    _write_cancelled(ledger, turn, rows, note.reason[:REASON_MAX])
    for _, _, target, state, _, waits, _ in rows:
        change = turn.changes[ledger.names.texts[target]]
        if state == STATE_CODES["dead"]:
            change.dead -= 1
        else:
            change.pending -= 1
            change.waiting -= waits
    relink(ledger, turn, [(row[2], row[6]) for row in rows if row[6] is not None])
    if rows:
        note_done(ledger, turn, "cancel", note, len(rows))
    return len(rows)


def _write_cancelled(ledger: Ledger, turn: Turn, rows: Sequence[tuple[Any, ...]], reason: str) -> None:
    states: Values = []
    attempts: Values = []
    for event_id, n, _, _, claims, _, _ in rows:
        states += (event_id, n, turn.now)
        attempts += (event_id, n, claims + 1, turn.now, reason)
    _CANCEL.execute(ledger.cursor, states)
    _APPEND_CANCELLATIONS.execute(ledger.cursor, attempts)


def close_gate(ledger: Ledger, turn: Turn, gate: Gate) -> None:
    """Close a gate, or change why and until when."""
    del turn
    row = (ledger.names.targets[gate.target], GATE_CODES[gate.kind], gate.since, gate.until, gate.reason)
    ledger.cursor.execute(_SQL["close_gate"], row)


def open_gate(ledger: Ledger, turn: Turn, target: str, kind: GateKind) -> bool:
    """Open a gate; False if it was not closed."""
    del turn
    ledger.cursor.execute(_SQL["open_gate"], (ledger.names.targets.known(target), GATE_CODES[kind]))
    return ledger.connection.changes() == 1


def rename_all(ledger: Ledger, turn: Turn, renames: Sequence[Rename]) -> list[Rename]:
    """Let the numbers of former names stand for the new ones; give those carried out."""
    return [each for each in renames if _rename(ledger, turn, each)]


def _rename(ledger: Ledger, turn: Turn, wanted: Rename) -> bool:
    """False if the former name has no number, or the new one has one of its own."""
    kind, formerly, name, notes = wanted
    code = int(NameKind.TARGET if kind == "target" else NameKind.SOURCE)
    number = ledger.cursor.execute(_SQL["find_name"], (code, formerly)).get
    if number is None or ledger.cursor.execute(_SQL["find_name"], (code, name)).get is not None:
        return False
    ledger.cursor.execute(_SQL["rename"], (number, name))
    ledger.names.forget()
    ledger.cursor.executemany(_SQL["rename_note"], notes)
    if kind == "target":
        turn.renamed.append(Renamed(formerly, name, ledger.ids.mint(turn.now)))
    else:
        _follow_source(ledger, formerly, name)
    note_done(ledger, turn, "rename", Note("the configuration", f"{kind} {formerly}", f"is {name} now"), 1)
    return True


def _follow_source(ledger: Ledger, formerly: str, name: str) -> None:
    """Let running replays that choose by the source go on."""
    plans: list[tuple[Any, ...]] = ledger.cursor.execute(_OPERATOR["running_plans"]).fetchall()
    for replay_id, plan in plans:
        if (followed := follow_source(plan, formerly, name)) != plan:
            ledger.cursor.execute(_OPERATOR["plan_anew"], (replay_id, followed))


def keep_notes(ledger: Ledger, turn: Turn, notes: Mapping[str, bytes | None]) -> None:
    """Write or remove notes."""
    del turn
    for name, value in notes.items():
        if value is None:
            ledger.cursor.execute(_SQL["drop_note"], (name,))
        else:
            ledger.cursor.execute(_SQL["keep_note"], (name, value))


def probe(ledger: Ledger, turn: Turn) -> None:
    """Change one row, so that the commit is a real one."""
    del turn
    ledger.cursor.execute(_SQL["probe"])
    ledger.keys.save_clock()
