"""The SQLite store on a disk that fails: nothing is acknowledged that is not there afterwards."""

import threading

import apsw
import pytest
import trio
import trio.testing
from store_faults import disk
from store_samples import crash_copy, desk_on, one_commit
from structlog.testing import capture_logs

from gateway.errors import StoreBrokenError, StoreBusyError, StoreError, StoreFullError
from gateway.store.contract import DeliveryQuery, EventQuery, Keep
from gateway.store.operator import Replay
from gateway.store.settings import StoreSettings
from gateway.testing.store_desk import PLENTY, new

ALWAYS_LOW = StoreSettings(low_water_bytes=1 << 60, reserve_bytes=0)


@pytest.fixture
def faulty():
    with disk() as shim:
        yield shim


def failing(call, suffix, error=apsw.IOError):
    return lambda made, where: error("injected") if (made, where) == (call, suffix) else None


async def refusals(calls):
    found = []
    for call in calls:
        try:
            await call()
        except StoreError as error:
            found.append(type(error))
    return found


@pytest.mark.parametrize("call", ["write", "sync"])
async def test_P18_an_io_error_on_commit_ends_all_acknowledgement(call, faulty, tmp_path):
    async with desk_on(tmp_path / "h.db") as desk:
        store, answered = desk.store, []
        kept = await desk.accept_one("kept")
        delivery = await desk.claim_one()
        faulty.fail = failing(call, "-wal")

        async def send(key):
            try:
                answered.append(await desk.accept(new(key)))
            except StoreBrokenError as error:
                answered.append(str(error))

        store.record([desk.ended(delivery, "delivered")], answered.append)
        async with trio.open_nursery() as nursery:
            for key in range(5):
                nursery.start_soon(send, key)
        assert len(answered) == 5, "the record is never called settled"
        assert all("outcome is unknown" in answer for answer in answered)
        assert isinstance(await store.wait_broken(), StoreBrokenError)
        faulty.fail = lambda call, suffix: None
        before = len(faulty.calls)
        calls = [
            lambda: desk.accept_one("later"),
            lambda: store.claim("crm", 1, PLENTY, 0),
            store.probe,
            store.gates,
            lambda: store.event(kept),
        ]
        assert await refusals(calls) == [StoreBrokenError] * 5
        assert not store.health().accepting
        store.record([], answered.append)
    assert len(faulty.calls) == before, "not one byte is written after the error, not even at the close"
    async with desk_on(tmp_path / "h.db") as desk:
        assert await desk.store.event(kept), "the next start finds what was acknowledged"


class Countdown:
    """Fails the Nth call."""

    def __init__(self, left):
        self.left = left

    def __call__(self, call, suffix):
        self.left -= 1
        return apsw.IOError("injected") if self.left == 0 else None


async def a_short_run(path, faulty, fail, acknowledged):
    async with desk_on(path) as desk:
        faulty.fail = fail
        for key in range(6):
            event_id = await desk.accept_one(key)
            acknowledged.append(event_id)
        await desk.settle((await desk.claim(limit=1))[0].delivery)
        await desk.store.probe()


async def test_P2_whatever_call_fails_what_was_acknowledged_is_there(faulty, tmp_path):
    """T3 in small: fail the Nth write, sync or truncate of a run, for every N, until a run has no fault left."""
    failed = 0
    for n in range(1, 200):
        path = tmp_path / str(n) / "h.db"
        acknowledged, countdown = [], Countdown(n)
        try:
            await a_short_run(path, faulty, countdown, acknowledged)
        except (StoreError, apsw.Error):
            failed += 1
        faulty.fail = lambda call, suffix: None
        async with desk_on(path) as desk:
            listed = {row.id for row in await desk.store.events(EventQuery())}
            assert set(acknowledged) <= listed, f"call {n} failed"
        if countdown.left > 0:
            break
    assert failed > 10, "the run has more than ten calls that can fail"
    assert countdown.left > 0, "a run without a fault was reached"


async def test_P18_an_io_error_while_pages_are_copied_breaks_the_store(faulty, tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.store.checkpoints.COPY_FRAMES", 5)
    async with desk_on(tmp_path / "h.db") as desk:
        faulty.fail = failing("sync", "db")
        with pytest.raises(StoreBrokenError):
            for _ in range(1000):
                await desk.accept_one()
        assert "while the log was copied" in str(await desk.store.wait_broken())
        faulty.fail = lambda call, suffix: None


async def test_P19_a_disk_without_room_to_copy_the_log_breaks_nothing_and_it_is_copied_once_there_is(
    faulty, tmp_path, monkeypatch
):
    monkeypatch.setattr("gateway.store.checkpoints.COPY_FRAMES", 5)
    monkeypatch.setattr("gateway.store.checkpoints.RESTART_FRAMES", 100)
    async with desk_on(tmp_path / "h.db") as desk:
        faulty.fail = failing("write", "db", apsw.FullError)
        accepted = [await desk.accept_one(key) for key in range(50)]
        await desk.store._engine._copier.call(lambda: None)  # its thread has had its turn
        accepted += [await desk.accept_one(key) for key in range(50, 100)]
        await desk.store._engine._copier.call(lambda: None)
        assert sum(call == ("write", "db") for call in faulty.calls) > 2, "it was tried, by the writer too"
        assert await desk.settle((await desk.claim(limit=1))[0].delivery)
        assert [row.id for row in await desk.store.events(EventQuery(limit=1000))] == accepted[::-1]
        faulty.fail = lambda call, suffix: None
        before = (tmp_path / "h.db").stat().st_size
        accepted += [await desk.accept_one(key) for key in range(100, 400)]
        assert desk.store.health().accepting
    assert (tmp_path / "h.db").stat().st_size > before
    async with desk_on(tmp_path / "h.db") as desk:
        assert [row.id for row in await desk.store.events(EventQuery(limit=1000))] == accepted[::-1]


async def test_P19_below_the_low_water_mark_deliveries_settle_and_newcomers_are_refused(tmp_path):
    async with desk_on(tmp_path / "h.db") as desk:
        await desk.make_dead("a")
        await desk.accept_one("b")
    async with desk_on(tmp_path / "h.db", ALWAYS_LOW) as desk:
        with pytest.raises(StoreFullError, match="expected at least"):
            await desk.accept_one("c")
        with pytest.raises(StoreFullError):
            await desk.store.operator.begin_replay(Replay("r", 0, "uid 0", "{}"))
        assert await desk.settle(await desk.claim_one())
        assert await desk.retry_dead() == 1
        committed = desk.runtime.monotonic()
        desk.runtime.advance(1)
        with pytest.raises(StoreFullError):
            await desk.accept_one("d")
        assert desk.store.health().last_commit == committed, "a refusal is no sign of health"
        health = desk.store.health()
        assert (health.accepting, "expected at least" in health.reason) == (False, True)


async def test_P19_a_full_disk_is_survived_and_deliveries_settle_once_there_is_room(faulty, tmp_path):
    async with desk_on(tmp_path / "h.db") as desk:
        await desk.accept_one("a")
    async with desk_on(tmp_path / "h.db", ALWAYS_LOW) as desk:
        delivery = await desk.claim_one()
        faulty.fail = failing("write", "-wal", apsw.FullError)
        with pytest.raises(StoreFullError):
            await desk.store.probe()
        settled = []
        desk.store.record([desk.ended(delivery, "delivered")], settled.extend)
        with pytest.raises(StoreFullError):
            await desk.store.probe()
        assert settled == [], "a record that cannot be written waits"
        faulty.fail = lambda call, suffix: None
        while not settled:
            await desk.store.probe()
        assert settled == [True]
        assert (await desk.store.deliveries(DeliveryQuery()))[0].state == "delivered"


async def test_P19_a_full_disk_found_by_commit_itself_is_refused_and_the_store_goes_on(faulty, tmp_path):
    async with desk_on(tmp_path / "h.db") as desk:
        faulty.fail = failing("write", "-wal", apsw.FullError)
        with pytest.raises(StoreFullError):
            await desk.accept_one("a")
        faulty.fail = lambda call, suffix: None
        desk.runtime.advance(1000)
        assert (await desk.accept(new("a")))[0].kind == "new", "what was refused left nothing behind"
        assert await desk.accept_one("b")
    async with desk_on(tmp_path / "h.db") as desk:
        assert len(await desk.store.events(EventQuery())) == 2


async def test_P19_a_start_without_any_room_says_so_and_the_next_one_finds_everything(faulty, tmp_path):
    async with desk_on(tmp_path / "h.db") as desk:
        await desk.accept_one("a")
    faulty.fail = failing("write", "-wal", apsw.FullError)
    with pytest.raises(StoreError, match="make room, then start again"):
        async with desk_on(tmp_path / "h.db"):
            pass
    faulty.fail = lambda call, suffix: None
    async with desk_on(tmp_path / "h.db") as desk:
        assert len(await desk.store.events(EventQuery())) == 1


async def test_P2_who_waits_for_a_commit_that_is_stuck_is_told_after_seconds_and_the_event_is_an_ordinary_one(
    faulty, tmp_path
):
    stuck, told = threading.Event(), []
    async with desk_on(tmp_path / "h.db") as desk:
        faulty.fail = lambda call, suffix: stuck.wait() and None if call == "sync" else None

        async def ask(key):
            try:
                await desk.accept(new(key, admitted=True))
            except StoreBusyError as error:
                told.append(str(error))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, "in the commit")
            await trio.testing.wait_all_tasks_blocked(0.05)
            nursery.start_soon(ask, "in the queue")
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert desk.store.answer_late() == 0
            desk.runtime.advance(5_001)
            assert desk.store.answer_late() == 2
        assert told == ["no commit ended within 5 s: the disk is slow, or stuck"] * 2
        assert desk.store.answer_late() == 0
        stuck.set()
        await desk.store.probe()
        assert len(await desk.store.events(EventQuery())) == 2
        await desk.store.probe()
        claims = await desk.claim()
        assert len(claims) == 2, "what was handed to those who had gone is due again"


async def test_P19_the_reserve_is_given_up_when_the_disk_is_full_and_restored_after(faulty, tmp_path):
    reserve = tmp_path / "h.db-reserve"
    settings = StoreSettings(low_water_bytes=0, reserve_bytes=1 << 20)
    async with desk_on(tmp_path / "h.db", settings) as desk:
        assert reserve.stat().st_size == 1 << 20
        await desk.accept_one("a")
        desk.store._engine._space.low = True
        faulty.fail = lambda call, suffix: apsw.FullError("injected") if reserve.exists() else None
        delivery = await desk.claim_one()
        assert not reserve.exists()
        assert await desk.settle(delivery)
        faulty.fail = lambda call, suffix: None
        desk.runtime.advance(1000)
        await desk.store.probe()
        assert reserve.exists()


async def test_P19_what_the_reserve_gave_up_is_for_deliveries_until_there_is_room_for_both(tmp_path, monkeypatch):
    free = [10_000_000]
    monkeypatch.setattr("gateway.store.space.free_bytes", lambda _folder: free[0])
    async with desk_on(tmp_path / "h.db", StoreSettings(low_water_bytes=1024, reserve_bytes=65536)) as desk:
        await desk.accept_one("before")
        for left, found in [(2000, "full"), (66_000, "freed by the reserve alone"), (66_559, "one byte too few")]:
            free[0] = left
            desk.runtime.advance(1000)
            with pytest.raises(StoreFullError, match="expected at least 66560"):
                await desk.accept(new(found))
        assert await desk.settle(await desk.claim_one())
        free[0] = 66_560
        desk.runtime.advance(1000)
        await desk.accept_one("after")
        assert (tmp_path / "h.db-reserve").exists()


async def test_P19_the_disk_is_looked_at_four_times_a_second_at_most(tmp_path, monkeypatch):
    looks = []
    monkeypatch.setattr("gateway.store.space.free_bytes", lambda _folder: looks.append(1) or 1 << 40)
    async with desk_on(tmp_path / "h.db") as desk:
        looks.clear()
        for expected in (0, 0, 1, 1, 2):
            await desk.store.probe()
            assert len(looks) == expected
            desk.runtime.advance(125)


async def test_P19_a_start_on_a_full_disk_gives_up_the_reserve_before_it_writes(faulty, tmp_path, monkeypatch):
    settings = StoreSettings(low_water_bytes=1024, reserve_bytes=65536)
    async with desk_on(tmp_path / "h.db", settings) as desk:
        kept = await desk.accept_one("kept")
        path = crash_copy(tmp_path / "h.db", tmp_path / "crashed")
    reserve = path.with_name("h.db-reserve")
    assert reserve.exists()
    monkeypatch.setattr("gateway.store.space.free_bytes", lambda _folder: 20_000)
    faulty.fail = lambda call, suffix: apsw.FullError("injected") if call == "write" and reserve.exists() else None
    async with desk_on(path, settings) as desk:
        assert await desk.store.event(kept)
        assert not reserve.exists()


@pytest.mark.parametrize(("bodies", "metadata", "all_of_it"), [(1000, 10**9, 3), (10**9, 1000, 2)])
async def test_retention_that_found_no_room_passes_over_nothing(bodies, metadata, all_of_it, faulty, tmp_path):
    keep = Keep(bodies, metadata, dead=10**9, keys=10**9)
    async with desk_on(tmp_path / "h.db") as desk:
        for key in range(3):
            await desk.accept(new(key, hold="unmatched", targets=()))
        full = [apsw.FullError("injected")]
        faulty.fail = lambda call, suffix: full.pop() if full and call == "write" else None
        later = desk.runtime.now_ms() + 60_000
        removed = [await desk.store.retain(keep, later) for _ in range(2)]
        assert not full, "there was no room once"
        assert sum(removed) == all_of_it, "all but the newest event"


async def test_what_waits_together_shares_a_flush(faulty, tmp_path):
    async with desk_on(tmp_path / "h.db") as desk:
        await desk.accept_one()
        faulty.calls.clear()
        async with one_commit(desk) as nursery:
            for _ in range(256):
                nursery.start_soon(desk.accept, new())
        assert faulty.calls.count(("sync", "-wal")) == 1
        assert len(await desk.store.events(EventQuery(limit=1000))) == 257


async def test_synchronous_full_flushes_each_commit(faulty, tmp_path):
    async with desk_on(tmp_path / "h.db") as desk:
        await desk.accept_one()
        faulty.calls.clear()
        for _ in range(5):
            await desk.accept_one()
        assert faulty.calls.count(("sync", "-wal")) == 5


async def test_P16_a_disk_without_room_does_not_fail_the_close_and_the_next_start_has_all(faulty, tmp_path):
    async with desk_on(tmp_path / "h.db") as desk:
        kept = await desk.accept_one("kept")
        faulty.fail = lambda call, suffix: apsw.FullError("injected") if call == "write" else None
    faulty.fail = lambda call, suffix: None
    async with desk_on(tmp_path / "h.db") as desk:
        assert await desk.store.event(kept)
        assert not desk.store.warnings


async def test_P16_a_close_without_room_gives_up_what_tries_came_to_and_the_next_start_has_them_tried_again(
    faulty, tmp_path, monkeypatch
):
    monkeypatch.setattr("gateway.store.group_commit.CLOSING_SECONDS", 0)
    settled = []
    with capture_logs() as logs:
        async with desk_on(tmp_path / "h.db") as desk:
            kept = await desk.accept_one("kept")
            delivery = await desk.claim_one()
            faulty.fail = failing("write", "-wal", apsw.FullError)
            desk.store.record([desk.ended(delivery, "delivered")], settled.append)
    assert settled == []
    assert {"event": "records.given_up", "log_level": "warning", "count": 1} in logs
    faulty.fail = lambda call, suffix: None
    async with desk_on(tmp_path / "h.db") as desk:
        again = await desk.claim_one()
        assert (again.event_id, again.attempts) == (kept, 0)


async def test_P19_a_close_waits_a_moment_for_room_and_loses_no_record_that_finds_it(faulty, tmp_path):
    settled, full = [], [apsw.FullError("injected")] * 4
    with capture_logs() as logs:
        async with desk_on(tmp_path / "h.db") as desk:
            await desk.accept_one("kept")
            delivery = await desk.claim_one()
            faulty.fail = lambda call, suffix: full.pop() if full and (call, suffix) == ("write", "-wal") else None
            desk.store.record([desk.ended(delivery, "delivered")], settled.append)
    assert (full, settled, logs) == ([], [[True]], [])
    async with desk_on(tmp_path / "h.db") as desk:
        assert [row.state for row in await desk.store.deliveries(DeliveryQuery())] == ["delivered"]


async def test_P16_a_backup_that_reads_the_store_does_not_fail_its_close(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.store.connection.BUSY_MS", 50)
    async with desk_on(tmp_path / "h.db") as desk:
        kept = await desk.accept_one("kept")
        reader = apsw.Connection(str(tmp_path / "h.db"))
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM event").fetchall()
        await desk.accept_one("later")
    reader.close()
    async with desk_on(tmp_path / "h.db") as desk:
        assert await desk.store.event(kept)
