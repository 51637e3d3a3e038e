"""What shares a commit: a refused request costs no other anything; what nobody knows the end of breaks the store."""

from functools import partial

import apsw
import pytest
import trio
import trio.testing
from store_faults import disk
from store_samples import desk_on, one_commit
from structlog.testing import capture_logs

from gateway.errors import StoreBrokenError, StoreBusyError, StoreError, StoreFullError
from gateway.store import connection, queue
from gateway.store.contract import Backlog, EventQuery, Gate, Ordering
from gateway.store.expiry import expire_some
from gateway.store.group_commit import STARVED_SECONDS
from gateway.store.operator import Replay
from gateway.store.queue import CommitQueue
from gateway.store.settings import StoreSettings
from gateway.testing.store_desk import NOTE, SETTINGS, digest, new

BAD = "\ud800"


@pytest.fixture
def faulty():
    with disk() as shim:
        yield shim


async def refused(call, *values):
    with pytest.raises(StoreError) as caught:
        await call(*values)
    return str(caught.value)


async def test_what_shares_its_commit_with_a_refused_request_is_carried_out_whole(tmp_path):
    async with desk_on(tmp_path / "h.db") as desk:
        await desk.accept_one("k", targets=("crm", "mail"))
        flying = await desk.claim_one()
        dead = await desk.accept_one("d", targets=("audit",))
        await desk.settle(await desk.claim_one("audit"), "dead")
        await desk.accept_one("e", targets=("late",), expires_ms=1000)
        desk.runtime.advance(1000)
        settled = []
        async with one_commit(desk) as nursery:
            nursery.start_soon(desk.rename, "target", "mail", "post")
            await trio.testing.wait_all_tasks_blocked()  # after an acceptance it would be in the next commit
            nursery.start_soon(refused, desk.accept, new(kind=BAD))
            nursery.start_soon(desk.accept, new(targets=("audit",)))
            nursery.start_soon(desk.store.operator.retry, [(dead, 0)], NOTE)
            nursery.start_soon(desk.store._engine.do, partial(expire_some, now=desk.runtime.now_ms()))
            nursery.start_soon(desk.store.close_gate, Gate("audit", "held", 1, None, ""))
            desk.store.record([desk.ended(flying, "dead")], settled.extend)
        await desk.store.probe()
        assert settled == [True]
        assert await desk.store.expire(desk.runtime.now_ms()) == {"late": 1}
        found = {target: desk.store.backlog(target)[:3] for target in desk.store.targets()}
        assert found == {"crm": (0, 0, 1), "post": (1, 0, 0), "audit": (2, 0, 0)}
        assert [gate.target for gate in await desk.store.gates()] == ["audit"]
        assert len(await desk.claim("post")) == 1, "what waited under the old name"


async def test_the_name_that_a_rename_gave_holds_though_another_request_of_its_commit_was_refused(tmp_path):
    async with desk_on(tmp_path / "h.db") as desk:
        await desk.accept_one("k")
        flying = await desk.claim_one()
        async with one_commit(desk) as nursery:
            nursery.start_soon(desk.rename, "target", "crm", "sales")
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(refused, desk.accept, new(kind=BAD))
        assert await desk.settle(flying, "dead")
        assert (desk.store.backlog("sales"), desk.store.backlog("crm")) == (Backlog(dead=1), Backlog())


async def test_a_new_ordering_holds_though_another_request_of_its_commit_was_refused(tmp_path):
    async with desk_on(tmp_path / "h.db") as desk:
        await desk.store.set_ordering("crm", Ordering("rule", "block"), lambda _: None)
        await desk.make_dead("a", order="A")
        behind = await desk.accept_one("b", order="A")
        async with one_commit(desk) as nursery:
            nursery.start_soon(desk.store.set_ordering, "crm", Ordering("rule", "skip"), lambda _: None)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(refused, desk.accept, new(kind=BAD))
        assert (await desk.claim_one()).event_id == behind, "what is dead is skipped now"


async def test_a_refusal_tells_why_and_one_of_the_stores_own_is_told_as_it_is(tmp_path):
    def fail(error):
        def call(_ledger, _turn):
            raise error

        return call

    async with desk_on(tmp_path / "h.db") as desk:
        told = await refused(desk.store._engine.do, fail(ValueError("no such thing")))
        assert told == "the store refused one request: no such thing"
        assert await refused(desk.store._engine.do, fail(StoreError("as it is"))) == "as it is"
        assert await desk.accept_one("the store goes on")


async def test_a_record_that_cannot_be_written_is_told_in_the_log(tmp_path):
    async with desk_on(tmp_path / "h.db") as desk:
        event_id = await desk.accept_one()
        with capture_logs() as logs:
            assert await desk.settle(await desk.claim_one(), "dead", BAD) is None
    (entry,) = [each for each in logs if each["event"] == "record.refused"]
    assert (entry["log_level"], entry["target"], entry["event_id"]) == ("error", "crm", event_id)
    assert "surrogates not allowed" in entry["problem"]


@pytest.mark.parametrize("undone", [False, True], ids=["open", "undone by SQLite"])
@pytest.mark.parametrize("error", [apsw.IOError, apsw.CorruptError, MemoryError])
async def test_P18_an_error_whose_outcome_nobody_knows_breaks_the_store_also_where_requests_are_tried_alone(
    error, undone, tmp_path
):
    errors = [ValueError("all are tried alone"), error("injected")]

    def fail(ledger, _turn):
        if undone and len(errors) == 1:
            ledger.cursor.execute("ROLLBACK")
        raise errors.pop(0)

    async with desk_on(tmp_path / "h.db") as desk:
        kept = await desk.accept_one("kept")
        async with one_commit(desk) as nursery:
            nursery.start_soon(refused, desk.accept, new("lost"))
            nursery.start_soon(refused, desk.store._engine.do, fail)
        assert isinstance(await desk.store.wait_broken(), StoreBrokenError)
        assert error.__name__ in str(desk.store._engine.broken)
    async with desk_on(tmp_path / "h.db") as desk:
        assert [row.id for row in await desk.store.events(EventQuery())] == [kept]


async def test_P18_a_rollback_that_fails_breaks_the_store(tmp_path):
    def no_rollback(_cursor, text, _values):
        if text == "ROLLBACK":
            raise ValueError("it cannot be undone")
        return True

    async with desk_on(tmp_path / "h.db") as desk:
        desk.store._engine._commits._ledger.cursor.exec_trace = no_rollback
        told = await refused(desk.accept, new(kind=BAD))
        assert "outcome is unknown" in told
        assert "it cannot be undone" in told


async def test_P2_while_another_process_writes_requests_are_refused_and_records_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "BUSY_MS", 10)
    async with desk_on(tmp_path / "h.db") as desk:
        await desk.accept_one("a")
        delivery, settled = await desk.claim_one(), []
        other = apsw.Connection(str(tmp_path / "h.db"))
        other.execute("BEGIN IMMEDIATE")
        desk.store.record([desk.ended(delivery, "delivered")], settled.extend)
        for call in (lambda: desk.accept_one("b"), desk.store.probe):
            with pytest.raises(StoreBusyError, match="another process is writing"):
                await call()
        assert settled == []
        other.execute("ROLLBACK")
        other.close()
        while not settled:
            await desk.store.probe()
        assert settled == [True]
        assert (await desk.accept(new("b")))[0].kind == "new", "nothing of it was written"


async def test_P19_on_a_full_disk_the_writer_rests_before_it_tries_records_again(faulty, tmp_path, monkeypatch):
    naps, nap = [], CommitQueue.nap
    monkeypatch.setattr(CommitQueue, "nap", lambda self, seconds: naps.append(seconds) or nap(self, 0))
    async with desk_on(tmp_path / "h.db", StoreSettings(low_water_bytes=1 << 60, reserve_bytes=0)) as desk:
        faulty.fail = lambda call, suffix: apsw.FullError("injected") if (call, suffix) == ("write", "-wal") else None
        for _ in range(2):
            with pytest.raises(StoreFullError):
                await desk.store.probe()
        faulty.fail = lambda call, suffix: None
        await desk.store.probe()
        await desk.store.probe()
        assert naps == [STARVED_SECONDS] * 2, "not once there was room"


async def test_P19_below_the_low_water_mark_what_shares_a_commit_with_newcomers_is_carried_out(tmp_path):
    def fail(_ledger, _turn):
        raise ValueError("no such thing")

    async with desk_on(tmp_path / "h.db") as desk:
        dead, told = await desk.make_dead("d"), []

        async def tell(call, *values):
            told.append((call.__name__, await refused(call, *values)))

        async with one_commit(desk) as nursery:
            nursery.start_soon(tell, desk.accept, new("k"))
            nursery.start_soon(tell, desk.store.operator.begin_replay, Replay("r", 0, "uid 0", "{}"))
            nursery.start_soon(tell, desk.store._engine.do, fail)
            nursery.start_soon(desk.store.operator.retry, [(dead, 0)], NOTE)
            await trio.testing.wait_all_tasks_blocked()
            desk.store._engine._space.low = True
        assert {name: "nothing new is accepted" in text for name, text in told} == {
            "accept": True,
            "begin_replay": True,
            "do": False,
        }
        assert desk.store.backlog("crm") == Backlog(1, 0, 0, desk.runtime.now_ms())
        assert await desk.store.operator.replays(9) == []


async def test_P19_on_a_full_disk_whatever_shares_a_commit_is_refused_with_its_reason(faulty, tmp_path):
    async with desk_on(tmp_path / "h.db") as desk:
        told = []

        async def tell(call, *values):
            with pytest.raises(StoreFullError) as caught:
                await call(*values)
            told.append(str(caught.value))

        async with one_commit(desk) as nursery:
            nursery.start_soon(tell, desk.accept, new("k"))
            nursery.start_soon(tell, desk.store.probe)
            await trio.testing.wait_all_tasks_blocked()
            faulty.fail = lambda call, _: apsw.FullError("injected") if call == "write" else None
        faulty.fail = lambda call, suffix: None
        assert ["deliveries go on" in text for text in told] == [True, True]


async def test_P20_a_queue_that_is_over_its_bytes_is_told_by_health(tmp_path):
    async with desk_on(tmp_path / "h.db", SETTINGS) as desk:
        desk.store._engine._queue._settings = StoreSettings(queue_bytes=10)
        desk.store._engine._settings = StoreSettings(queue_bytes=10)
        async with one_commit(desk) as nursery:
            nursery.start_soon(desk.accept, new())
            await trio.testing.wait_all_tasks_blocked()
            health = desk.store.health()
            size = health.queued_bytes
            assert (health.accepting, health.reason) == (False, f"{size} bytes wait for a commit")
            assert (health.queued, size > 10) == (1, True)
        await desk.store.probe()
        assert desk.store.health().accepting


async def given_up(desk, nursery, *events):
    """The sender is told 503, so that nothing of it is between plan and accept any more; it is queued all the same."""
    for event in events:
        nursery.start_soon(refused, desk.accept, event)
        await trio.testing.wait_all_tasks_blocked()
    desk.runtime.advance(6000)
    assert desk.store.answer_late() == len(events)
    await trio.testing.wait_all_tasks_blocked()


async def test_what_nobody_waits_for_any_more_goes_along_with_a_rename_that_is_asked_for_later(tmp_path):
    async with desk_on(tmp_path / "h.db") as desk:
        await desk.accept_one("0")
        await desk.settle(await desk.claim_one())
        async with one_commit(desk) as nursery:
            await given_up(desk, nursery, new("1"))
            nursery.start_soon(desk.rename, "target", "crm", "sales")
            await trio.testing.wait_all_tasks_blocked()
        (verdict,) = await desk.accept(new("1", targets=("sales",)))
        assert verdict.kind == "duplicate", "so this is the only chance"
        assert (await desk.claim_one("sales")).event_id == verdict.event_id


async def test_what_nobody_waits_for_any_more_is_ordered_by_a_rule_that_comes_later(tmp_path, monkeypatch):
    monkeypatch.setattr(queue, "BATCH_REQUESTS", 1)  # so that they are still there when the old keys have been taken
    async with desk_on(tmp_path / "h.db") as desk:
        await desk.store.set_ordering("crm", Ordering("old"), lambda _: None)
        async with one_commit(desk) as nursery:
            await given_up(desk, nursery, *[new(key, order=key) for key in "123456789"])
            nursery.start_soon(desk.store.set_ordering, "crm", Ordering("new"), lambda _: digest("A"))
            await trio.testing.wait_all_tasks_blocked()
        for _ in "123456789":
            await desk.settle(await desk.claim_one())
