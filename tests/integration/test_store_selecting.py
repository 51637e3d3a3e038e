"""Selections are walked in steps of a bounded number of rows and bytes: however small these are, all is found once."""

import pytest
from store_samples import desk_on

from gateway.errors import StoreBusyError
from gateway.store import reads, selecting
from gateway.store.contract import EventQuery
from gateway.store.operator import DeliveryFilter, EventFilter, Position
from gateway.testing.store_desk import new

DEAD = DeliveryFilter(("dead",))


async def walked(desk, chosen, limit):
    """All events that are selected, and how many steps that took."""
    found, position, steps = [], 0, 0
    while position is not None:
        step = await desk.store.operator.select_events(chosen, position, 1 << 62, limit)
        assert len(step.found) <= limit
        found += [each.event.id for each in step.found]
        position, steps = step.position, steps + 1
    return found, steps


async def counted(desk, chosen):
    count, position = 0, 0
    while position is not None:
        step = await desk.store.operator.count_events(chosen, position)
        count, position = count + step.events, step.position
    return count


@pytest.mark.parametrize("scan", [2, 3, 5, 6])
async def test_deliveries_are_found_once_however_few_rows_a_step_looks_at(scan, tmp_path, monkeypatch):
    monkeypatch.setattr(selecting, "SCAN", scan)
    async with desk_on(tmp_path / "h.db") as desk:
        ids = [await desk.accept_one(key, targets=("crm", "audit")) for key in range(3)]
        for claim in (await desk.claim())[1:]:
            await desk.settle(claim.delivery, "dead")
        for limit in (1, 2, 100):
            assert await desk.select(DEAD, limit) == [(event_id, 0) for event_id in ids[1:]]
            assert await desk.select(DEAD._replace(target="crm"), limit) == [(event_id, 0) for event_id in ids[1:]]
            assert await desk.select(DEAD._replace(target="audit"), limit) == []
            found = await desk.select(DeliveryFilter(("pending", "dead"), target="audit"), limit)
            assert found == [(event_id, 1) for event_id in ids]


async def test_a_step_over_deliveries_ends_with_its_limit_or_with_its_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(selecting, "SCAN", 4)
    async with desk_on(tmp_path / "h.db") as desk:
        ids = [await desk.make_dead(key) for key in range(10)]
        select = desk.store.operator.select_deliveries
        first = await select(DEAD, Position(), 3)
        assert (first.found, first.position) == ([(each, 0) for each in ids[:3]], (ids[2], 0))
        second = await select(DEAD, first.position, 100)
        assert len(second.found) <= 5, "about as many as it looks at"
        assert await desk.select(DEAD._replace(source="nobody"), 100) == []


@pytest.mark.parametrize("scan", [1, 2, 3, 6, 7])
async def test_events_are_found_once_however_few_rows_a_step_looks_at(scan, tmp_path, monkeypatch):
    monkeypatch.setattr(selecting, "SCAN", scan)
    async with desk_on(tmp_path / "h.db") as desk:
        ids = [await desk.accept_one(key, source="ab"[key % 2]) for key in range(6)]
        for chosen, expected in ((EventFilter(), ids), (EventFilter(source="b"), ids[1::2])):
            assert await counted(desk, chosen) == len(expected)
            for limit in (1, 2, 100):
                assert (await walked(desk, chosen, limit))[0] == expected
        steps = (await walked(desk, EventFilter(source="nobody"), 100))[1]
        assert steps == 6 // scan + 1, "each step looks at so many, whatever it finds"


async def test_a_step_loads_so_many_bytes_and_one_event_more(tmp_path, monkeypatch):
    async with desk_on(tmp_path / "h.db") as desk:
        ids = [(await desk.accept(new(key), body=bytes(1000)))[0].event_id for key in range(6)]
        head = len((await desk.store.event(ids[0])).head)
        for most, steps in ((0, 7), (1000 + head - 1, 7), (1000 + head, 4), (10**6, 1)):
            monkeypatch.setattr(selecting, "BYTES", most)
            assert await walked(desk, EventFilter(), 100) == (ids, steps), most
        for most, steps in ((0, 6), (999, 6), (1000, 3), (10**6, 1)):
            monkeypatch.setattr(selecting, "BYTES", most)
            assert await walked(desk, EventFilter(event_ids=tuple(ids)), 100) == (ids, steps + (steps > 1)), most


async def test_a_search_that_takes_too_long_is_ended_and_the_next_one_is_not(tmp_path, monkeypatch):
    async with desk_on(tmp_path / "h.db") as desk:
        await desk.accept(*(new(targets=("crm", "audit")) for _ in range(300)))
        monkeypatch.setattr(reads, "STEPS_MAX", 1)
        with pytest.raises(StoreBusyError, match="took too long and was ended; narrow it"):
            await desk.store.events(EventQuery(limit=1000))
        assert len(await desk.store.events(EventQuery(limit=1))) == 1, "each search has its own time"
        assert len(await desk.store.events(EventQuery(limit=1))) == 1
