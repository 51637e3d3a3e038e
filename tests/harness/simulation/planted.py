"""Bugs that the simulation must find: each is put into the gateway for as long as a block runs. For tests alone."""

from contextlib import contextmanager

import trio

from gateway.core import retry
from gateway.dispatch.gates import Gates
from gateway.ingress.receive import Receiver
from gateway.store import claim, order, start
from gateway.store.contract import Verdict
from gateway.store.engine import Engine
from gateway.store.keys import KeyGenerations, KeyVerdict
from gateway.store.statements import RowStatement, load_statements


@contextmanager
def planted(bug):
    """Have one of `BUGS` in the gateway within the block."""
    changes = BUGS[bug]()
    former = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    for owner, name, changed in changes:
        setattr(owner, name, changed)
    try:
        yield
    finally:
        for owner, name, value in former:
            setattr(owner, name, value)


def _hasty():
    """A sender is told that its events are accepted before they are."""

    async def add(self, acceptance):
        entry = self._queue.add_entry(acceptance)
        with trio.move_on_after(0.0002):
            return await entry.wait()
        return tuple(Verdict("duplicate", 1) for _ in acceptance.events)

    return [(Engine, "accept", add)]


def _polite():
    """What the store cannot take is acknowledged."""
    return [(Receiver, "_postpone", lambda self, source, _request, _error: self._acks[source.name])]


def _unclaimed():
    """A claim does not count."""
    sql = load_statements("claim")["take_due"].replace("claims = claims + 1", "claims = claims")
    return [(claim, "_TAKE_DUE", RowStatement(sql, 2))]


def _pushy():
    """The next of a key has its turn while one before it is in flight."""
    sql = load_statements("order")["find_next"].replace("d.state = 1)", "d.state = 9)")
    return [(order, "_FIND_NEXT", RowStatement(sql, 3))]


def _forgetful():
    """A start does not free what the process before it had in flight."""
    sql = dict(start._SQL)
    for name in ("free_interrupted", "note_interrupted", "interrupted_keys"):
        sql[name] += " AND 0"
    return [(start, "_SQL", sql)]


def _careless():
    """A start takes for delivered what the process before it had in flight."""
    sql = dict(start._SQL)
    sql["free_interrupted"] = (
        "UPDATE delivery SET state = 2, epoch = NULL, settled_at = ?2, interrupted = interrupted + 1 "
        "WHERE state = 1 AND epoch <> ?1"
    )
    return [(start, "_SQL", sql)]


def _gullible():
    """A key that came before is not known again."""

    def claim_keys(_self, claims):
        return [KeyVerdict("new", one.event_id) for one in claims]

    return [(KeyGenerations, "claim_keys", claim_keys)]


def _impatient():
    """A closed gate holds nobody back."""
    return [(Gates, "wait_ms", lambda _self, _now: 0), (Gates, "are_open", property(lambda _self: True))]


def _early():
    """What waits is taken ten minutes before it is due."""
    former = claim._find_due
    return [(claim, "_find_due", lambda ledger, target, now, limit: former(ledger, target, now + 600_000, limit))]


def _deaf():
    """Nobody heeds a Retry-After."""
    return [(retry, "_asked", lambda _after: 0.0)]


BUGS = {
    "acknowledges before the commit": _hasty,
    "acknowledges what the store refused": _polite,
    "does not count claims": _unclaimed,
    "gives the next of a key its turn too early": _pushy,
    "does not free what a dead process had in flight": _forgetful,
    "loses on a restart what was in flight": _careless,
    "does not know a repeat": _gullible,
    "tries through closed gates": _impatient,
    "tries before the time": _early,
    "does not heed Retry-After": _deaf,
}
