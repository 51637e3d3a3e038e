"""The copying of the log beside the commits: it goes on and on, bounds the log, and no failure of it is passed over."""

import contextlib
import threading
import time

import apsw
import pytest
from store_faults import disk
from store_samples import crash_copy, desk_on, rows

from gateway.store import checkpoints
from gateway.store.checkpoints import Checkpoints
from gateway.testing.store_desk import new

FRAME = 4096 + 24


@pytest.fixture
def faulty():
    with disk() as shim:
        yield shim


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr(checkpoints, "COPY_FRAMES", 5)


async def copied(desk):
    """Wait until all is copied that was to be copied so far."""
    await desk.store._engine._copier.call(lambda: None)


async def test_each_time_the_log_has_grown_it_is_copied_again(often, tmp_path):
    async with desk_on(tmp_path / "h.db") as desk:
        found = []
        for _ in range(3):
            for _ in range(10):
                await desk.accept_one()
            await copied(desk)
            found.append(len(rows(tmp_path / "h.db", "SELECT id FROM event")))
    assert 0 < found[0] < found[1] < found[2]


async def test_the_mark_of_the_log_is_flushed_with_each_copy(often, faulty, tmp_path, monkeypatch):
    async with desk_on(tmp_path / "h.db") as desk:
        flushed = []
        monkeypatch.setattr(desk.store._engine._checkpoints._tail, "flush", lambda: flushed.append(1))
        for _ in range(10):
            await desk.accept_one()
        await copied(desk)
        assert flushed


async def test_the_log_begins_anew_before_it_is_long(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "RESTART_FRAMES", 50)
    monkeypatch.setattr(checkpoints, "RESTART_AGAIN", 25)
    log = tmp_path / "h.db-wal"
    async with desk_on(tmp_path / "h.db") as desk:
        for _ in range(100):
            await desk.accept_one()
        assert log.stat().st_size < 75 * FRAME


async def test_a_mark_that_is_older_than_the_log_is_no_sign_of_a_loss(tmp_path, monkeypatch):
    """The mark is flushed now and then: after a power loss it may be of the log before this one."""
    monkeypatch.setattr(checkpoints, "RESTART_FRAMES", 50)
    async with desk_on(tmp_path / "h.db") as desk:
        log, mark = tmp_path / "h.db-wal", tmp_path / "h.db-tail"
        for _ in range(6):
            await desk.accept_one()
        before, salt = mark.read_bytes(), log.read_bytes()[16:24]
        while log.read_bytes()[16:24] == salt:
            await desk.accept_one()
        copy = crash_copy(tmp_path / "h.db", tmp_path / "copy")
    copy.with_name("h.db-tail").write_bytes(before)
    async with desk_on(copy) as desk:
        assert desk.store.warnings == ()


async def test_a_crash_before_the_first_commit_is_no_sign_of_a_loss(tmp_path):
    for folder in ("new", "used"):
        (tmp_path / folder).mkdir()
        async with desk_on(tmp_path / folder / "h.db") as desk:
            copy = crash_copy(tmp_path / folder / "h.db", tmp_path / f"{folder} copy")
            await desk.accept_one()
        async with desk_on(copy) as desk:
            assert desk.store.warnings == ()
        async with desk_on(tmp_path / folder / "h.db"):
            copy = crash_copy(tmp_path / folder / "h.db", tmp_path / f"{folder} copy of a later start")
        async with desk_on(copy) as desk:
            assert desk.store.warnings == ()


async def test_a_log_that_somebody_reads_begins_anew_once_they_have_done(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "RESTART_FRAMES", 50)
    monkeypatch.setattr(checkpoints, "RESTART_AGAIN", 25)
    log = tmp_path / "h.db-wal"
    async with desk_on(tmp_path / "h.db") as desk:
        await desk.accept_one()
        with contextlib.closing(apsw.Connection(str(tmp_path / "h.db"))) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM event").fetchall()
            for _ in range(40):
                await desk.accept_one()
            grown = log.stat().st_size
            assert grown > 100 * FRAME, "nothing is taken from under a reader, nor does the writer wait for it"
        for _ in range(60):
            await desk.accept_one()
        assert log.stat().st_size <= grown + 30 * FRAME
        writer = desk.store._engine._checkpoints._writer
        assert writer.pragma("busy_timeout") == checkpoints.BUSY_MS, "another process is waited for as before"


async def test_a_copy_that_meets_another_one_leaves_it_be(faulty, tmp_path, monkeypatch):
    copying, go_on = threading.Event(), threading.Event()

    def hold(call, suffix):
        if (call, suffix) == ("write", "db") and threading.current_thread() is thread:
            copying.set()
            go_on.wait(30)

    async with desk_on(tmp_path / "h.db") as desk:
        await desk.accept_one()
        other = apsw.Connection(str(tmp_path / "h.db"))
        other.execute("SELECT count(*) FROM event").fetchall()
        thread = threading.Thread(target=other.wal_checkpoint)
        faulty.fail = hold
        thread.start()
        assert copying.wait(30)
        monkeypatch.setattr(checkpoints, "COPY_FRAMES", 5)
        for _ in range(10):
            await desk.accept_one()
        await copied(desk)
        go_on.set()
        thread.join()
        other.close()
        assert desk.store.health().accepting
        later = []
        for _ in range(10):
            later.append(await desk.accept_one())
            await copied(desk)
        assert (later[0],) in rows(tmp_path / "h.db", "SELECT id FROM event"), "it copies again"


async def test_P16_what_is_left_at_a_stop_is_written_before_anything_is_closed(tmp_path, monkeypatch):
    close, seen, settled = Checkpoints.close, [], []
    monkeypatch.setattr(Checkpoints, "close", lambda self: seen.append(len(settled)) or close(self))
    async with desk_on(tmp_path / "h.db") as desk:
        await desk.accept(*(new() for _ in range(2000)))
        for claim in await desk.claim(limit=2000):
            desk.store.record([desk.ended(claim.delivery, "delivered")], settled.extend)
    assert seen == [2000]
    assert settled == [True] * 2000


async def test_P18_a_copy_that_fails_as_the_store_closes_is_the_last_that_touches_the_file(often, faulty, tmp_path):
    failed = []
    async with desk_on(tmp_path / "h.db") as desk:
        engine = desk.store._engine

        def fail_once_all_is_written(call, suffix):
            if (call, suffix) != ("sync", "db"):
                return None
            until = time.monotonic() + 30
            while not engine._wrote_all.is_set():
                assert time.monotonic() < until, "the store does not close"
                time.sleep(0.001)
            faulty.calls.clear()
            failed.append(call)
            return apsw.IOError("injected")

        faulty.fail = fail_once_all_is_written
        kept = [await desk.accept_one() for _ in range(10)]
    faulty.fail = lambda call, suffix: None
    assert failed == ["sync"]
    assert faulty.calls == [], "not one byte is written after the error"
    async with desk_on(tmp_path / "h.db") as desk:
        assert all([await desk.store.event(event_id) for event_id in kept])
