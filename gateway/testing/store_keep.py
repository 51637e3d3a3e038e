"""Conformance of a store: what time does to it: clock steps, the de-dup window, retention."""

from typing import Final

import trio

from gateway.store.contract import DeliveryQuery, EventQuery, Gate, Keep
from gateway.testing.store_desk import DAY, HOUR, SECOND, SETTINGS, Desk, OpenStore, SteppedRuntime, expect, new

KEEP: Final = Keep(bodies=1 * DAY, metadata=3 * DAY, dead=5 * DAY, keys=16 * HOUR)


async def K1_ids_rise_whatever_the_clock_does(open_store: OpenStore) -> None:  # noqa: N802 - the row's id
    """A step back, and a restart under a clock of 1970."""
    runtime = SteppedRuntime()
    ids = []
    for step in (0, -DAY, -runtime.now_ms() + DAY):
        runtime.step(step)
        async with open_store(runtime, SETTINGS) as store:
            desk = Desk(store, runtime)
            ids += [await desk.accept_one() for _ in range(3)]
            runtime.step(-HOUR)
            ids.append(await desk.accept_one())
    expect(ids, sorted(set(ids)), "ids rise")


async def K1_a_clock_step_forwards_nothing_twice(open_store: OpenStore) -> None:  # noqa: N802 - the row's id
    """P27: ± 1 day while running and over a restart, with retention at work, within a window of 16 hours."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.accept_one("k")
        for step in (DAY, -DAY, -DAY, DAY):
            runtime.step(step)
            await desk.retain_all(KEEP)
            expect((await desk.accept(new("k")))[0].kind, "duplicate", f"after a step of {step} ms")
    for step in (DAY, -DAY, DAY):
        runtime.step(step)
        async with open_store(runtime, SETTINGS) as store:
            desk = Desk(store, runtime)
            await desk.retain_all(KEEP)
            expect((await desk.accept(new("k")))[0].kind, "duplicate", f"after a restart and a step of {step} ms")


async def a_key_is_known_for_the_whole_window_and_then_forgotten(open_store: OpenStore) -> None:
    """P4: never less than the window; some time after it the key may be used again."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.accept_one("first")
        for hour in range(15):
            runtime.advance(HOUR)
            await desk.accept_one(hour)
            await desk.retain_all(KEEP)
        runtime.advance(HOUR - 1)
        await desk.retain_all(KEEP)
        expect((await desk.accept(new("first")))[0].kind, "duplicate", "it is known to the end of the window")
        for _ in range(4):
            runtime.advance(HOUR)
            await desk.retain_all(KEEP)
        expect((await desk.accept(new("first")))[0].kind, "new", "it is forgotten after the window")
        expect((await desk.accept(new(14)))[0].kind, "duplicate", "later keys are not")


async def retention_counts_the_keys_that_it_removes(open_store: OpenStore) -> None:
    """Its caller goes on until nothing is left, so 0 must mean that nothing is."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.accept_one("first")
        runtime.advance(HOUR)
        await desk.accept_one("second")
        keep = Keep(100 * DAY, 100 * DAY, 100 * DAY, 16 * HOUR)
        expect(await desk.retain_all(keep), 0, "nothing is old")
        runtime.advance(17 * HOUR - 1)
        expect(await desk.retain_all(keep) > 0, True, "a key has expired")
        expect(await desk.retain_all(keep), 0, "once")


async def keys_outlast_a_restart(open_store: OpenStore) -> None:
    """P4: over several slices of the window."""
    runtime = SteppedRuntime()
    ids = []
    for hour in range(5):
        async with open_store(runtime, SETTINGS) as store:
            desk = Desk(store, runtime)
            ids.append(await desk.accept_one(hour))
            found = [(await desk.accept(new(key)))[0].event_id for key in range(hour + 1)]
            expect(found, ids, "all keys are known")
            runtime.advance(HOUR)
            await store.probe()


async def retention_takes_bodies_first(open_store: OpenStore) -> None:
    """The event stays, its payload goes; not while a delivery of the request is unsettled."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        (done, part), waiting = await desk.accept(new(), new(part=b"p")), await desk.accept_one()
        for claim in (await desk.claim())[:2]:
            await desk.settle(claim.delivery)
        await desk.retry_dead()
        runtime.advance(DAY - 1)
        expect(await desk.retain_all(KEEP), 0, "nothing is old enough")
        runtime.advance(2)
        expect(await desk.retain_all(KEEP), 1, "one request is")
        found = [await store.event(event_id) for event_id in (done.event_id, part.event_id, waiting)]
        expect([one and (one.head, one.payload) for one in found][:2], [(b"", None)] * 2, "head and payloads are gone")
        expect(found[2] and found[2].payload, b"{}", "what is in flight keeps its own")


async def retention_takes_heads_of_requests_without_a_body_too(open_store: OpenStore) -> None:
    """A head holds addresses and headers: no less private than a body."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        (verdict,) = await desk.accept(new(targets=()), body=b"")
        runtime.advance(DAY + 1)
        expect(await desk.retain_all(KEEP), 1, "it is old")
        found = await store.event(verdict.event_id)
        expect(found and found.head, b"", "its head is gone")


async def retention_takes_small_batches(open_store: OpenStore) -> None:
    """So that nobody who sends waits behind it for long."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        async with trio.open_nursery() as nursery:
            for _ in range(600):
                nursery.start_soon(desk.accept, new(targets=()))
        runtime.advance(DAY + 1)
        first = await store.retain(KEEP, runtime.now_ms())
        expect(0 < first < 600, True, "a part at once")
        expect(first + await desk.retain_all(KEEP), 600, "all in the end")


async def a_dead_delivery_keeps_its_body_until_its_own_time_is_over(open_store: OpenStore) -> None:
    """`keep.dead` promises that it can be retried until then."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.make_dead("a")
        runtime.advance(4 * DAY)
        await desk.retain_all(KEEP)
        await desk.retry_dead()
        (claim,) = await desk.claim()
        expect(claim.event.payload, b"{}", "the payload is there")


async def a_delivery_whose_body_is_gone_can_be_claimed(open_store: OpenStore) -> None:
    """A dead delivery is retried after its body's time: the claim comes without a payload."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        for key in "ab":
            await desk.make_dead(key)
        runtime.advance(2 * DAY)
        await desk.retain_all(KEEP._replace(dead=DAY))
        await desk.retry_dead()
        claim, other = await desk.claim(limit_bytes=0)
        expect(other.event.payload, None, "what is gone counts no bytes")
        expect((claim.event.head, claim.event.payload, claim.event.type), (b"", None, "order.paid"), "without payload")


async def retention_never_touches_unsettled_work(open_store: OpenStore) -> None:
    """P3: whatever its age; settled events go, dead ones later."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        dead = await desk.make_dead("dead")
        done = await desk.accept_one("done")
        await desk.settle(await desk.claim_one())
        half = await desk.accept_one("half", targets=("crm", "audit"))
        await desk.settle(await desk.claim_one("audit"))
        flying = await desk.accept_one("flying", admitted=True)
        held = await desk.accept_one("held", targets=(), hold="unmatched")
        runtime.advance(3 * DAY + 1)
        newest = await desk.accept_one("newest", targets=("mail",))
        before = [store.backlog(target) for target in store.targets()]
        await desk.retain_all(KEEP)
        listed = [row.id for row in await store.events(EventQuery())]
        expect(listed, [newest, flying, half, dead], f"{done} and {held} are gone, what is unsettled or dead is not")
        expect(await store.attempts(done, 0), [], "the attempts go with it")
        expect([store.backlog(target) for target in store.targets()], before, "the backlog is as it was")
        runtime.advance(2 * DAY)
        await desk.retain_all(KEEP)
        listed = [row.id for row in await store.events(EventQuery())]
        expect(listed, [newest, flying, half], "dead ones go after their own time")
        expect(store.backlog("crm")[:3], (1, 1, 0), "and count no more")
        expect([claim.delivery.event_id for claim in await desk.claim()], [half], "what is unsettled is delivered")


async def retention_takes_a_request_as_one(open_store: OpenStore) -> None:
    """P3: while any of its events is unsettled, or dead for less than its time, nothing of it goes."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        requests = [
            await desk.accept(*(new(part=target.encode(), targets=(target,)) for target in targets))
            for targets in (("done", "waits"), ("waits", "done"), ("done", "dead"), ("dead", "done"))
        ]
        ids = [verdict.event_id for verdicts in requests for verdict in verdicts]
        for claim in await desk.claim("done"):
            await desk.settle(claim.delivery)
        for claim in await desk.claim("dead"):
            await desk.settle(claim.delivery, "dead")
        runtime.advance(4 * DAY)
        newest = await desk.accept_one(targets=())
        await desk.retain_all(KEEP)
        found = [await store.event(event_id) for event_id in ids]
        expect([one and bool(one.payload and one.head) for one in found], [True] * 8, "all of each is there")
        runtime.advance(2 * DAY)
        await desk.retain_all(KEEP)
        listed = [row.id for row in await store.events(EventQuery())]
        expect(listed, [newest, *reversed(ids[:4])], "with what waits all is kept, with what was dead nothing")


async def _waiting(desk: Desk) -> None:
    """Let one delivery wait for an hour, a second one for two days, and a gate for three hours; a third one is due."""
    now = desk.runtime.now_ms()
    for key in range(3):
        await desk.accept_one(key)
    soon, late, due = (claim.delivery for claim in await desk.claim())
    await desk.record(desk.ended(soon, "pending", "500", now + HOUR), desk.ended(late, "pending", "500", now + 2 * DAY))
    await desk.record(desk.ended(due, "pending", "500", now - DAY - HOUR))
    await desk.store.close_gate(Gate("crm", "breaker", now, now + 3 * HOUR, "refused"))
    await desk.store.close_gate(Gate("crm", "held", now, None, "by an operator"))


async def _moments(desk: Desk) -> list[int | None]:
    """Give when the three deliveries and the gate are due, in milliseconds from now."""
    found = [row.due for row in await desk.store.deliveries(DeliveryQuery())]
    found += [gate.until for gate in await desk.store.gates() if gate.until is not None]
    return [None if at is None else at - desk.runtime.now_ms() for at in found]


async def K1_what_waits_is_moved_along_with_a_clock_that_goes_back(open_store: OpenStore) -> None:  # noqa: N802 - the row's id
    """P27: nothing waits longer than before the step, and nothing that waits behind it comes before its time."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await _waiting(desk)
        await desk.accept_one("d", targets=("audit",))
        await desk.settle(await desk.claim_one("audit"), "dead")
        runtime.step(-DAY)
        expect(await store.step_back(DAY, runtime.now_ms()), 2, "what is due stays so")
        expect(await _moments(desk), [None, -HOUR, 2 * DAY, HOUR, 3 * HOUR], "as before the step")
        expect(len(await desk.claim()), 1, "one is due")
        runtime.advance(HOUR)
        next_due = store.backlog("crm").next_due
        expect(next_due is not None and next_due <= runtime.now_ms(), True, "the backlog tells that the next is due")
        expect(len(await desk.claim()), 1, "and it is")


async def K1_a_great_many_that_wait_are_all_moved_once(open_store: OpenStore) -> None:  # noqa: N802 - the row's id
    """P27: more than are moved in one transaction, for two targets, many of them due at one moment."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.accept(*(new(targets=("crm", "audit")) for _ in range(1100)))
        for target in ("crm", "audit"):
            claims = await desk.claim(target, 2000)
            due = runtime.now_ms() + 2 * DAY
            await desk.record(
                *(desk.ended(one.delivery, "pending", "500", due + n % 3) for n, one in enumerate(claims))
            )
        runtime.step(-HOUR)
        expect(await store.step_back(HOUR, runtime.now_ms()), 2200, "all of them")
        rows = [row for target in ("crm", "audit") for row in await store.deliveries(DeliveryQuery(target, limit=1000))]
        found = {(row.due or 0) - runtime.now_ms() for row in rows}
        expect(found, {2 * DAY, 2 * DAY + 1, 2 * DAY + 2}, "each by one hour")


async def K1_a_clock_that_went_back_while_closed_is_found_at_the_start(open_store: OpenStore) -> None:  # noqa: N802 - the row's id
    """P27: what waits is moved by what is known of the step; less than a minute moves nothing; once is enough."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        runtime.advance(2 * DAY)
        await _waiting(Desk(store, runtime))
    runtime.step(-50 * SECOND)
    async with open_store(runtime, SETTINGS) as store:
        expect((await _moments(Desk(store, runtime)))[2], HOUR + 50 * SECOND, "a minute is not minded")
    runtime.step(50 * SECOND - DAY)
    for _ in range(2):
        async with open_store(runtime, SETTINGS) as store:
            desk = Desk(store, runtime)
            expect(await _moments(desk), [-HOUR, 2 * DAY, HOUR, 3 * HOUR], "as before the step")
            await desk.store.probe()


KEEP_CHECKS = (
    K1_what_waits_is_moved_along_with_a_clock_that_goes_back,
    K1_a_great_many_that_wait_are_all_moved_once,
    K1_a_clock_that_went_back_while_closed_is_found_at_the_start,
    K1_ids_rise_whatever_the_clock_does,
    K1_a_clock_step_forwards_nothing_twice,
    a_key_is_known_for_the_whole_window_and_then_forgotten,
    retention_counts_the_keys_that_it_removes,
    keys_outlast_a_restart,
    retention_takes_bodies_first,
    retention_takes_heads_of_requests_without_a_body_too,
    retention_takes_small_batches,
    a_dead_delivery_keeps_its_body_until_its_own_time_is_over,
    a_delivery_whose_body_is_gone_can_be_claimed,
    retention_never_touches_unsettled_work,
    retention_takes_a_request_as_one,
)
