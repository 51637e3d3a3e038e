"""Conformance of a store: deliveries that have a key, one after the other."""

from collections.abc import Sequence

from gateway.core.model import StoredEvent
from gateway.store.contract import Backlog, Claim, DeliveryQuery, Keep, NewDelivery, Ordering
from gateway.testing.store_desk import DAY, SECOND, SETTINGS, Desk, OpenStore, SteppedRuntime, digest, expect, new

BLOCK = Ordering("test")
SKIP = Ordering("test", "skip")
LATEST = Ordering("test", "skip", "latest")


def by_part(event: StoredEvent) -> bytes | None:
    """Give the key of an event whose part is its key."""
    return digest(event.part)


def ids_of(claims: Sequence[Claim]) -> list[int]:
    """Give the events of claims."""
    return [claim.event.id for claim in claims]


async def put_in_order(desk: Desk, ordering: Ordering, target: str = "crm") -> None:
    """Order a target, and what waits for it."""
    await desk.store.set_ordering(target, ordering, by_part)


async def one_key_goes_in_order_and_delays_no_other(open_store: OpenStore) -> None:
    """P9: the next of a key is due once the one before is settled, retries and all; other keys go on."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await put_in_order(desk, BLOCK)
        first, second = [await desk.accept_one(key, order="A") for key in "ab"]
        other = await desk.accept_one("c", order="B")
        free = await desk.accept_one("d")
        expect(store.backlog("crm"), Backlog(4, 0, 0, runtime.now_ms(), 1), "one waits its turn")
        claims = await desk.claim()
        expect(ids_of(claims), [first, other, free], "one of each key, and what has none")
        later = runtime.now_ms() + 60 * SECOND
        await desk.record(desk.ended(claims[0].delivery, "pending", "503", later))
        await desk.settle(claims[1].delivery)
        expect(await desk.claim(), [], "the first backs off, and so does its key")
        expect(store.backlog("crm"), Backlog(2, 0 + 1, 0, later, 1), "the second waits for it")
        (row,) = await store.deliveries(DeliveryQuery(event_id=second))
        expect(row.behind, (first, 0), "as a list tells")
        runtime.advance(60 * SECOND)
        await desk.settle(await desk.claim_one())
        expect(store.backlog("crm").next_due, runtime.now_ms(), "the second is due")
        expect((await desk.claim_one()).event_id, second, "then it is the second's turn")


async def an_admitted_delivery_waits_if_its_key_is_taken(open_store: OpenStore) -> None:
    """The hand-off in memory is for the first of a key only, also within one request."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await put_in_order(desk, BLOCK)
        one, two = await desk.accept(new("a", order="A", admitted=True), new("b", order="A", admitted=True))
        (three,) = await desk.accept(new("c", order="A", admitted=True))
        expect([each.waiting for each in (one, two, three)], [(), (0,), (0,)], "the verdict tells who waits")
        expect(store.backlog("crm"), Backlog(2, 1, 0, None, 2), "the first is in flight")
        behind = {row.event_id: row.behind for row in await store.deliveries(DeliveryQuery())}
        first = (one.event_id, 0)
        expect(behind, {one.event_id: None, two.event_id: first, three.event_id: first}, "the others wait for it")


async def keys_belong_to_their_target_and_source(open_store: OpenStore) -> None:
    """The same key of another source is another key, also after the source was renamed."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await put_in_order(desk, BLOCK)
        await put_in_order(desk, BLOCK, "audit")
        first = await desk.accept_one("a", order="A", targets=("crm", "audit"))
        other = await desk.accept_one("b", order="A", source="bank")
        expect(ids_of(await desk.claim()), [first, other], "two sources, two keys")
        expect(ids_of(await desk.claim("audit")), [first], "two targets, two lines")
        expect(await desk.rename("source", "shop", "store"), True, "the source gets another name")
        await desk.accept_one("c", order="A", source="store")
        expect(await desk.claim(), [], "its keys are the same")


async def a_dead_delivery_blocks_its_key_until_somebody_acts(open_store: OpenStore) -> None:
    """`on_dead = "block"`: retry and cancel free it; what comes meanwhile waits."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await put_in_order(desk, BLOCK)
        dead = await desk.make_dead("a", order="A")
        second, third = [await desk.accept_one(key, order="A") for key in "bc"]
        expect(store.backlog("crm"), Backlog(2, 0, 1, None, 2), "both wait, nothing is due")
        rows = await store.deliveries(DeliveryQuery(state="pending"))
        expect([row.behind for row in rows], [(dead, 0)] * 2, "both wait for the dead one")
        expect(await desk.retry_dead(dead), 1, "it is retried")
        again = await desk.claim_one()
        expect(again.event_id, dead, "and goes first")
        await desk.settle(again, "dead")
        expect(await desk.claim(), [], "dead again, it blocks again")
        expect(await desk.cancel(dead), 1, "it is cancelled")
        for expected in (second, third):
            found = await desk.claim_one()
            expect(found.event_id, expected, "the others go on in order")
            await desk.settle(found)


async def a_dead_delivery_is_skipped_where_that_is_asked_for(open_store: OpenStore) -> None:
    """`on_dead = "skip"`; a retry of the dead one goes before what waits, but not beside what is in flight."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await put_in_order(desk, SKIP)
        dead, second, third = [await desk.accept_one(key, order="A") for key in "abc"]
        await desk.settle(await desk.claim_one(), "dead")
        flying = await desk.claim_one()
        expect(flying.event_id, second, "the second goes on")
        await desk.retry_dead(dead)
        expect(await desk.claim(), [], "one of a key at a time")
        later = runtime.now_ms() + SECOND
        await desk.record(desk.ended(flying, "pending", "503", later))
        expect((await desk.claim_one()).event_id, dead, "the older one comes first")
        expect(store.backlog("crm").waiting, 2, "the others wait")
        expect(
            [row.event_id for row in await store.deliveries(DeliveryQuery(state="pending"))], [third, second], "both"
        )


async def a_cancelled_head_lets_the_next_one_go(open_store: OpenStore) -> None:
    """Also one that backs off."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await put_in_order(desk, BLOCK)
        first, second, third = [await desk.accept_one(key, order="A") for key in "abc"]
        claim = await desk.claim_one()
        await desk.record(desk.ended(claim, "pending", "503", runtime.now_ms() + 60 * SECOND))
        expect(await desk.cancel(second), 1, "one that waits is cancelled")
        expect(store.backlog("crm").waiting, 1, "it waits no more")
        expect(await desk.claim(), [], "the first still backs off")
        expect(await desk.cancel(first), 1, "the first is cancelled")
        expect((await desk.claim_one()).event_id, third, "the third is next")


async def order_outlasts_a_restart(open_store: OpenStore) -> None:
    """What was in flight comes again before what waits behind it; the counts are right from the start."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await put_in_order(desk, SKIP)
        dead, first, second = [await desk.accept_one(key, order="A") for key in "abc"]
        await desk.settle(await desk.claim_one(), "dead")
        expect((await desk.claim_one()).event_id, first, "the first is in flight")
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        expect(store.backlog("crm"), Backlog(2, 0, 1, runtime.now_ms(), 1), "one is due, one waits")
        again = await desk.claim_one()
        expect(again.event_id, first, "the first comes again")
        await desk.retry_dead(dead)
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        for expected in (dead, first, second):
            found = await desk.claim_one()
            expect(found.event_id, expected, "in order of acceptance, whoever was in flight when it ended")
            await desk.settle(found)
            runtime.advance(30 * SECOND)  # what was interrupted twice waits for so long


async def what_waited_is_due_once_its_target_is_not_ordered_any_more(open_store: OpenStore) -> None:
    """Known at once to whoever asks when there is something to claim."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await put_in_order(desk, BLOCK)
        await desk.accept_one("a", order="A")
        await desk.claim_one()
        await desk.accept_one("b", order="A")
        expect(store.backlog("crm").next_due, None, "it waits for its turn")
        await store.set_ordering("crm", None, lambda _: None)
        expect(store.backlog("crm").next_due, runtime.now_ms(), "it is due")


async def a_replay_goes_before_what_waits(open_store: OpenStore) -> None:
    """By the event's own place in the order; a repeat's revival, too."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await put_in_order(desk, SKIP)
        first, second = [await desk.make_dead(key, order="A") for key in "ab"]
        third = await desk.accept_one("c", order="A")
        planned = (NewDelivery("all", "crm", True, key=digest("A")),)
        expect(await desk.replay_one(first, planned, "r1"), 1, "the first is replayed")
        expect((await desk.accept(new("b", order="A")))[0].revived, 1, "the second is sent again by its provider")
        for expected in ((first, 1), (second, 0), (third, 0)):
            found = await desk.claim_one()
            expect((found.event_id, found.n), expected, "one after the other")
            await desk.settle(found)


async def what_waited_behind_a_dead_one_that_is_replayed_by_another_key_goes_on(open_store: OpenStore) -> None:
    """The event's key may read otherwise today: what waits in the line that it leaves waits for nothing else."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await put_in_order(desk, BLOCK)
        head = await desk.make_dead("a", order="A")
        behind = await desk.accept_one("b", order="A")
        await desk.replay_one(head, [NewDelivery("all", "crm", admitted=False, key=digest("B"))], "r")
        expect(sorted(ids_of(await desk.claim())), [head, behind], "each is the first of its key")


async def a_target_that_got_a_freed_name_takes_old_events_in_order(open_store: OpenStore) -> None:
    """What is replayed to it is older than the rename, and not in the order of whoever had the name before."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        first, second = [await desk.accept_one(key) for key in "ab"]
        expect(await desk.rename("target", "crm", "sales"), True, "sales owns nothing yet")
        await put_in_order(desk, BLOCK)
        planned = (NewDelivery("all", "crm", False, key=digest("A")),)
        for event_id, replay_id in ((first, "r1"), (second, "r2")):
            await desk.replay_one(event_id, planned, replay_id)
        for expected in (first, second):
            found = await desk.claim_one()
            expect(found.event_id, expected, "one after the other")
            await desk.settle(found)


async def a_blocking_delivery_that_retention_takes_blocks_no_more(open_store: OpenStore) -> None:
    """Nobody could retry or cancel it any more."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await put_in_order(desk, BLOCK)
        await desk.make_dead("a", order="A")
        runtime.advance(DAY)
        second = await desk.accept_one("b", order="A")
        runtime.advance(DAY)
        expect(await desk.claim(), [], "it is blocked")
        await desk.retain_all(Keep(DAY // 2, DAY // 2, DAY, DAY))
        expect((await desk.claim_one()).event_id, second, "it is free")


ORDER_CHECKS = (
    one_key_goes_in_order_and_delays_no_other,
    an_admitted_delivery_waits_if_its_key_is_taken,
    keys_belong_to_their_target_and_source,
    a_dead_delivery_blocks_its_key_until_somebody_acts,
    a_dead_delivery_is_skipped_where_that_is_asked_for,
    a_cancelled_head_lets_the_next_one_go,
    order_outlasts_a_restart,
    what_waited_is_due_once_its_target_is_not_ordered_any_more,
    a_replay_goes_before_what_waits,
    what_waited_behind_a_dead_one_that_is_replayed_by_another_key_goes_on,
    a_target_that_got_a_freed_name_takes_old_events_in_order,
    a_blocking_delivery_that_retention_takes_blocks_no_more,
)
