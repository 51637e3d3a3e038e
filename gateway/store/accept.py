"""The verb *accept* inside a transaction: many requests' events, deliveries and de-dup keys by a handful of statements.

It neither begins nor commits. If it raises, the transaction must be rolled back.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from gateway.core.model import Event
from gateway.store.codes import HOLD_CODES
from gateway.store.contract import Acceptance, NewEvent, Verdict
from gateway.store.keys import KeyClaim, KeyVerdict
from gateway.store.ledger import Ledger, Turn
from gateway.store.order import Key, key_number, relink, taken_keys
from gateway.store.repeats import Repeat, act_on_repeats
from gateway.store.statements import RowStatement, Values, load_statements

_SQL: Final = load_statements("accept")
_INSERT_REQUESTS: Final = RowStatement(_SQL["insert_requests"], 3)
_INSERT_EVENTS: Final = RowStatement(_SQL["insert_events"], 11)
_INSERT_DELIVERIES: Final = RowStatement(_SQL["insert_deliveries"], 10)
_CONFLICT: Final = HOLD_CODES["conflict"]


Numbers: TypeAlias = tuple[int, ...]


class Offer(NamedTuple):
    """One request to accept, and whether anybody still waits for it: if not, its deliveries are handed to nobody."""

    acceptance: Acceptance
    awaited: bool = True


class _Rows:
    """The rows that one call gathers before it writes any."""

    def __init__(self, ledger: Ledger, turn: Turn) -> None:
        self.ledger = ledger
        self.turn = turn
        self.requests: Values = []
        self.events: Values = []
        self.deliveries: Values = []
        self.repeats: list[Repeat] = []
        self.taken: set[Key] = set()
        """Keys whose next delivery must wait."""
        self.crowded: set[Key] = set()
        """Keys that got a delivery which waits."""

    def add_event(
        self, new: NewEvent, event_id: int, request: int, accepted_at: int, verdict: KeyVerdict | None
    ) -> None:
        """Gather the row of an event that is stored."""
        event, names = new.event, self.ledger.names
        conflict = verdict is not None and verdict.kind == "conflict"
        held = conflict and new.on_conflict == "hold"
        self.events += (
            event_id,
            request,
            names.sources[event.source],
            names.credentials[event.credential],
            names.types[event.type],
            names.versions[event.version],
            accepted_at,
            event.occurred_at,
            _CONFLICT if held else HOLD_CODES[new.hold],
            verdict.event_id if conflict and verdict else None,
            event.part,
        )

    def add_deliveries(self, new: NewEvent, event_id: int, accepted_at: int, *, awaited: bool) -> Numbers:
        """Gather the rows of an event's deliveries: claimed by us where a slot is reserved, else due now, or waiting.

        Give the numbers of those that wait although a slot is reserved.
        """
        routes, targets = self.ledger.names.routes, self.ledger.names.targets
        waiting: list[int] = []
        for n, (route, target, admitted, expires_ms, digest) in enumerate(new.deliveries):
            change, number, key = self.turn.changes[target], targets[target], None
            expires = None if expires_ms is None else accepted_at + expires_ms
            if digest is not None:
                key = key_number(self.ledger, new.event.source, digest)
                if (number, key) in self.taken:
                    change.pending += 1
                    change.waiting += 1
                    self.crowded.add((number, key))
                    self.deliveries += (event_id, n, routes[route], number, 0, None, None, 0, expires, key)
                    waiting += [n] if admitted else ()
                    continue
                self.taken.add((number, key))
            if admitted and awaited:
                change.in_flight += 1
                self.deliveries += (event_id, n, routes[route], number, 1, None, self.ledger.epoch, 1, expires, key)
            else:
                change.add_pending(1, self.turn.now)
                self.deliveries += (event_id, n, routes[route], number, 0, self.turn.now, None, 0, expires, key)
        return tuple(waiting)

    def write(self) -> None:
        """Write what was gathered."""
        cursor = self.ledger.cursor
        _INSERT_REQUESTS.execute(cursor, self.requests)
        _INSERT_EVENTS.execute(cursor, self.events)
        _INSERT_DELIVERIES.execute(cursor, self.deliveries)
        if self.crowded:
            relink(self.ledger, self.turn, [key for key in self.crowded if self.ledger.keeps_latest(key[0])])


def accept_all(ledger: Ledger, turn: Turn, offers: Sequence[Offer]) -> list[tuple[Verdict, ...]]:
    """Accept all `offers`, or raise: the verdicts of each, in order."""
    mint, now = ledger.ids.mint, turn.now
    ids = [[mint(now) for _ in offer.acceptance.events] for offer in offers]
    claimed = iter(ledger.keys.claim_keys(_key_claims(offers, ids)))
    rows = _Rows(ledger, turn)
    rows.taken = taken_keys(ledger, _order_keys(ledger, offers))
    verdicts: list[list[Verdict]] = []
    for index, (offer, event_ids) in enumerate(zip(offers, ids, strict=True)):
        acceptance = offer.acceptance
        given: list[Verdict] = []
        request = 0
        for new, event_id in zip(acceptance.events, event_ids, strict=True):
            verdict = next(claimed) if new.event.key is not None else None
            if verdict is not None and verdict.kind == "duplicate":
                if not new.event.polled:
                    rows.repeats.append(Repeat((index, len(given)), verdict.event_id, acceptance, new))
                given.append(Verdict("duplicate", verdict.event_id))
                continue
            if not request:
                request = event_id
                rows.requests += (request, acceptance.head, acceptance.body)
            rows.add_event(new, event_id, request, acceptance.received_at, verdict)
            if verdict is not None and verdict.kind == "conflict" and new.on_conflict == "hold":
                given.append(Verdict("conflict", event_id))
                continue
            waiting = rows.add_deliveries(new, event_id, acceptance.received_at, awaited=offer.awaited)
            given.append(Verdict("new", event_id, 0, waiting))
        verdicts.append(given)
    rows.write()
    for (index, position), changed in act_on_repeats(ledger, turn, rows.repeats):
        verdicts[index][position] = changed
    return [tuple(given) for given in verdicts]


def _key_claims(offers: Sequence[Offer], ids: Sequence[Sequence[int]]) -> list[KeyClaim]:
    claims: list[KeyClaim] = []
    for offer, event_ids in zip(offers, ids, strict=True):
        for new, event_id in zip(offer.acceptance.events, event_ids, strict=True):
            event: Event = new.event
            if event.key is not None:
                marks = (event.mark, event.seen_as)
                claims.append(KeyClaim(event.source, event.key, event.digest, event_id, event.former, *marks))
    return claims


def _order_keys(ledger: Ledger, offers: Sequence[Offer]) -> set[Key]:
    """Give the keys by which something of `offers` is ordered."""
    targets = ledger.names.targets
    return {
        (targets[planned.target], key_number(ledger, new.event.source, planned.key))
        for offer in offers
        for new in offer.acceptance.events
        for planned in new.deliveries
        if planned.key is not None
    }
