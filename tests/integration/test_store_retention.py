"""Retention under load and beside old unsettled work: every kind gets its turn, and a round costs what is new."""

import random

import pytest
import trio
from store_samples import desk_on

from gateway.dispatch import janitor
from gateway.store import sweep
from gateway.store.contract import EventQuery, Keep
from gateway.store.operator import DeliveryFilter
from gateway.testing.store_desk import SteppedRuntime, new

HOUR = 3_600_000
KEEP = Keep(bodies=HOUR, metadata=HOUR, dead=HOUR, keys=HOUR)
BODIES = KEEP._replace(metadata=100 * HOUR)
NEVER = 10**15


class Passing(SteppedRuntime):
    """Time passes between any two looks at the clock by the one who is tidying up."""

    looks = 0

    def look(self):
        self.looks += 1
        self.advance(150)
        return self.now_ms()


@pytest.fixture
def looked_at(monkeypatch):
    """How many requests each round looked at so far."""
    counts = []
    plain = sweep.Sweep.next

    def counted(self, ledger, below):
        found = plain(self, ledger, below)
        counts.append(len(found.requests))
        return found

    monkeypatch.setattr(sweep.Sweep, "next", counted)
    return counts


async def listed(desk):
    return {row.id for row in await desk.store.events(EventQuery(limit=1000))}


async def retain_round(desk, keep):
    """One round, as the janitor makes one each minute; give what was removed."""
    removed, now = 0, desk.runtime.now_ms()
    while count := await desk.store.retain(keep, now):
        removed += count
    return removed


async def test_a_round_of_retention_ends_and_removes_all_it_should_though_something_comes_of_age_all_the_time(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(janitor, "PAUSE_BETWEEN_BATCHES_SECONDS", 0)
    monkeypatch.setattr(janitor, "RETENTION_EVERY_SECONDS", 0.01)
    runtime = Passing()
    async with desk_on(tmp_path / "h.db", runtime=runtime) as desk:
        for _ in range(300):
            await desk.accept_one(targets=())
            runtime.advance(100)
        runtime.advance(HOUR - 20_000)
        clock = SteppedRuntime()
        clock.now_ms = runtime.look
        assert len(await listed(desk)) == 300
        asked = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(janitor.retain, desk.store, lambda: asked.append(runtime.looks) or KEEP, clock)
            with trio.fail_after(20):
                while runtime.looks < 3:
                    await trio.sleep(0.005)
            nursery.cancel_scope.cancel()
        assert asked.count(1) > 2, "all of a round goes by one look at the clock"
        assert 50 < len(await listed(desk)) < 250, "what was old went as a whole, and the rest was left alone"


async def test_a_round_looks_at_what_is_new_and_at_what_had_to_stay_and_at_nothing_else(tmp_path, looked_at):
    async with desk_on(tmp_path / "h.db") as desk:
        stays = await desk.accept_one()
        for _ in range(600):
            await desk.accept_one(targets=())
        desk.runtime.advance(HOUR + 1)
        await desk.accept_one(targets=())
        assert await retain_round(desk, BODIES) == 600
        looked_at.clear()
        assert await retain_round(desk, BODIES) == 0
        assert sum(looked_at) <= 2, "the one that stays"
        await desk.settle(await desk.claim_one())
        assert await retain_round(desk, BODIES) == 1, stays


async def test_what_had_to_stay_is_looked_at_a_part_in_each_round_and_goes_in_the_end(tmp_path, monkeypatch, looked_at):
    monkeypatch.setattr(sweep, "AGAIN", 10)
    async with desk_on(tmp_path / "h.db") as desk:
        for _ in range(45):
            await desk.accept_one()
        desk.runtime.advance(HOUR + 1)
        await desk.accept_one(targets=())
        assert await retain_round(desk, BODIES) == 0
        for claim in await desk.claim(limit=45):
            await desk.settle(claim.delivery)
        looked_at.clear()
        assert [await retain_round(desk, BODIES) for _ in range(6)] == [10, 10, 10, 10, 5, 0]


async def test_a_step_looks_at_so_many_bytes_and_the_next_one_goes_on(tmp_path, monkeypatch, looked_at):
    monkeypatch.setattr(sweep, "BYTES", 250)
    async with desk_on(tmp_path / "h.db") as desk:
        for _ in range(10):
            await desk.accept(new(targets=()), body=bytes(100))
        desk.runtime.advance(HOUR + 1)
        await desk.accept_one(targets=())
        assert await retain_round(desk, BODIES) == 10
        assert max(looked_at) <= 3, "the third one is over it"
        assert await retain_round(desk, KEEP) == 10


async def test_what_had_to_stay_and_is_much_is_looked_at_again_step_by_step(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "BYTES", 250)
    async with desk_on(tmp_path / "h.db") as desk:
        for _ in range(10):
            await desk.accept(new(), body=bytes(100))
        desk.runtime.advance(HOUR + 1)
        await desk.accept_one(targets=())
        assert await retain_round(desk, BODIES) == 0
        for claim in await desk.claim(limit=10):
            await desk.settle(claim.delivery)
        assert sum([await retain_round(desk, BODIES) for _ in range(8)]) == 10


@pytest.mark.parametrize("remembered", [0, 3, 10])
async def test_so_many_that_had_to_stay_are_remembered_and_no_more(tmp_path, monkeypatch, remembered):
    monkeypatch.setattr(sweep, "KEPT_MAX", remembered)
    async with desk_on(tmp_path / "h.db") as desk:
        for _ in range(7):
            await desk.accept_one()
        desk.runtime.advance(HOUR + 1)
        await desk.accept_one(targets=())
        for _ in range(3):
            assert await retain_round(desk, BODIES) == 0
            assert len(desk.store._retention._blanking._kept) == min(remembered, 7)
        for claim in await desk.claim(limit=7):
            await desk.settle(claim.delivery)
        assert sum([await retain_round(desk, BODIES) for _ in range(3)]) == 7


async def test_what_had_to_stay_is_kept_as_long_as_a_reload_says_now(tmp_path):
    async with desk_on(tmp_path / "h.db") as desk:
        event_id = await desk.accept_one()
        desk.runtime.advance(2 * HOUR)
        await desk.accept_one(targets=())
        assert await retain_round(desk, BODIES) == 0
        await desk.settle(await desk.claim_one())
        assert await retain_round(desk, BODIES._replace(bodies=10 * HOUR)) == 0
        assert (await desk.store.event(event_id)).payload is not None
        desk.runtime.advance(9 * HOUR)
        assert await retain_round(desk, BODIES._replace(bodies=10 * HOUR)) == 1


@pytest.mark.parametrize("remembered", [5, 1000])
@pytest.mark.parametrize("keep", [KEEP, BODIES], ids=["all", "bodies"])
async def test_P3_retention_takes_what_is_settled_and_nothing_else_in_whatever_order_it_is_settled(
    tmp_path, monkeypatch, remembered, keep
):
    monkeypatch.setattr(sweep, "AGAIN", 7)
    monkeypatch.setattr(sweep, "KEPT_MAX", remembered)
    monkeypatch.setattr(sweep, "ROWS", 16)
    dice = random.Random(remembered)
    async with desk_on(tmp_path / "h.db") as desk:
        ids = [await desk.accept_one() for _ in range(60)]
        desk.runtime.advance(2 * HOUR)
        newest = await desk.accept_one(targets=())
        waiting = {claim.delivery.event_id: claim.delivery for claim in await desk.claim(limit=60)}
        while waiting:
            for event_id in dice.sample(sorted(waiting), min(len(waiting), 11)):
                await desk.settle(waiting.pop(event_id))
            await retain_round(desk, keep)
            for event_id in ids:
                detail = await desk.store.event(event_id)
                assert event_id not in waiting or (detail is not None and detail.payload is not None)
        for _ in range(60):
            await retain_round(desk, keep)
        details = [await desk.store.event(event_id) for event_id in ids]
        assert not any(detail is not None and detail.payload is not None for detail in details)
        assert await listed(desk) == ({newest} if keep is KEEP else {newest, *ids})
        assert await desk.select(DeliveryFilter(("pending", "in_flight"))) == []


async def test_what_a_repeat_brought_back_is_remembered_as_far_as_there_is_room_and_found_all_the_same(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(sweep, "KEPT_MAX", 3)
    async with desk_on(tmp_path / "h.db") as desk:
        ids = [await desk.make_dead(n) for n in range(5)]
        desk.runtime.advance(HOUR + 1)
        await desk.accept_one(targets=())
        assert await retain_round(desk, BODIES) == 5
        for n in range(5):
            await desk.accept(new(n))
        assert await retain_round(desk, BODIES) == 0
        assert len(desk.store._retention._blanking._kept) == 3
        for claim in await desk.claim():
            await desk.settle(claim.delivery)
        assert sum([await retain_round(desk, BODIES) for _ in range(3)]) == 5
        assert [(await desk.store.event(each)).payload for each in ids] == [None] * 5


async def test_what_a_repeat_revived_again_and_again_is_remembered_once(tmp_path, looked_at):
    async with desk_on(tmp_path / "h.db") as desk:
        await desk.make_dead("k")
        desk.runtime.advance(HOUR + 1)
        await desk.accept_one(targets=())
        assert await retain_round(desk, BODIES) == 1
        for _ in range(3):
            await desk.accept(new("k"))
            assert await retain_round(desk, BODIES) == 0
            assert len(desk.store._retention._blanking._kept) == 1
            await desk.settle(await desk.claim_one(), "dead")
        assert desk.store._engine.revived == []
        assert await retain_round(desk, BODIES) == 1
