"""Conformance of a store: what a repeat does for the event that it repeats."""

from typing import Final

from gateway.store.contract import Backlog, EventQuery, Keep, NewDelivery, Ordering, Verdict
from gateway.testing.store_desk import DAY, HOUR, NOTE, SETTINGS, Desk, OpenStore, SteppedRuntime, digest, expect, new

KEEP: Final = Keep(bodies=1 * HOUR, metadata=3 * DAY, dead=2 * HOUR, keys=16 * HOUR)


async def a_repeat_revives_dead_deliveries(open_store: OpenStore) -> None:
    """A provider's Resend button: what is dead is due again, with attempts from 0; what was delivered is not."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        event_id = await desk.accept_one("k", targets=("crm", "audit"))
        await desk.settle(await desk.claim_one("audit"))
        await desk.settle(await desk.claim_one(), "dead")
        runtime.advance(5000)
        expect(await desk.accept(new("k")), (Verdict("duplicate", event_id, 1),), "one delivery is revived")
        expect(store.backlog("crm"), Backlog(1, 0, 0, runtime.now_ms()), "it is due now")
        expect((await desk.claim_one()).attempts, 0, "its attempts count from 0")
        expect(store.backlog("audit"), Backlog(), "what was delivered stays so")


async def a_repeat_delivers_nothing_that_a_replay_has_delivered(open_store: OpenStore) -> None:
    """P4: what was dead stays so where a replay has brought the target the event, or is about to."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        event_id = await desk.make_dead("k")
        await desk.replay_one(event_id, [NewDelivery("all", "crm", admitted=False)], "r")
        same = (Verdict("duplicate", event_id),)
        expect(await desk.accept(new("k")), same, "nothing is revived while another is pending")
        delivery = await desk.claim_one()
        expect(await desk.accept(new("k")), same, "nor in flight")
        await desk.settle(delivery)
        expect(await desk.accept(new("k")), same, "nor delivered")
        expect(await desk.claim(), [], "the target gets it once")


async def a_repeat_revives_the_newest_of_what_is_dead_for_a_target(open_store: OpenStore) -> None:
    """What a replay has brought in vain is tried once, not as often as it was; one that was cancelled hides none."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        event_id = await desk.make_dead("k")
        for replay_id in ("one", "two"):
            await desk.replay_one(event_id, [NewDelivery("all", "crm", admitted=False)], replay_id)
            await desk.settle(await desk.claim_one(), "dead")
        await store.operator.cancel([(event_id, 2)], NOTE)
        expect(await desk.accept(new("k")), (Verdict("duplicate", event_id, 1),), "one is revived")
        expect((await desk.claim_one()).n, 1, "the newest that is dead")


async def a_repeat_leaves_nothing_waiting_behind_what_a_replay_has_replaced(open_store: OpenStore) -> None:
    """Where what is dead came to block its key only later: of the event's own two, the older one gives way."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        both, one = [await desk.make_dead(key) for key in "ab"]
        for event_id in (both, one):
            await desk.replay_one(event_id, [NewDelivery("all", "crm", admitted=False)], f"r{event_id}")
            if event_id == both:
                await desk.settle(await desk.claim_one(), "dead")
        await store.set_ordering("crm", Ordering("test"), lambda event: digest(event.id))
        await desk.accept(new("a"))
        await desk.accept(new("b"))
        expect(store.backlog("crm"), Backlog(2, 0, 0, runtime.now_ms()), "nothing is dead, nothing waits")
        found = sorted((claim.delivery.event_id, claim.delivery.n) for claim in await desk.claim())
        expect(found, [(both, 1), (one, 1)], "both events go to the target once")


async def a_repeat_plans_an_event_that_no_route_had_taken(open_store: OpenStore) -> None:
    """Only what is held as `unmatched`; two copies in one request plan it once."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        lost = await desk.accept_one("k", targets=(), hold="unmatched")
        old = await desk.accept_one("v", targets=(), hold="version")
        unmatched = await desk.accept(new("k", targets=(), hold="unmatched"))
        expect(unmatched, (Verdict("duplicate", lost),), "a repeat that no route takes either changes nothing")
        expect([row.hold for row in await store.events(EventQuery())], ["version", "unmatched"], "it stays held")
        one, two, other = await desk.accept(new("k", admitted=True), new("k"), new("v"))
        expect((one, two), (Verdict("duplicate", lost, 1), Verdict("duplicate", lost)), "it is planned once")
        expect(other, Verdict("duplicate", old), "an event held for another reason stays held")
        expect(store.backlog("crm"), Backlog(1, 0, 0, runtime.now_ms()), "it waits, whoever reserved a slot")
        expect([row.hold for row in await store.events(EventQuery())], ["version", None], "it is held no more")


async def each_repeat_of_a_request_is_acted_on(open_store: OpenStore) -> None:
    """One of an event for which nothing is to be done stands in nobody's way."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.accept(new("done", targets=()), new("lost", targets=(), hold="unmatched"))
        again = await desk.accept(new("done"), new("lost"))
        expect([verdict.revived for verdict in again], [0, 1], "what no route had taken is planned")


async def a_repeat_of_an_event_that_retention_took_is_a_repeat(open_store: OpenStore) -> None:
    """Keys live by the window, not by the event."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        first = await desk.accept_one("k", targets=())
        await desk.accept_one("newest")
        runtime.step(4 * DAY)
        await desk.retain_all(KEEP)
        expect(await store.event(first), None, "the event is gone")
        expect((await desk.accept(new("k")))[0][:2], ("duplicate", first), "its key is not")


async def a_repeat_brings_back_what_retention_took_of_what_is_delivered_now(open_store: OpenStore) -> None:
    """P2: it was answered 2xx, now as then, and without its payload could not be delivered."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        alone = await desk.accept_one("alone", targets=(), hold="unmatched")
        parts = [new(part, part=part.encode(), targets=(), hold="unmatched") for part in "123"]
        one, two, three = await desk.accept(*parts)
        dead = await desk.accept_one("dead")
        await desk.settle(await desk.claim_one(), "dead")
        ids = (alone, one.event_id, two.event_id, three.event_id, dead)
        await desk.accept_one("newest", targets=("audit",))
        runtime.advance(3 * HOUR)
        await desk.retain_all(KEEP)
        expect([await _kept(desk, each) for each in ids], [(b"", None, None)] * 5, "retention took them")
        again = await desk.accept(new("alone"), new("dead", targets=()), body=b"whole")
        expect([verdict.revived for verdict in again], [1, 1], "both are due")
        await desk.accept(new("1", part=b"1"), new("2", targets=()), body=b"parts")
        await desk.accept(new("3"), body=b"3")
        found = [await _kept(desk, each) for each in ids]
        head = b"POST /hooks/shop\n192.0.2.1"
        expect([found[0], found[4]], [(head, b"whole", b"whole")] * 2, "whose message was its own has all of it")
        expect([found[1], found[3]], [(b"", None, b"1"), (b"", None, b"3")], "a part of one has its payload")
        expect(found[2], (b"", None, None), "what is not delivered stays without")


async def what_a_repeat_brought_back_is_taken_once_it_is_settled(open_store: OpenStore) -> None:
    """It is kept no longer than what came once: a whole message, and a part alone."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        alone = await desk.accept_one("alone", targets=(), hold="unmatched")
        _, part = await desk.accept(*(new(part, part=part.encode(), targets=(), hold="unmatched") for part in "12"))
        ids = (alone, part.event_id)
        await desk.accept_one("newest", targets=("audit",))
        runtime.advance(3 * HOUR)
        await desk.retain_all(KEEP)
        await desk.accept(new("alone"), body=b"whole")
        await desk.accept(new("2", part=b"2"))
        await desk.retain_all(KEEP)
        claims = await desk.claim()
        expect([claim.event.payload for claim in claims], [b"whole", b"2"], "both are there while they are delivered")
        for claim in claims:
            await desk.settle(claim.delivery)
        await desk.retain_all(KEEP)
        expect([await _kept(desk, each) for each in ids], [(b"", None, None)] * 2, "then both are taken again")


async def a_repeat_takes_nothing_from_a_stored_event(open_store: OpenStore) -> None:
    """What was accepted first is what is delivered, unless retention took it."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        event_id = await desk.accept_one("k", part=b"first", targets=(), hold="unmatched")
        expect((await desk.accept(new("k", part=b"again"), body=b"again"))[0].revived, 1, "it is planned")
        expect((await _kept(desk, event_id))[1:], (b"{}", b"first"), "it is as it was")


async def _kept(desk: Desk, event_id: int) -> tuple[bytes, bytes | None, bytes | None]:
    found = await desk.store.event(event_id)
    if found is None:
        raise AssertionError(f"event {event_id} is there: found none")
    return found.head, found.body, found.payload


REPEAT_CHECKS = (
    a_repeat_revives_dead_deliveries,
    a_repeat_delivers_nothing_that_a_replay_has_delivered,
    a_repeat_revives_the_newest_of_what_is_dead_for_a_target,
    a_repeat_leaves_nothing_waiting_behind_what_a_replay_has_replaced,
    a_repeat_plans_an_event_that_no_route_had_taken,
    each_repeat_of_a_request_is_acted_on,
    a_repeat_of_an_event_that_retention_took_is_a_repeat,
    a_repeat_brings_back_what_retention_took_of_what_is_delivered_now,
    what_a_repeat_brought_back_is_taken_once_it_is_settled,
    a_repeat_takes_nothing_from_a_stored_event,
)
