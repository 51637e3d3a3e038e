"""Conformance of a store: *claim*, *record*, and what a restart makes of both."""

import trio

from gateway.core.model import Delivery
from gateway.store.contract import AttemptRow, Backlog, Claim, DeliveryQuery, Record
from gateway.testing.store_desk import SECOND, SETTINGS, Desk, OpenStore, SteppedRuntime, expect


async def a_claim_gives_the_delivery_with_its_event(open_store: OpenStore) -> None:
    """Everything that delivering needs, and nothing twice."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        event_id = await desk.accept_one("k", part=b"part")
        (claim,) = await desk.claim()
        expect(claim.delivery, Delivery(event_id, 0, "crm", "all", 1, 0, 0, None, runtime.now_ms()), "the delivery")
        expect(claim.event, await store.event(event_id), "the event is the stored one")
        expect(await desk.claim(), [], "what is claimed cannot be claimed again")
        expect(store.backlog("crm"), Backlog(0, 1, 0, None), "it is in flight")


async def the_oldest_due_come_first_up_to_the_limits(open_store: OpenStore) -> None:
    """By due time, not by id; by number and by bytes, at least one; nothing before its time."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        late, *others = [await desk.accept_one(key) for key in range(5)]
        (first,) = await desk.claim(limit=1)
        expect(first.delivery.event_id, late, "the oldest first")
        await desk.record(desk.ended(first.delivery, "pending", "503", runtime.now_ms() + 60 * SECOND))
        expect(store.backlog("crm").pending, 5, "what is to be tried again waits")
        expect([_event(claim) for claim in await desk.claim(limit=2)], others[:2], "up to the number asked for")
        expect([_event(claim) for claim in await desk.claim(limit_bytes=1)], others[2:3], "one, however large")
        expect([_event(claim) for claim in await desk.claim()], others[3:], "nothing before its time")
        more = [await desk.accept_one() for _ in range(3)]
        expect([_event(claim) for claim in await desk.claim(limit_bytes=2)], more[:2], "until they are more than that")
        expect([_event(claim) for claim in await desk.claim(limit_bytes=0)], more[2:], "at least one")
        expect(store.backlog("crm").next_due, runtime.now_ms() + 60 * SECOND, "the next due time is known")
        runtime.advance(60 * SECOND)
        expect([_event(claim) for claim in await desk.claim()], [late], "it is due when its time has come")


async def targets_do_not_see_each_others_deliveries(open_store: OpenStore) -> None:
    """A claim takes only what is meant for its target."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.accept_one("k", targets=("crm", "audit"))
        expect((await desk.claim_one("audit")).target, "audit", "audit gets its own")
        expect(store.backlog("crm").pending, 1, "crm's still waits")
        expect(await desk.claim("nobody"), [], "a target that is unknown has nothing")
        expect(store.targets(), ["audit", "crm"], "both have something to do")


async def a_record_is_taken_only_while_the_claim_holds(open_store: OpenStore) -> None:
    """P8: a stale token changes nothing, also in one call with good ones."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        for key in range(3):
            await desk.accept_one(key)
        one, two, three = [claim.delivery for claim in await desk.claim()]
        stale = desk.ended(two, "delivered")._replace(claims=two.claims + 1)
        taken = await desk.record(desk.ended(one, "delivered"), stale, desk.ended(three, "dead"))
        expect(taken, [True, False, True], "only the stale one is refused")
        expect(await desk.settle(one, "dead"), False, "what is settled is settled")
        expect(store.backlog("crm"), Backlog(0, 1, 1, None), "the backlog tells the same")
        expect([len(await store.attempts(d.event_id, 0)) for d in (one, two, three)], [1, 0, 1], "so do the attempts")


async def a_record_keeps_attempts_progress_and_reason(open_store: OpenStore) -> None:
    """What was tried can be read, what the target wrote down comes back with the next claim."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        event_id = await desk.accept_one("k")
        for number in (1, 2):
            delivery = await desk.claim_one()
            record = desk.ended(delivery, "pending", f"try {number}", runtime.now_ms())
            await desk.record(record._replace(progress=b"half"))
        expect((await desk.claim_one())[4:8], (3, 2, 0, b"half"), "claims, attempts and progress count on")
        rows = [AttemptRow(runtime.now_ms(), 12, "retry", f"try {number}") for number in (1, 2)]
        expect(await store.attempts(event_id, 0), rows, "the tries are kept, first to last")
        row = (await store.deliveries(DeliveryQuery()))[0]
        expect((row.state, row.last_reason, row.settled_at), ("in_flight", "try 2", None), "the list tells the last")


async def a_record_that_cannot_be_written_is_told_and_leaves_the_claim(open_store: OpenStore) -> None:
    """It is refused alone, told apart from a stale claim, and whoever holds the claim may write another."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        for key in range(3):
            await desk.accept_one(key)
        first, second, third = (claim.delivery for claim in await desk.claim())
        records = [
            desk.ended(first, "dead", "half a character: \ud83d"),
            desk.ended(second._replace(claims=7), "delivered"),
            desk.ended(third, "delivered"),
        ]
        expect(await desk.record(*records), [None, False, True], "refused, stale, taken")
        expect(store.backlog("crm"), Backlog(0, 2, 0, None), "what was not taken is ours as before")
        expect(await desk.settle(first), True, "our claim still holds")


async def a_settled_delivery_is_never_claimed_again(open_store: OpenStore) -> None:
    """Delivered and dead end it, with the time at which it was settled."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.accept_one("k")
        await desk.settle(await desk.claim_one())
        await desk.make_dead("l")
        runtime.advance(10 * SECOND)
        expect(await desk.claim(), [], "nothing is due")
        expect(store.targets(), ["crm"], "a target with dead deliveries is named")
        rows = await store.deliveries(DeliveryQuery())
        expect([row.state for row in rows], ["dead", "delivered"], "newest first")
        expect([row.settled_at for row in rows], [runtime.now_ms() - 10 * SECOND] * 2, "when it was settled")


async def a_release_costs_no_attempt(open_store: OpenStore) -> None:
    """At stop a claim is handed back without a try."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        event_id = await desk.accept_one("k")
        delivery = await desk.claim_one()
        record = Record(event_id, 0, 1, "pending", runtime.now_ms(), 0, None, None, "crm")
        expect(await desk.record(record), [True], "it is taken")
        expect(await store.attempts(event_id, 0), [], "no try is noted")
        expect((await desk.claim_one())[4:6], (delivery.claims + 1, 0), "only the claims count")


async def a_cancelled_claim_is_handed_back(open_store: OpenStore) -> None:
    """Nobody took what was claimed, so it is due."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.accept_one("k")
        with trio.CancelScope() as scope:
            scope.cancel()
            await desk.claim()
        await store.probe()
        await store.probe()
        expect(store.backlog("crm")[:2], (1, 0), "it waits again")


async def B5_a_restart_frees_what_was_in_flight(open_store: OpenStore) -> None:  # noqa: N802 - the row's id
    """B5: owners are new at each start. The first interruption is due at once, the next ones later; each is noted."""
    runtime = SteppedRuntime()
    epochs = []
    event_id = 0
    for interrupted, wait in ((0, 0), (1, 0), (2, 30), (3, 60)):
        async with open_store(runtime, SETTINGS) as store:
            desk = Desk(store, runtime)
            epochs.append(store.epoch)
            event_id = event_id or await desk.accept_one("k")
            due = runtime.now_ms() + wait * SECOND
            expect(store.backlog("crm"), Backlog(1, 0, 0, due), f"due {wait} s after interruption {interrupted}")
            runtime.advance(wait * SECOND)
            expect((await desk.claim_one())[4:7], (interrupted + 1, 0, interrupted), "interrupted, no attempt lost")
            outcomes = [row.outcome for row in await store.attempts(event_id, 0)]
            expect(outcomes, ["interrupted"] * interrupted, "each interruption is noted")
    expect(len(set(epochs)), 4, "each start has its own epoch")


async def B5_a_record_of_a_dead_process_changes_nothing(open_store: OpenStore) -> None:  # noqa: N802 - the row's id
    """B5: the same claim number under another epoch is not the same claim."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.accept_one("k")
        stale = await desk.claim_one()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        expect(await desk.settle(stale), False, "the old claim is worth nothing")
        ours = await desk.claim_one()
        expect(await desk.settle(stale._replace(claims=stale.claims)), False, "nor once it is claimed again")
        expect(await desk.settle(ours), True, "our own is")


async def a_restart_keeps_the_backlog(open_store: OpenStore) -> None:
    """What waits is the same after a restart."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.make_dead("k")
        await desk.accept_one("l", targets=("crm", "audit"))
        before = [store.backlog(target) for target in store.targets()]
    async with open_store(runtime, SETTINGS) as store:
        expect([store.backlog(target) for target in store.targets()], before, "nothing is lost or added")


def _event(claim: Claim) -> int:
    return claim.delivery.event_id


DELIVER_CHECKS = (
    a_claim_gives_the_delivery_with_its_event,
    the_oldest_due_come_first_up_to_the_limits,
    targets_do_not_see_each_others_deliveries,
    a_record_is_taken_only_while_the_claim_holds,
    a_record_keeps_attempts_progress_and_reason,
    a_record_that_cannot_be_written_is_told_and_leaves_the_claim,
    a_settled_delivery_is_never_claimed_again,
    a_release_costs_no_attempt,
    a_cancelled_claim_is_handed_back,
    B5_a_restart_frees_what_was_in_flight,
    B5_a_record_of_a_dead_process_changes_nothing,
    a_restart_keeps_the_backlog,
)
