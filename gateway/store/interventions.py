"""What an operator does, inside a transaction: retry, replay, cancel, rename (with audit rows); gates and notes."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from gateway.store.accept import plan_more
from gateway.store.codes import GATE_CODES, STATE_CODES, NameKind
from gateway.store.contract import DeliveryQuery, Gate, GateKind, NewDelivery
from gateway.store.ledger import Ledger, Renamed, Turn
from gateway.store.order import relink
from gateway.store.statements import load_statements

_SQL: Final = load_statements("interventions")
SLICE: Final = 500
"""Deliveries changed in one transaction at most, so that acceptances do not wait long."""
_HIGHEST: Final = 2**63 - 1


def retry_some(ledger: Ledger, turn: Turn, *, query: DeliveryQuery, now: int, limit: int) -> int:
    """Make up to `limit` of the dead deliveries that `query` selects due at `now`; give their number."""
    if query.state not in (None, "dead"):
        return 0
    values = {**_selection(ledger, query, query.before), "now": now, "limit": limit}
    rows: list[tuple[Any, ...]] = ledger.cursor.execute(_SQL["revive_dead"], values).fetchall()
    for target, _ in rows:
        change = turn.changes[ledger.names.texts[target]]
        change.dead -= 1
        change.add_pending(1, now)
    relink(ledger, turn, [(target, okey) for target, okey in rows if okey is not None])
    _audit(ledger, turn, "retry", _subject(query), count=len(rows))
    return len(rows)


def cancel_some(
    ledger: Ledger, turn: Turn, *, query: DeliveryQuery, reason: str, now: int, limit: int, before: int | None
) -> tuple[int, int]:
    """Cancel up to `limit` pending and dead deliveries that `query` selects; give their number and lowest event id."""
    if query.state not in (None, "pending", "dead"):
        return 0, 0
    state = None if query.state is None else STATE_CODES[query.state]
    values = {**_selection(ledger, query, before), "state": state, "limit": limit}
    rows: list[tuple[Any, ...]] = ledger.cursor.execute(_SQL["select_cancellable"], values).fetchall()
    for event_id, n, target, found, claims, waits, _ in rows:
        ledger.cursor.execute(_SQL["cancel_delivery"], (event_id, n, now))
        ledger.cursor.execute(_SQL["append_cancellation"], (event_id, n, claims + 1, now, reason[:500]))
        change = turn.changes[ledger.names.texts[target]]
        if found == STATE_CODES["dead"]:
            change.dead -= 1
        else:
            change.pending -= 1
            change.waiting -= waits
    relink(ledger, turn, [(row[2], row[6]) for row in rows if row[6] is not None])
    _audit(ledger, turn, "cancel", _subject(query), count=len(rows), reason=reason)
    return len(rows), rows[-1][0] if rows else 0


def plan_again(ledger: Ledger, turn: Turn, event_id: int, deliveries: Sequence[NewDelivery], replay: str) -> int | None:
    """Add linked deliveries to a stored event, once for each replay id; None if there is no such event."""
    cursor = ledger.cursor
    if cursor.execute(_SQL["find_event"], (event_id,)).get is None:
        return None
    if cursor.execute(_SQL["find_replay"], (event_id, replay)).get is not None:
        return 0
    count = plan_more(ledger, turn, event_id, deliveries, replay)
    _audit(ledger, turn, "replay", str(event_id), count=count, reason=replay)
    return count


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


def rename(ledger: Ledger, turn: Turn, kind: Literal["target", "source"], formerly: str, name: str) -> bool:
    """Let the number of `formerly` stand for `name`; False if there is no such number, or `name` has one of its own."""
    code = int(NameKind.TARGET if kind == "target" else NameKind.SOURCE)
    number = ledger.cursor.execute(_SQL["find_name"], (code, formerly)).get
    if number is None or ledger.cursor.execute(_SQL["find_name"], (code, name)).get is not None:
        return False
    ledger.cursor.execute(_SQL["rename"], (number, name))
    ledger.names.forget()
    if kind == "target":
        turn.renamed.append(Renamed(formerly, name, ledger.ids.mint(turn.now)))
    _audit(ledger, turn, "rename", f"{kind} {formerly}", count=1, reason=name)
    return True


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


def _selection(ledger: Ledger, query: DeliveryQuery, before: int | None) -> dict[str, Any]:
    upto = _HIGHEST if before is None else before - 1
    target = None
    if query.target is not None:
        row = ledger.cursor.execute(_SQL["find_name"], (int(NameKind.TARGET), query.target)).get
        target = -1 if row is None else row
    return {"target": target, "event": query.event_id, "upto": upto}


def _subject(query: DeliveryQuery) -> str:
    chosen = {name: value for name, value in query._asdict().items() if value is not None}
    return " ".join(f"{name}={value}" for name, value in chosen.items())


def _audit(ledger: Ledger, turn: Turn, action: str, subject: str, *, count: int, reason: str = "") -> None:
    if count:
        ledger.cursor.execute(_SQL["append_audit"], (turn.now, action, subject, count, reason))
