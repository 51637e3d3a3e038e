"""What a repeat does for the event that it repeats, inside a transaction: a provider's "resend" button is a retry.

Its dead deliveries are due again; if no route had taken it, it is planned; and what retention took of it is there
again, since the repeat brought it along.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from gateway.store.codes import HOLD_CODES
from gateway.store.contract import Acceptance, NewDelivery, NewEvent, Verdict
from gateway.store.ledger import Ledger, Turn
from gateway.store.operator import OUTDONE_REASON
from gateway.store.order import Key, blocks, key_number, relink
from gateway.store.replacing import replace_dead
from gateway.store.statements import ListStatement, load_statements

_SQL: Final = load_statements("repeats")
_FIND: Final = ListStatement(_SQL["find_repeats_to_act_on"])


class Repeat(NamedTuple):
    """An event that came again."""

    place: tuple[int, int]
    """Which offer's, and which of its events it is."""
    event_id: int
    acceptance: Acceptance
    new: NewEvent


def act_on_repeats(ledger: Ledger, turn: Turn, repeats: Sequence[Repeat]) -> Iterator[tuple[tuple[int, int], Verdict]]:
    """Revive the dead deliveries of repeated events, plan those that no route had taken; give the verdicts of both."""
    if not repeats:
        return
    held = dict(_FIND.run(ledger.cursor, sorted({repeat.event_id for repeat in repeats})))
    for repeat in repeats:
        if repeat.event_id not in held:
            continue
        revived = revive(ledger, turn, repeat.event_id)
        if held.pop(repeat.event_id) == HOLD_CODES["unmatched"] and repeat.new.deliveries:
            revived += plan_more(ledger, turn, repeat.event_id, repeat.new.deliveries)
        if revived:
            _restore(ledger, repeat)
        yield repeat.place, Verdict("duplicate", repeat.event_id, revived)


def _restore(ledger: Ledger, repeat: Repeat) -> None:
    """Give an event what retention took: its message, or if that brought others, too, its payload alone."""
    cursor = ledger.cursor
    taken: tuple[int, int | None, int | None] | None = cursor.execute(_SQL["find_taken"], (repeat.event_id,)).fetchone()
    if taken is None:
        return
    (request, *neighbours), (head, body, *_), part = taken, repeat.acceptance, repeat.new.event.part
    if request in neighbours:
        cursor.execute(_SQL["restore_part"], (repeat.event_id, body if part is None else part))
    else:
        cursor.execute(_SQL["restore_request"], (request, head, body))
        cursor.execute(_SQL["restore_part"], (repeat.event_id, part))


def revive(ledger: Ledger, turn: Turn, event_id: int) -> int:
    """Make an event's dead deliveries due now, or let them wait their turn; give their number.

    A replay gives an event more than one to a target: none is revived where the target has the event or will get it by
    another, and of several that are dead only the newest. None of them waits for an older one of its own event.
    """
    rows: list[tuple[Any, ...]] = ledger.cursor.execute(_SQL["revive_event"], (event_id, turn.now)).fetchall()
    for target, _ in rows:
        change = turn.changes[ledger.names.texts[target]]
        change.dead -= 1
        change.add_pending(1, turn.now)
    keys = [(target, okey) for target, okey in rows if okey is not None]
    outdone: list[tuple[Any, ...]] = ledger.cursor.execute(_SQL["find_outdone"], (event_id,)).fetchall()
    keys += replace_dead(ledger, turn, (row for row in outdone if blocks(ledger, row[2])), OUTDONE_REASON)
    relink(ledger, turn, keys)
    return len(rows)


def plan_more(ledger: Ledger, turn: Turn, event_id: int, planned: Sequence[NewDelivery]) -> int:
    """Add deliveries to a stored event, due now whatever their `admitted` says, or waiting; give their number."""
    cursor, names = ledger.cursor, ledger.names
    first: int = cursor.execute(_SQL["next_number"], (event_id,)).get
    keys: list[Key] = []
    for n, (route, target, _, expires_ms, digest) in enumerate(planned, first):
        expires = None if expires_ms is None else turn.now + expires_ms
        number, key = names.targets[target], None
        if digest is not None:
            key = key_number(ledger, names.texts[cursor.execute(_SQL["source_of"], (event_id,)).get], digest)
            keys.append((number, key))
        row = (event_id, n, names.routes[route], number, turn.now, expires, None if expires is None else turn.now, key)
        cursor.execute(_SQL["plan_delivery"], row)
        turn.changes[target].add_pending(1, turn.now)
    relink(ledger, turn, keys)
    cursor.execute(_SQL["release_hold"], (event_id,))
    return len(planned)
