"""Conformance of a store: whose turn it is once something gives way, is replayed, or is ordered otherwise."""

from gateway.core.model import event_text
from gateway.store.contract import Backlog, DeliveryQuery, NewDelivery, Verdict
from gateway.store.operator import Advance, Planned, Replay
from gateway.testing.store_desk import (
    DAY,
    HOUR,
    MANY,
    SECOND,
    SETTINGS,
    Desk,
    OpenStore,
    SteppedRuntime,
    digest,
    expect,
    new,
)
from gateway.testing.store_order import BLOCK, LATEST, SKIP, by_part, ids_of, put_in_order


async def a_new_ordering_orders_what_waits_already(open_store: OpenStore) -> None:
    """Added, changed and taken away over restarts, with retries and dead ones; keys are asked of the stored events."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        ids = [await desk.accept_one(part=key.encode()) for key in "aabb"]
        claims = await desk.claim()
        await desk.settle(claims[0].delivery, "dead")
        await desk.record(desk.ended(claims[2].delivery, "pending", "503", runtime.now_ms() + SECOND))
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        expect(await store.set_ordering("crm", BLOCK, by_part), 4, "each gets its key")
        expect(await store.set_ordering("crm", BLOCK, by_part), 0, "once")
        found = store.backlog("crm")._replace(next_due=None)
        expect(found, Backlog(3, 0, 1, None, 2), "one backs off, two wait, one is dead")
        runtime.advance(SECOND)
        expect(ids_of(await desk.claim()), [ids[2]], "a dead one blocks its key")
        await store.set_ordering("crm", SKIP, by_part)
        expect(ids_of(await desk.claim()), [ids[1]], "until dead ones are skipped")
        expect(await store.set_ordering("crm", None, by_part), 4, "the keys are taken away")
        expect(ids_of(await desk.claim()), [ids[3]], "nothing waits any more")


async def a_new_ordering_orders_what_was_given_to_the_store_before(open_store: OpenStore) -> None:
    """Also what is not durable when it is asked for, and has keys of the old rule."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await put_in_order(desk, BLOCK._replace(rule="old"))
        async with desk.accepting(*[new(key, part=b"a", order=str(key)) for key in range(MANY)]):
            await put_in_order(desk, BLOCK)
        expect(store.backlog("crm")[:2], (MANY, 0), "all are there")
        expect(len(await desk.claim(limit=MANY)), 1, "they have one key")


async def an_ordering_follows_its_target_to_a_new_name(open_store: OpenStore) -> None:
    """A rename changes nothing about whose turn it is."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await put_in_order(desk, BLOCK)
        first, second = [await desk.accept_one(key, order="A") for key in "ab"]
        flying = await desk.claim_one()
        expect(await desk.rename("target", "crm", "sales"), True, "the new name owns nothing yet")
        expect(await store.set_ordering("sales", BLOCK, by_part), 0, "it is ordered already")
        third = await desk.accept_one("c", order="A", targets=("sales",))
        expect(await desk.claim("sales"), [], "the first is still in flight")
        await desk.settle(flying)
        for expected in (second, third):
            found = await desk.claim_one("sales")
            expect(found.event_id, expected, f"after {first}, in order")
            await desk.settle(found)


async def a_newer_event_takes_the_place_of_older_ones(open_store: OpenStore) -> None:
    """`keep = "latest"`: what waits is cancelled and says for whom; what is in flight is left alone, not retried."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await put_in_order(desk, LATEST)
        first = await desk.accept_one("a", order="A", admitted=True)
        second, third = [await desk.accept_one(key, order="A") for key in "bc"]
        other = await desk.accept_one("d", order="B")
        expect(store.backlog("crm"), Backlog(2, 1, 0, runtime.now_ms(), 1), "the first runs, the newest waits")
        expect((await store.attempts(second, 0))[-1].reason, f"superseded by {event_text(third)}", "the reason")
        expect((await desk.claim_one()).event_id, other, "another key is another matter")
        (row,) = await store.deliveries(DeliveryQuery(event_id=first))
        expect(row.state, "in_flight", "what is in flight is left alone")
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        rows = await store.deliveries(DeliveryQuery(state="cancelled"))
        expect([row.event_id for row in rows], [second, first], "its try ended without success: no second one")
        expect(sorted(ids_of(await desk.claim())), [third, other], "the newest takes its place")
        fourth = await desk.accept_one("e", order="A")
        fifth = await desk.accept_one("f", order="A")
        expect(store.backlog("crm"), Backlog(1, 2, 0, None, 1), "of what waits only the newest is left")
        expect((await store.attempts(fourth, 0))[-1].reason, f"superseded by {event_text(fifth)}", "the reason")


async def a_great_many_give_way_at_once(open_store: OpenStore) -> None:
    """However many wait, one newer event of their key is enough."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await put_in_order(desk, LATEST)
        verdicts = await desk.accept(*(new(order="A") for _ in range(1100)))
        expect(store.backlog("crm"), Backlog(1, 0, 0, runtime.now_ms()), "one is left")
        expect((await desk.claim_one()).event_id, verdicts[-1].event_id, "the newest")


async def who_lets_another_go_first_backs_off_no_shorter(open_store: OpenStore) -> None:
    """P11: what a target asked for holds, also over a restart, steps of the wall clock, and a new rule."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await put_in_order(desk, SKIP)
        dead, second = [await desk.accept_one(key, order="A", part=b"A") for key in "ab"]
        await desk.settle(await desk.claim_one(), "dead")
        await desk.record(desk.ended(await desk.claim_one(), "pending", "429", runtime.now_ms() + HOUR))
        await desk.retry_dead(dead)
        again = await desk.claim_one()
        expect(again.event_id, dead, "the older one goes first")
        runtime.advance(HOUR // 2)
        await store.probe()
        runtime.step(DAY)
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.settle(await desk.claim_one())
        expect(await desk.claim(), [], "the second goes on backing off")
        await store.set_ordering("crm", BLOCK._replace(rule="other"), by_part)
        await store.set_ordering("crm", None, by_part)
        runtime.advance(HOUR // 2 - 1)
        expect(await desk.claim(), [], "for the whole hour, whatever the rule")
        expect(store.backlog("crm").next_due, runtime.now_ms() + 1, "and then")
        runtime.advance(1)
        expect((await desk.claim_one()).event_id, second, "it is due")


async def who_has_backed_off_meanwhile_is_due_at_once(open_store: OpenStore) -> None:
    """The time in which another went first counts."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await put_in_order(desk, SKIP)
        dead, second = [await desk.accept_one(key, order="A") for key in "ab"]
        await desk.settle(await desk.claim_one(), "dead")
        await desk.record(desk.ended(await desk.claim_one(), "pending", "429", runtime.now_ms() + HOUR))
        await desk.retry_dead(dead)
        again = await desk.claim_one()
        runtime.advance(2 * HOUR)
        await desk.settle(again)
        expect((await desk.claim_one()).event_id, second, "an hour was asked for, two went by")


async def what_expires_while_it_waits_its_turn_waits_no_more(open_store: OpenStore) -> None:
    """Nor does what waits behind it, once it is its turn."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await put_in_order(desk, BLOCK)
        await desk.accept_one("a", order="A")
        await desk.accept_one("b", order="A", expires_ms=SECOND)
        last = await desk.accept_one("c", order="A")
        first = await desk.claim_one()
        runtime.advance(SECOND)
        expect(await store.expire(runtime.now_ms()), {"crm": 1}, "the second")
        expect(store.backlog("crm"), Backlog(1, 1, 0, None, 1), "the third waits for the first")
        await desk.settle(first)
        expect(store.backlog("crm"), Backlog(1, 0, 0, runtime.now_ms(), 0), "it is its turn")
        expect((await desk.claim_one()).event_id, last, "at once")


async def what_a_repeat_plans_takes_its_place_in_the_order(open_store: OpenStore) -> None:
    """An event that no route had taken was accepted when it was: it goes before what came later."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await put_in_order(desk, BLOCK)
        other = await desk.accept_one("a", order="A", source="bank")
        lost = await desk.accept_one("a", targets=(), hold="unmatched")
        later = await desk.accept_one("b", order="A")
        expect(await desk.accept(new("a", order="A")), (Verdict("duplicate", lost, 1),), "it is planned")
        expect(store.backlog("crm"), Backlog(3, 0, 0, runtime.now_ms(), 1), "one waits for the other")
        first, second = (claim.delivery for claim in await desk.claim())
        expect((first.event_id, second.event_id), (other, lost), "another source's has a line of its own")
        await desk.record(desk.ended(second, "pending", "503", runtime.now_ms()))
        for expected in (lost, later):
            found = await desk.claim_one()
            expect(found.event_id, expected, "in order of acceptance")
            await desk.settle(found)


async def a_replay_takes_the_place_of_the_dead_delivery_that_blocks(open_store: OpenStore) -> None:
    """It would wait for its own original else; what comes after both waits for the replay."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await put_in_order(desk, BLOCK)
        dead = await desk.make_dead("a", order="A")
        second = await desk.accept_one("b", order="A")
        planned = (NewDelivery("all", "crm", True, key=digest("A")),)
        expect(await desk.replay_one(dead, planned, "r1"), 1, "the dead one is replayed")
        expect((await store.attempts(dead, 0))[-1].reason, "replayed: r1", "its original is cancelled and says why")
        expect(store.backlog("crm"), Backlog(2, 0, 0, runtime.now_ms(), 1), "nothing is dead, one waits")
        for expected in ((dead, 1), (second, 0)):
            found = await desk.claim_one()
            expect((found.event_id, found.n), expected, "first the replay, then what came later")
            await desk.settle(found)
        several = [await desk.make_dead(key, order=key) for key in "xyz"]
        await store.operator.begin_replay(Replay("r3", runtime.now_ms(), "uid 0", "{}"))
        plans = [
            Planned(event, (NewDelivery("all", "crm", False, key=digest(key)),))
            for event, key in zip(several, "xyz", strict=True)
        ]
        step = Advance(plans, 0, 0, several[-1], done=False)
        expect(await store.operator.advance_replay("r3", step), 3, "several at once")
        reasons = [(await store.attempts(event, 0))[-1].reason for event in several]
        expect(reasons, ["replayed: r3"] * 3, "each of their originals says why")
        for claim in await desk.claim():
            await desk.settle(claim.delivery)
        await put_in_order(desk, SKIP)
        other = await desk.make_dead("c", order="B")
        await desk.replay_one(other, planned, "r2")
        expect(store.backlog("crm").dead, 1, "where it blocks nothing, what is dead stays")


async def a_replay_that_live_events_of_its_key_wait_for_goes_like_a_live_one(open_store: OpenStore) -> None:
    """Else the key would stand still as long as live events of other keys keep the target busy."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await put_in_order(desk, BLOCK)
        old = [await desk.accept_one(targets=()) for _ in range(3)]
        for number, key in ((0, "A"), (1, "A"), (2, "B")):
            planned = (NewDelivery("all", "crm", True, key=digest(key)),)
            await desk.replay_one(old[number], planned, f"r{number}")
        runtime.advance(SECOND)
        other, behind, last = [await desk.accept_one(order=key) for key in "CAD"]
        (head,) = await desk.claim(limit=1)
        expect(head.event.id, old[0], "the oldest that is due: a live event waits for it")
        expect(ids_of(await desk.claim(limit=1)), [other], "then live events")
        expect(ids_of(await desk.claim()), [last, old[2]], "what keeps nobody waiting comes last")
        await desk.settle(head.delivery)
        await desk.accept_one(order="E")
        (head,) = await desk.claim(limit=1)
        expect(head.event.id, old[1], "the live event waits for this one, too")
        await desk.settle(head.delivery)
        expect(behind in ids_of(await desk.claim()), True, "its turn has come")


TURN_CHECKS = (
    a_new_ordering_orders_what_waits_already,
    a_new_ordering_orders_what_was_given_to_the_store_before,
    an_ordering_follows_its_target_to_a_new_name,
    a_newer_event_takes_the_place_of_older_ones,
    a_great_many_give_way_at_once,
    who_lets_another_go_first_backs_off_no_shorter,
    who_has_backed_off_meanwhile_is_due_at_once,
    what_expires_while_it_waits_its_turn_waits_no_more,
    what_a_repeat_plans_takes_its_place_in_the_order,
    a_replay_takes_the_place_of_the_dead_delivery_that_blocks,
    a_replay_that_live_events_of_its_key_wait_for_goes_like_a_live_one,
)
