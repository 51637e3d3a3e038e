"""Conformance of a store: who did what by hand."""

from gateway.store.contract import Keep
from gateway.store.operator import DeliveryFilter, Note, Position, Replay
from gateway.store.values import REASON_MAX
from gateway.testing.store_desk import DAY, HOUR, NOTE, SECOND, SETTINGS, Desk, OpenStore, SteppedRuntime, expect


async def the_same_done_again_much_later_is_another_entry(open_store: OpenStore) -> None:
    """Small transactions of one command are one entry; what somebody does after ten minutes is another command."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        ids = [await desk.make_dead(key) for key in range(3)]
        began = runtime.now_ms()
        for event_id, wait in zip(ids, (10 * 60 * SECOND - 1, 1, 0), strict=True):
            await store.operator.retry([(event_id, 0)], NOTE)
            runtime.advance(wait)
        told = [(row.at - began, row.affected) for row in await store.operator.audit(None, 9)]
        expect(told, [(10 * 60 * SECOND, 1), (0, 2)], "ten minutes after it began")


async def of_a_reason_so_much_is_kept(open_store: OpenStore) -> None:
    """Of a try, of what somebody did by hand and to what, wherever it is told."""
    runtime = SteppedRuntime()
    long = Note("uid 1000", "s" * 600, "r" * 600)
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        tried = await desk.accept_one("a")
        await desk.settle(await desk.claim_one(), "dead", "x" * 600)
        expect(await store.operator.cancel([(tried, 0)], long), 1, "it is cancelled")
        reasons = [row.reason for row in await store.attempts(tried, 0)]
        expect(reasons, ["x" * REASON_MAX, "r" * REASON_MAX], "of tries")
        await store.operator.begin_replay(Replay("r", runtime.now_ms(), "a", "{}"))
        ended = await store.operator.cancel_replay("r", long)
        expect(ended and ended.reason, "r" * REASON_MAX, "of a replay's end")
        replayed, cancelled = await store.operator.audit(None, 9)
        expect((cancelled.subject, cancelled.reason), ("s" * REASON_MAX, "r" * REASON_MAX), "in the audit")
        expect((replayed.subject, replayed.reason), ("r", "r" * REASON_MAX), "in the audit")


async def retention_counts_what_it_removes_of_the_audit(open_store: OpenStore) -> None:
    """Its caller goes on until nothing is left, so 0 must mean that nothing is."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        for name in "rs":
            await store.operator.begin_replay(Replay(name, runtime.now_ms(), "a", "{}"))
            await store.operator.cancel_replay(name, NOTE)
        keep = Keep(DAY, HOUR, DAY, DAY)
        runtime.advance(HOUR)
        expect(await desk.retain_all(keep), 0, "nothing is old")
        runtime.advance(1)
        expect(await desk.retain_all(keep), 4, "two replays, and who ended them")
        expect(await desk.retain_all(keep), 0, "once")


async def the_audit_is_paged_and_kept_as_long_as_metadata(open_store: OpenStore) -> None:
    """The same by the same person is one entry; ended replays go with it, running ones stay."""
    runtime = SteppedRuntime()
    keep = Keep(HOUR, HOUR, HOUR, HOUR)
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        ids = [await desk.make_dead(key) for key in range(4)]
        for event_id, who in zip(ids, ("a", "a", "b", "a"), strict=True):
            await store.operator.retry([(event_id, 0)], Note(who, "all"))
        rows = await store.operator.audit(None, 9)
        expect([(row.who, row.affected) for row in rows], [("a", 1), ("b", 1), ("a", 2)], "newest first")
        expect(await store.operator.audit(rows[0].id, 1), rows[1:2], "a page goes on below a number")
        for name in "rs":
            await store.operator.begin_replay(Replay(name, runtime.now_ms(), "a", "{}"))
        await store.operator.cancel_replay("r", NOTE)
        runtime.advance(2 * DAY)
        await desk.retain_all(keep)
        expect(await store.operator.audit(None, 9), [], "old entries go")
        expect([each.id for each in await store.operator.replays(9)], ["s"], "what runs stays")
        expect(
            await store.operator.select_deliveries(DeliveryFilter(("dead",)), Position(), 1),
            ([], None),
            "nothing is dead",
        )


AUDIT_CHECKS = (
    the_same_done_again_much_later_is_another_entry,
    of_a_reason_so_much_is_kept,
    retention_counts_what_it_removes_of_the_audit,
    the_audit_is_paged_and_kept_as_long_as_metadata,
)
