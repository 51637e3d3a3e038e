"""Conformance of a store: how long deliveries have waited, which of them expired, and a clock that goes forward."""

from gateway.store.contract import AttemptRow, Backlog, DeliveryQuery, NewDelivery, NewEvent
from gateway.testing.store_desk import (
    DAY,
    HOUR,
    SECOND,
    SETTINGS,
    START_MS,
    Desk,
    OpenStore,
    SteppedRuntime,
    expect,
    new,
)

_EXPIRED = "expired: its target's policy gave it until 2027-01-15T08:01:00.000Z"
_MINUTE = 60 * SECOND


async def what_a_delivery_has_waited_is_kept_until_it_is_revived(open_store: OpenStore) -> None:
    """The sum that `give_up` counts outlasts a restart; an operator's retry begins anew."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.accept_one("a")
        await desk.record(desk.ended(await desk.claim_one(), "pending", "500", runtime.now_ms() + HOUR))
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        runtime.advance(2 * HOUR)
        delivery = await desk.claim_one()
        expect(delivery.waited, HOUR, "an hour, although two went by")
        await desk.settle(delivery, "dead", "400")
        await desk.retry_dead()
        expect((await desk.claim_one()).waited, 0, "a retry begins anew")


async def a_repeat_lets_a_dead_delivery_wait_anew(open_store: OpenStore) -> None:
    """A provider's Resend is as good as an operator's retry."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.accept_one("a")
        await desk.record(desk.ended(await desk.claim_one(), "pending", "500", runtime.now_ms() + HOUR))
        runtime.advance(HOUR)
        await desk.settle(await desk.claim_one(), "dead", "400")
        await desk.accept_one("a")
        expect((await desk.claim_one()).waited, 0, "it begins anew")


async def what_waits_expires_at_its_moment_with_its_reason(open_store: OpenStore) -> None:
    """Due or not, never tried or often; only what waits, and only once."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        tried = await desk.accept_one("a", expires_ms=_MINUTE)
        await desk.record(desk.ended(await desk.claim_one(), "pending", "500", runtime.now_ms() + HOUR))
        fresh = await desk.accept_one("b", targets=("crm", "audit"), expires_ms=_MINUTE)
        flying = await desk.accept_one("c", admitted=True, expires_ms=_MINUTE)
        other = await desk.accept_one("d")
        runtime.advance(_MINUTE - 1)
        expect(await store.expire(runtime.now_ms()), {}, "not before")
        found = {(row.event_id, row.expires_at) for row in await store.deliveries(DeliveryQuery(target="crm"))}
        expires = START_MS + _MINUTE
        expect(found, {(tried, expires), (fresh, expires), (flying, expires), (other, None)}, "a list tells when")
        runtime.advance(1)
        expect(await store.expire(runtime.now_ms()), {"crm": 2, "audit": 1}, "three that wait")
        expect(await store.expire(runtime.now_ms()), {}, "once")
        rows = await store.deliveries(DeliveryQuery(state="cancelled"))
        expect([row.event_id for row in rows], [fresh, fresh, tried], "by the one that has a try and those without")
        expect({(row.last_reason, row.settled_at) for row in rows}, {(_EXPIRED, runtime.now_ms())}, "each says why")
        last = (await store.attempts(tried, 0))[-1]
        expect(last, AttemptRow(runtime.now_ms(), 0, "cancelled", _EXPIRED), "a row tells it")
        expect(store.backlog("crm"), Backlog(1, 1, 0, START_MS), "the one in flight goes on, one never expires")
        claims = await desk.claim()
        expect([claim.delivery.event_id for claim in claims], [other], "which can be claimed")
        await desk.record(desk.ended(claims[0].delivery, "delivered"))
        (row,) = await store.deliveries(DeliveryQuery(event_id=flying))
        expect(row.state, "in_flight", "what is being tried is left alone")


async def what_has_expired_cannot_be_claimed_and_hides_nobody(open_store: OpenStore) -> None:
    """Also if nobody has cancelled it so far; and it is told once."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        for key in range(20):
            await desk.accept_one(key, expires_ms=_MINUTE)
        runtime.advance(_MINUTE)
        await desk.accept_one("late", expires_ms=_MINUTE)
        found = [claim.delivery.expires_at for _ in range(3) for claim in await desk.claim(limit=10)]
        expect(found, [runtime.now_ms() + _MINUTE], "the one that has not expired")
        total = 0
        while told := await store.expire(runtime.now_ms()):
            total += told["crm"]
        expect(total, 20, "all others are told")
        expect(store.backlog("crm"), Backlog(0, 1, 0, None), "and nothing waits")


async def a_replay_expires_counted_from_itself(open_store: OpenStore) -> None:
    """An operator who asks for an old event again means it; the time is no shorter than for a fresh one."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        event_id = await desk.accept_one("a", targets=(), hold="unmatched")
        runtime.advance(DAY)
        await desk.replay_one(event_id, (NewDelivery("replay", "crm", False, _MINUTE),), "r1")
        expect((await desk.claim_one()).expires_at, runtime.now_ms() + _MINUTE, "a minute from now")


async def a_great_many_expire_in_batches(open_store: OpenStore) -> None:
    """However many there are, all are cancelled in the end."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        for _ in range(3):
            await desk.accept(*(_short() for _ in range(400)))
        runtime.advance(_MINUTE)
        total = 0
        while told := await store.expire(runtime.now_ms()):
            total += told["crm"]
        expect((total, store.backlog("crm")), (1200, Backlog()), "all")


async def K1_a_clock_that_goes_forward_makes_nothing_early(open_store: OpenStore) -> None:  # noqa: N802 - the row's id
    """P27: what waits is due and expires as long after as before; what came after the step is left as it is."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        for key, wait in (("soon", HOUR), ("late", 2 * DAY), ("due", -HOUR)):
            await desk.accept_one(key, expires_ms=3 * DAY)
            await desk.record(desk.ended(await desk.claim_one(), "pending", "500", runtime.now_ms() + wait))
        runtime.step(DAY)
        await desk.accept_one("fresh", targets=("audit",), expires_ms=3 * DAY)
        runtime.advance(SECOND)
        expect(await store.step_forward(DAY, runtime.now_ms(), 2 * SECOND), 2, "the two that wait")
        rows = await store.deliveries(DeliveryQuery())
        found = [(row.due or 0) - runtime.now_ms() for row in rows]
        expect(found, [-SECOND, -HOUR - DAY - SECOND, 2 * DAY - SECOND, HOUR - SECOND], "each as before")
        runtime.advance(3 * DAY - SECOND)
        expect(await store.expire(runtime.now_ms() - SECOND - 1), {}, "nothing expires early")
        told = await store.expire(runtime.now_ms())
        expect(told, {"crm": 3, "audit": 1}, "all of them three days after they came")


async def K1_what_is_planned_anew_after_a_step_expires_at_its_time(open_store: OpenStore) -> None:  # noqa: N802 - the row's id
    """Its event is older than the step, its own time is not: not moved on with it, nor back."""
    for step in (DAY, -DAY):
        runtime = SteppedRuntime()
        async with open_store(runtime, SETTINGS) as store:
            desk = Desk(store, runtime)
            held = await desk.accept_one(f"a{step}", targets=(), hold="unmatched")
            gone = await desk.accept_one(f"b{step}", targets=(), hold="unmatched")
            runtime.advance(HOUR)
            runtime.step(step)
            await desk.replay_one(held, (NewDelivery("replay", "crm", False, HOUR),), f"r{step}")
            await desk.accept_one(f"b{step}", expires_ms=HOUR)
            runtime.advance(SECOND)
            if step > 0:
                await store.step_forward(step, runtime.now_ms(), 2 * SECOND)
            else:
                await store.step_back(-step, runtime.now_ms())
            rows = await store.deliveries(DeliveryQuery())
            found = {row.event_id: (row.expires_at or 0) - runtime.now_ms() for row in rows if row.event_id >= held}
            left = HOUR - SECOND
            expect(found, {held: left, gone: left}, "an hour from when each was planned")


async def K1_a_clock_that_goes_back_lets_nothing_expire_later(open_store: OpenStore) -> None:  # noqa: N802 - the row's id
    """While the store is open, and while it is closed."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        runtime.advance(2 * DAY)
        await desk.accept(*(new(key, expires_ms=3 * HOUR) for key in range(600)))
        runtime.step(-DAY)
        await store.step_back(DAY, runtime.now_ms())
        await desk.store.probe()
    runtime.step(-HOUR)
    async with open_store(runtime, SETTINGS) as store:
        runtime.advance(3 * HOUR - 1)
        expect(await store.expire(runtime.now_ms()), {}, "not before their time")
        runtime.advance(1)
        total = 0
        while told := await store.expire(runtime.now_ms()):
            total += told["crm"]
        expect(total, 600, "and then")


async def K1_a_great_many_that_wait_are_all_moved_on_once(open_store: OpenStore) -> None:  # noqa: N802 - the row's id
    """More than one slice, in two lines, with a step that is shorter than the waits."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.accept(*(_short(targets=("crm", "audit")) for _ in range(1100)))
        for target in ("crm", "audit"):
            claims = await desk.claim(target, 2000)
            due = runtime.now_ms() + 2 * DAY
            await desk.record(
                *(desk.ended(one.delivery, "pending", "500", due + n % 3) for n, one in enumerate(claims))
            )
        runtime.step(HOUR)
        expect(await store.step_forward(HOUR, runtime.now_ms(), SECOND), 2200, "all of them")
        rows = [row for target in ("crm", "audit") for row in await store.deliveries(DeliveryQuery(target, limit=1000))]
        found = {(row.due or 0) - runtime.now_ms() for row in rows}
        expect(found, {2 * DAY, 2 * DAY + 1, 2 * DAY + 2}, "each by one hour")
        expect(await store.expire(runtime.now_ms() + _MINUTE - 1), {}, "nothing expires early")


def _short(targets: tuple[str, ...] = ("crm",)) -> NewEvent:
    """Make a sample event whose deliveries are of use for a minute."""
    return new(targets=targets, expires_ms=_MINUTE)


EXPIRY_CHECKS = (
    what_a_delivery_has_waited_is_kept_until_it_is_revived,
    a_repeat_lets_a_dead_delivery_wait_anew,
    what_waits_expires_at_its_moment_with_its_reason,
    what_has_expired_cannot_be_claimed_and_hides_nobody,
    a_replay_expires_counted_from_itself,
    a_great_many_expire_in_batches,
    K1_a_clock_that_goes_forward_makes_nothing_early,
    K1_what_is_planned_anew_after_a_step_expires_at_its_time,
    K1_a_clock_that_goes_back_lets_nothing_expire_later,
    K1_a_great_many_that_wait_are_all_moved_on_once,
)
