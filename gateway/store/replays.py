"""Replays inside a transaction: begun, carried on step by step, ended; each step is written whole with its progress.

A process that is killed between two steps goes on from the last one: nothing is planned twice, nothing is left out.
"""

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from gateway.store.audit import note_done
from gateway.store.codes import HOLD_CODES
from gateway.store.contract import NewDelivery
from gateway.store.ledger import Ledger, Turn
from gateway.store.operator import Advance, Note, Replay, replaced_reason
from gateway.store.order import Key, blocks, key_number, relink
from gateway.store.replacing import replace_dead
from gateway.store.selecting import as_replay
from gateway.store.statements import ListStatement, RowStatement, Values, load_statements
from gateway.store.values import REASON_MAX

_SQL: Final = load_statements("operator")
_FIND_NUMBERS: Final = RowStatement(_SQL["find_numbers"], 3)
_INSERT: Final = RowStatement(_SQL["insert_replayed"], 9)
_FIND_REPLACED: Final = RowStatement(_SQL["find_replaced"], 2)
_RELEASE: Final = ListStatement(_SQL["release_holds"])


def begin(ledger: Ledger, turn: Turn, replay: Replay) -> Replay | None:
    """Keep a new replay; None, or the one that has its id."""
    del turn
    known: list[tuple[Any, ...]] = ledger.cursor.execute(_SQL["replay"], (replay.id,)).fetchall()
    if known:
        return as_replay(known[0])
    ledger.cursor.execute(_SQL["begin_replay"], (replay.id, replay.asked_at, replay.who, replay.plan))
    return None


def advance(ledger: Ledger, turn: Turn, replay_id: str, step: Advance) -> int | None:
    """Write one step; give the number of deliveries added, None if the replay is not running."""
    if ledger.cursor.execute(_SQL["find_running"], (replay_id,)).get is None:
        return None
    fresh = _fresh(ledger, step, replay_id)
    _insert(ledger, turn, fresh, replay_id)
    added = sum(len(each.deliveries) for each in fresh)
    counts = (len(fresh), added, step.left_out, step.passed_over + len(step.planned) - len(fresh))
    ended = turn.now if step.done else None
    ledger.cursor.execute(_SQL["advance_replay"], (replay_id, step.position, *counts, int(step.done), ended))
    if step.done:
        replay = _read(ledger, replay_id)
        _note_end(ledger, turn, replay, "replay", Note(replay.who, ""))
    return added


def cancel(ledger: Ledger, turn: Turn, replay_id: str, note: Note) -> Replay | None:
    """End a running replay; None if it is not running."""
    ledger.cursor.execute(_SQL["cancel_replay"], (replay_id, turn.now, note.reason[:REASON_MAX]))
    if not ledger.connection.changes():
        return None
    ended = _read(ledger, replay_id)
    _note_end(ledger, turn, ended, "cancel replay", note)
    return ended


def _read(ledger: Ledger, replay_id: str) -> Replay:
    return as_replay(ledger.cursor.execute(_SQL["replay"], (replay_id,)).get)


class _Fresh(NamedTuple):
    """An event that gets deliveries."""

    event_id: int
    source: int
    first: int
    """The number of the first of them."""
    deliveries: Sequence[NewDelivery]


def _fresh(ledger: Ledger, step: Advance, replay_id: str) -> list[_Fresh]:
    """Give those that are as they were when they were chosen, and have none of this replay.

    Meanwhile retention may have taken a payload, and a repeat may have planned what was held.
    """
    values: Values = []
    for each in step.planned:
        values += (each.event_id, replay_id, HOLD_CODES[step.hold])
    rows = _FIND_NUMBERS.execute(ledger.cursor, values)
    found = {event: (source, first) for event, source, first, there in rows if not there}
    return [_Fresh(event, *found[event], deliveries) for event, deliveries in step.planned if event in found]


def _insert(ledger: Ledger, turn: Turn, fresh: Sequence[_Fresh], replay_id: str) -> None:
    names = ledger.names
    values: Values = []
    keys: list[Key] = []
    blocked: Values = []
    for event, source, first, deliveries in fresh:
        for n, (route, target, _, expires_ms, digest) in enumerate(deliveries, first):
            number, key = names.targets[target], None
            expires = None if expires_ms is None else turn.now + expires_ms
            if digest is not None:
                key = key_number(ledger, names.texts[source], digest)
                keys.append((number, key))
                blocked += (event, number) if blocks(ledger, number) else ()
            planned_at = None if expires is None else turn.now
            values += (event, n, names.routes[route], number, turn.now, replay_id, expires, planned_at, key)
            turn.changes[target].add_pending(1, turn.now)
    keys += replace_dead(ledger, turn, _FIND_REPLACED.execute(ledger.cursor, blocked), replaced_reason(replay_id))
    _INSERT.execute(ledger.cursor, values)
    relink(ledger, turn, keys)
    _RELEASE.run(ledger.cursor, [each.event_id for each in fresh])


def _note_end(ledger: Ledger, turn: Turn, replay: Replay, action: str, note: Note) -> None:
    subject = f"{replay.id}: {_told(replay.plan)}" if action == "replay" else replay.id
    note_done(ledger, turn, action, note._replace(subject=subject), replay.added)


def _told(plan: str) -> str:
    """Say what a plan selects, as it was asked for."""
    try:
        return str(json.loads(plan)["told"])
    except (ValueError, KeyError, TypeError):
        return plan
