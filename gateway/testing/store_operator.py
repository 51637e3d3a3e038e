"""Conformance of a store: what an operator selects, retries, cancels and replays."""

from gateway.store.contract import Backlog, DeliveryQuery, EventQuery, Keep, NewDelivery
from gateway.store.operator import (
    Advance,
    DeliveryFilter,
    EventFilter,
    Planned,
    Replay,
    source_of_plan,
)
from gateway.testing.store_desk import (
    HOUR,
    NOTE,
    SECOND,
    SETTINGS,
    START_MS,
    Desk,
    OpenStore,
    SteppedRuntime,
    expect,
    new,
)

DEAD = DeliveryFilter(("dead",))


async def deliveries_are_selected_oldest_first_in_steps(open_store: OpenStore) -> None:
    """Each once, whatever the size of a step, also where an event has several."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        ids = [await desk.accept_one(key, targets=("crm", "audit")) for key in range(4)]
        pending = DeliveryFilter(("pending", "dead"))
        expected = [(event, n) for event in ids for n in (0, 1)]
        for limit in (1, 3, 8, 100):
            expect(await desk.select(pending, limit), expected, f"steps of {limit}")
        expect(await desk.select(pending._replace(target="audit")), expected[1::2], "by target")
        expect(await desk.select(DEAD), [], "nothing is dead")


async def deliveries_are_selected_by_what_they_are(open_store: OpenStore) -> None:
    """By state, target, source, type, last outcome, its reason, event and number."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        one = await desk.make_dead("a", kind="order.paid")
        two = await desk.accept_one("b", source="bank", kind="order[x]", targets=("audit", "crm"))
        (claim,) = await desk.claim()
        await desk.record(desk.ended(claim.delivery, "dead", "Timed OUT ÄÖ after 3 tries"))
        three = await desk.accept_one("c")
        cases = {
            DEAD: [(one, 0), (two, 1)],
            DEAD._replace(target="crm"): [(one, 0), (two, 1)],
            DEAD._replace(target="audit"): [],
            DEAD._replace(target="nobody"): [],
            DeliveryFilter(("dead", "dead"), target="crm", since=1): [(one, 0), (two, 1)],
            DEAD._replace(source="bank"): [(two, 1)],
            DEAD._replace(type_glob="order.*"): [(one, 0)],
            DEAD._replace(type_glob="order[x]", target="crm"): [(two, 1)],
            DEAD._replace(reason="timed out ÄÖ"): [(two, 1)],
            DEAD._replace(reason="timed out", target="crm"): [(two, 1)],
            DEAD._replace(reason="%"): [],
            DEAD._replace(outcome="rejected"): [(one, 0), (two, 1)],
            DEAD._replace(outcome="retry"): [],
            DEAD._replace(event_id=two): [(two, 1)],
            DEAD._replace(event_id=two, n=0): [],
            DEAD._replace(replay="r"): [],
            DeliveryFilter(("pending", "dead")): [(one, 0), (two, 0), (two, 1), (three, 0)],
            DeliveryFilter(("pending", "pending"), target="crm"): [(three, 0)],
        }
        for chosen, expected in cases.items():
            expect(await desk.select(chosen), expected, repr(chosen))


async def a_range_of_time_is_one_of_acceptance(open_store: OpenStore) -> None:
    """From a time on, and before one."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        ids = []
        for key in range(3):
            ids.append(await desk.accept_one(key))
            runtime.advance(HOUR)
        second = START_MS + HOUR
        pending = DeliveryFilter(("pending", "pending"))
        expect(await desk.select(pending._replace(since=second)), [(each, 0) for each in ids[1:]], "from a time on")
        expect(await desk.select(pending._replace(until=second)), [(ids[0], 0)], "before a time")
        both = EventFilter(since=second, until=second + HOUR)
        expect((await store.operator.count_events(both, 0)).events, 1, "events between two times")
        found = (await store.operator.select_events(both, 0, ids[2], 9)).found
        expect([each.event.id for each in found], [ids[1]], "and which")


async def a_retry_makes_dead_deliveries_due(open_store: OpenStore) -> None:
    """Those that are named, each once, and only dead ones; attempts count from 0."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        one, two = [await desk.make_dead(key) for key in "ab"]
        waits = await desk.accept_one("c", targets=("audit",))
        now = runtime.now_ms()
        expect(await store.operator.retry([(one, 0), (one, 0), (waits, 0), (waits, 7)], NOTE), 1, "one is dead")
        expect(store.backlog("crm"), Backlog(1, 0, 1, now), "it is due")
        expect(await store.operator.retry([(one, 0)], NOTE), 0, "it is dead no more")
        expect(await store.operator.retry([], NOTE), 0, "nothing to do")
        told = [(row.action, row.affected) for row in await store.operator.audit(None, 9)]
        expect(told, [("retry", 1)], "the audit tells what was done, not what was not")
        expect(await desk.retry_dead(), 1, "the other")
        expect(two, (await store.events(EventQuery()))[1].id, "which is the younger")
        claims = [claim.delivery for claim in await desk.claim()]
        expect([(claim.claims, claim.attempts) for claim in claims], [(2, 0)] * 2, "attempts count from 0")


async def a_cancelled_delivery_is_settled_with_a_reason(open_store: OpenStore) -> None:
    """Pending and dead ones; never what is in flight."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        dead = await desk.make_dead("a")
        flying = await desk.accept_one("b", admitted=True)
        waiting = await desk.accept_one("c")
        named = [(dead, 0), (flying, 0), (waiting, 0), (waiting, 0), (waiting, 1)]
        expect(await store.operator.cancel([(flying, 0)], NOTE), 0, "what is in flight is not")
        expect(await store.operator.audit(None, 9), [], "nothing was done")
        expect(await store.operator.cancel(named, NOTE), 2, "two are cancelled")
        told = [(row.action, row.affected) for row in await store.operator.audit(None, 9)]
        expect(told, [("cancel", 2)], "the audit tells it")
        rows = await store.deliveries(DeliveryQuery(state="cancelled"))
        expect([row.event_id for row in rows], [waiting, dead], "the pending and the dead one")
        expect([row.last_reason for row in rows], ["not wanted"] * 2, "the reason is kept")
        expect(store.backlog("crm"), Backlog(0, 1, 0, None), "what is in flight goes on")
        expect((await store.attempts(waiting, 0))[0].outcome, "cancelled", "an attempt row tells it")
        expect(await store.operator.retry(named, NOTE), 0, "a cancelled delivery stays so")
        expect(len(await store.deliveries(DeliveryQuery(event_id=flying, state="in_flight"))), 1, "as listed")
        expect(await desk.claim(), [], "nothing of it is claimed")


async def many_are_changed_by_one_call(open_store: OpenStore) -> None:
    """More than one transaction holds; the audit has one entry."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.accept(*(new() for _ in range(1203)))
        named = await desk.select(DeliveryFilter(("pending", "dead")), 1000)
        expect(await store.operator.cancel(named, NOTE), 1203, "all of them")
        expect(store.backlog("crm"), Backlog(), "nothing waits")
        (row,) = await store.operator.audit(None, 9)
        expect(
            row[1:], (START_MS, NOTE.who, "cancel", NOTE.subject, 1203, NOTE.reason), "who, when, what, how many, why"
        )


async def events_are_counted_and_selected_oldest_first(open_store: OpenStore) -> None:
    """By source, type, hold and id, with the targets they were planned for, up to a last one, in steps."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        ids = [await desk.accept_one(key, kind=f"order.{key}", targets=("crm", "audit")) for key in range(3)]
        held = await desk.accept_one("x", source="bank", targets=(), hold="unmatched")
        cases = {
            EventFilter(): [*ids, held],
            EventFilter(source="bank"): [held],
            EventFilter(without_source="bank"): ids,
            EventFilter(type_glob="order.[0-1]"): [],
            EventFilter(type_glob="order.*", hold="unmatched"): [held],
            EventFilter(type_glob="*.1"): [ids[1]],
            EventFilter(hold="conflict"): [],
            EventFilter(event_ids=(1, ids[2], held)): [ids[2], held],
        }
        for chosen, expected in cases.items():
            expect((await store.operator.count_events(chosen, 0)).events, len(expected), f"count of {chosen}")
            found: list[int] = []
            position: int | None = 0
            while position is not None:
                step = await store.operator.select_events(chosen, position, held, 1)
                found += [each.event.id for each in step.found]
                position = step.position
            expect(found, expected, repr(chosen))
        first = (await store.operator.select_events(EventFilter(), 0, ids[1], 9)).found
        expect(
            [(each.event.id, each.targets) for each in first], [(each, ("crm", "audit")) for each in ids[:2]], "last"
        )
        expect(first[0].event.payload, b"{}", "with its payload")


async def a_replay_adds_linked_deliveries_once(open_store: OpenStore) -> None:
    """P14: new deliveries with the replay's id; the same event again adds nothing; the old ones stay as they are."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        event_id = await desk.accept_one("k", targets=(), hold="unmatched")
        both = (NewDelivery("late", "crm", False), NewDelivery("late", "audit", True))
        for name, added in (("r1", 2), ("r2", 1)):
            step = Advance([Planned(event_id, both[:added]), Planned(event_id + 1, both)], 3, 4, event_id, done=False)
            expect(await store.operator.begin_replay(Replay(name, runtime.now_ms(), "uid 0", "{}")), None, "it is new")
            expect(await store.operator.advance_replay(name, step), added, "an event that is gone gets none")
            expect(await store.operator.advance_replay(name, step), 0, "once for each replay")
        rows = await store.deliveries(DeliveryQuery(event_id=event_id))
        found = [(row.n, row.target, row.state, row.replay) for row in rows]
        expected = [(0, "crm", "pending", "r1"), (1, "audit", "pending", "r1"), (2, "crm", "pending", "r2")]
        expect(found, expected, "numbered on, linked, and due")
        expect((store.backlog("crm").pending, store.backlog("audit").pending), (2, 1), "counted")
        expect((await store.events(EventQuery()))[0].hold, None, "the event is held no more")
        expect(
            await desk.select(DeliveryFilter(("pending", "dead"), replay="r1")), [(event_id, 0), (event_id, 1)], "by id"
        )
        replay = await store.operator.replay("r1")
        counts = replay and replay[5:11]
        expect(counts, (event_id, event_id, 1, 2, 6, 4 + 1 + 4 + 2), "and how far it has come is kept")


async def a_replay_adds_nothing_to_an_event_whose_payload_retention_takes_meanwhile(open_store: OpenStore) -> None:
    """Between the reading and this step it may: such a delivery would be dead, and block those of its key."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        taken, kept = await desk.accept_one(targets=()), (await desk.accept(new(part=b"p")))[0].event_id
        await desk.accept_one(targets=())
        runtime.advance(3 * HOUR)
        await desk.retain_all(Keep(bodies=HOUR, metadata=4 * HOUR, dead=HOUR, keys=HOUR))
        planned = [Planned(each, (NewDelivery("late", "audit", False),)) for each in (taken, kept)]
        await store.operator.begin_replay(Replay("r", runtime.now_ms(), "uid 0", "{}"))
        expect(await store.operator.advance_replay("r", Advance(planned, 0, 0, kept, done=True)), 1, "one has it")
        replay = await store.operator.replay("r")
        expect(replay and (replay.events, replay.passed_over), (1, 1), "the other one is passed over")


async def a_replay_of_what_is_held_adds_nothing_to_what_a_repeat_has_planned_meanwhile(open_store: OpenStore) -> None:
    """P4: between the reading and this step an event may get its deliveries otherwise."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        ids = [await desk.accept_one(key, targets=(), hold="unmatched") for key in "ab"]
        await store.operator.begin_replay(Replay("r", runtime.now_ms(), "uid 0", "{}"))
        expect((await desk.accept(new("a")))[0].revived, 1, "a repeat plans the first")
        planned = [Planned(each, (NewDelivery("all", "crm", False),)) for each in ids]
        step = Advance(planned, 0, 0, ids[-1], done=True, hold="unmatched")
        expect(await store.operator.advance_replay("r", step), 1, "the other one is replayed")
        replay = await store.operator.replay("r")
        expect(replay and (replay.events, replay.passed_over), (1, 1), "the first is passed over")
        expect(sorted(claim.event.id for claim in await desk.claim()), ids, "each goes to the target once")


async def what_a_replay_brings_is_claimed_after_all_else(open_store: OpenStore) -> None:
    """Live traffic, retries of it too, go before; what is left of the room is the replay's."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        old = [await desk.accept_one(targets=()) for _ in range(4)]
        for number, event_id in enumerate(old):
            await desk.replay_one(event_id, (NewDelivery("all", "crm", False),), f"r{number}")
        runtime.advance(SECOND)
        live = [await desk.accept_one() for _ in range(2)]
        expect([claim.event.id for claim in await desk.claim(limit=3)], [*live, old[0]], "live events first")
        expect([claim.event.id for claim in await desk.claim(limit=1)], [old[1]], "then the replayed in their order")
        expect(len(await desk.claim()), 2, "all of them in the end")


async def a_replay_has_one_id_and_one_end(open_store: OpenStore) -> None:
    """The same id again is the same replay, also after a restart; what has ended goes no further."""
    runtime = SteppedRuntime()
    asked = Replay("r", START_MS, "uid 0", '{"told": "all"}')
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        event_id = await desk.accept_one("k")
        expect(await store.operator.begin_replay(asked), None, "it is new")
        expect(await store.operator.begin_replay(asked), asked._replace(last=event_id), "it is known")
        expect(await store.operator.begin_replay(asked._replace(id="s", asked_at=START_MS + 1)), None, "another")
    runtime.advance(SECOND)
    async with open_store(runtime, SETTINGS) as store:
        running = await store.operator.replays(9, "running")
        expect([each.id for each in running], ["s", "r"], "both go on, the newest is listed first")
        expect([each.id for each in await store.operator.replays(1)], ["s"], "as many as were asked for")
        last = Advance([Planned(event_id, [NewDelivery("all", "crm", False)])], 0, 0, event_id, done=True)
        expect(await store.operator.advance_replay("r", last), 1, "the last step")
        expect(await store.operator.advance_replay("r", last), None, "it is done")
        expect(await store.operator.cancel_replay("r", NOTE), None, "and cannot be cancelled")
        ended = await store.operator.cancel_replay("s", NOTE)
        expect(ended and (ended.state, ended.ended_at, ended.reason), ("cancelled", runtime.now_ms(), NOTE.reason), "s")
        expect(await store.operator.advance_replay("s", last), None, "it goes no further")
        expect(await store.operator.replays(9, "running"), [], "none runs")
        expect([each.state for each in await store.operator.replays(9)], ["cancelled", "done"], "both are kept")
        expect(await store.operator.replay("t"), None, "there is no such")
        told = [(row.action, row.who, row.affected) for row in await store.operator.audit(None, 9)]
        expect(told, [("cancel replay", NOTE.who, 0), ("replay", "uid 0", 1)], "both are in the audit")


async def a_running_replay_follows_its_source_to_a_new_name(open_store: OpenStore) -> None:
    """Twice, and only what runs and goes by that source; what was asked for is kept as it was."""
    runtime = SteppedRuntime()
    plans = {name: f'{{"chosen": {{"source": "{name}"}}, "told": "{name}"}}' for name in ("shop", "bank")}
    asked = [Replay("r", 1, "", plans["shop"]), Replay("b", 1, "", plans["bank"]), Replay("o", 1, "", "odd")]
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.accept_one("k")
        for each in (*asked, asked[0]._replace(id="ended")):
            await store.operator.begin_replay(each)
        await store.operator.cancel_replay("ended", NOTE)
        for formerly, name in (("shop", "store"), ("store", "mart")):
            expect(await desk.rename("source", formerly, name), True, "the new name owns nothing yet")
    async with open_store(runtime, SETTINGS) as store:
        found = {each.id: each.plan for each in await store.operator.replays(9)}
        expect(source_of_plan(found.pop("r")), "mart", "it has the newest name")
        expect(found, {"b": plans["bank"], "o": "odd", "ended": plans["shop"]}, "the others are as they were")


OPERATOR_CHECKS = (
    deliveries_are_selected_oldest_first_in_steps,
    deliveries_are_selected_by_what_they_are,
    a_range_of_time_is_one_of_acceptance,
    a_retry_makes_dead_deliveries_due,
    a_cancelled_delivery_is_settled_with_a_reason,
    many_are_changed_by_one_call,
    events_are_counted_and_selected_oldest_first,
    a_replay_adds_linked_deliveries_once,
    a_replay_adds_nothing_to_an_event_whose_payload_retention_takes_meanwhile,
    a_replay_of_what_is_held_adds_nothing_to_what_a_repeat_has_planned_meanwhile,
    what_a_replay_brings_is_claimed_after_all_else,
    a_replay_has_one_id_and_one_end,
    a_running_replay_follows_its_source_to_a_new_name,
)
