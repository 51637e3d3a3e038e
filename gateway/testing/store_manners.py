"""Conformance of a store, whatever is asked of it: who is cancelled stops waiting, and what writes is a commit."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, get_args

import trio

from gateway.core.model import HoldReason
from gateway.store.contract import AttemptRow, DeliveryQuery, EventQuery, Gate, GateKind, Keep, Ordering, Store
from gateway.store.operator import Advance, DeliveryFilter, EventFilter, Position, Replay
from gateway.testing.store_desk import DAY, HOUR, NOTE, SECOND, SETTINGS, Desk, OpenStore, SteppedRuntime, expect, new

_Calls: TypeAlias = dict[str, Callable[[], Awaitable[object]]]
_KEEP: Final = Keep(DAY, DAY, DAY, DAY)


def _reads(store: Store, event_id: int) -> _Calls:
    operator = store.operator
    return {
        "gates": store.gates,
        "event": lambda: store.event(event_id),
        "events": lambda: store.events(EventQuery()),
        "deliveries": lambda: store.deliveries(DeliveryQuery()),
        "attempts": lambda: store.attempts(event_id, 0),
        "notes": lambda: store.notes(""),
        "select_deliveries": lambda: operator.select_deliveries(DeliveryFilter(("dead",)), Position(), 9),
        "count_events": lambda: operator.count_events(EventFilter(), 0),
        "select_events": lambda: operator.select_events(EventFilter(), 0, event_id, 9),
        "replays": lambda: operator.replays(9),
        "replay": lambda: operator.replay("r"),
        "audit": lambda: operator.audit(None, 9),
    }


def _writes(desk: Desk, event_id: int) -> _Calls:
    store, operator, now = desk.store, desk.store.operator, desk.runtime.now_ms()
    gate = Gate("crm", "held", now, None, "")
    return {
        "accept": lambda: desk.accept(new()),
        "close_gate": lambda: store.close_gate(gate),
        "open_gate": lambda: store.open_gate("crm", "held"),
        "step_back": lambda: store.step_back(SECOND, now),
        "step_forward": lambda: store.step_forward(SECOND, now, 0),
        "set_ordering": lambda: store.set_ordering("crm", Ordering("rule"), lambda _: None),
        "rename": lambda: desk.rename("source", "nobody", "shop"),
        "keep_notes": lambda: store.keep_notes({"a": b"b"}),
        "retain": lambda: store.retain(_KEEP, now),
        "probe": store.probe,
        "retry": lambda: operator.retry([(event_id, 0)], NOTE),
        "cancel": lambda: operator.cancel([(event_id, 7)], NOTE),
        "begin_replay": lambda: operator.begin_replay(Replay("r", now, "uid 0", "{}")),
        "advance_replay": lambda: operator.advance_replay("r", Advance([], 0, 0, 1, done=False)),
        "cancel_replay": lambda: operator.cancel_replay("r", NOTE),
        "claim": desk.claim,
    }


async def who_is_cancelled_stops_waiting_whatever_was_asked(open_store: OpenStore) -> None:
    """Each call is a checkpoint, and the store goes on."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        event_id = await desk.accept_one("k", expires_ms=HOUR)
        calls: _Calls = {**_reads(store, event_id), **_writes(desk, event_id), "expire": lambda: store.expire(0)}
        for name, call in calls.items():
            with trio.CancelScope() as scope:
                scope.cancel()
                await call()
            expect(scope.cancelled_caught, True, f"{name} is a checkpoint")
        expect((await desk.accept(new("k")))[0].event_id, event_id, "the store goes on")


async def whatever_writes_is_a_commit(open_store: OpenStore) -> None:
    """Readiness and watchdog rest on the time of the last one; a look at the store is none."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        event_id = await desk.make_dead("k", expires_ms=DAY)
        calls: _Calls = {**_writes(desk, event_id), "record": lambda: _record_one(desk, runtime)}
        for name, call in calls.items():
            runtime.advance(SECOND)
            await call()
            expect(store.health().last_commit, runtime.monotonic(), f"{name} commits")
        committed = runtime.monotonic()
        for name, call in _reads(store, event_id).items():
            runtime.advance(SECOND)
            await call()
            expect(store.health().last_commit, committed, f"{name} does not")


async def _record_one(desk: Desk, runtime: SteppedRuntime) -> None:
    await desk.accept_one(targets=("mail",))
    delivery = await desk.claim_one("mail")
    runtime.advance(SECOND)
    expect(await desk.settle(delivery), True, "it is ours")


async def whatever_word_is_kept_comes_back(open_store: OpenStore) -> None:
    """Outcomes, kinds of gates, reasons to hold: each as it was given, also after a restart."""
    runtime = SteppedRuntime()
    outcomes = ("retry", "rejected", "target_down", "not_tried", "interrupted", "delivered")
    gates = [Gate("crm", kind, 1, 2, kind) for kind in get_args(GateKind)]
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        tried = await desk.accept_one()
        for outcome in outcomes:
            record = desk.ended(await desk.claim_one(), "pending", "said", runtime.now_ms())
            await desk.record(record._replace(attempt=AttemptRow(3, 4, outcome, "said")))
        for gate in gates:
            await store.close_gate(gate)
        held = {hold: await desk.accept_one(targets=(), hold=hold) for hold in get_args(HoldReason)}
    async with open_store(runtime, SETTINGS) as store:
        rows = [AttemptRow(3, 4, outcome, "said") for outcome in outcomes]
        expect(await store.attempts(tried, 0), rows, "the tries")
        expect(await store.gates(), gates, "the gates")
        for hold, event_id in held.items():
            found = [row.id for row in await store.events(EventQuery(hold=hold))]
            expect(found, [event_id], f"what is held as {hold}")
            counted = await store.operator.count_events(EventFilter(hold=hold), 0)
            expect(counted.events, 1, f"and counted as {hold}")


MANNERS_CHECKS = (
    whatever_word_is_kept_comes_back,
    who_is_cancelled_stops_waiting_whatever_was_asked,
    whatever_writes_is_a_commit,
)
