"""What the SQLite store refuses to start on, what it warns of, and what it makes sure of before the first answer."""

import os
import sys

import apsw
import pytest
import trio
from store_samples import crash_copy, desk_on, rows

from gateway.core.model import event_text
from gateway.errors import StoreError
from gateway.store.connection import open_writer
from gateway.store.contract import EventQuery
from gateway.store.disk import NETWORK_FILE_SYSTEMS, file_system_magic
from gateway.store.migrate import migrate, migrations
from gateway.store.reads import open_sqlite_reader
from gateway.store.settings import StoreSettings
from gateway.testing.store_desk import new


async def refusal(path, settings=None):
    with pytest.raises(StoreError) as caught:
        async with desk_on(path, settings or StoreSettings()):
            pass
    return str(caught.value)


async def test_B3_a_second_process_is_refused_and_told_whose_store_it_is(tmp_path):
    path = tmp_path / "h.db"
    async with desk_on(path) as desk:
        message = await refusal(path)
        assert f"in use by process {os.getpid()}" in message
        assert await desk.accept_one("k"), "the first goes on"
    async with desk_on(path) as desk:
        assert await desk.store.events(EventQuery()), "once it has gone, the next may start"


async def test_B3_a_newer_schema_is_refused(tmp_path):
    path = tmp_path / "h.db"
    async with desk_on(path):
        pass
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", 999)
    connection.close()
    assert "schema is number 999" in await refusal(path)
    with pytest.raises(StoreError, match="schema is number 999"), open_sqlite_reader(path):
        pass


async def test_B3_a_network_file_system_is_refused_without_override(tmp_path, monkeypatch):
    monkeypatch.setitem(NETWORK_FILE_SYSTEMS, file_system_magic(tmp_path), "TESTFS")
    assert "expected a local disk, found TESTFS" in await refusal(tmp_path / "h.db")
    assert not (tmp_path / "h.db").exists()
    async with desk_on(tmp_path / "h.db", StoreSettings(allow_network_file_system=True, low_water_bytes=0)) as desk:
        assert await desk.accept_one("k")


def test_B3_the_kinds_of_file_system_are_those_of_statfs(tmp_path):
    assert file_system_magic("/proc") == 0x9FA0
    spelt = {b"\xffSMB": "CIFS", b"\xfeSMB": "SMB2", b"esUF": "FUSE", b"SFAO": "AFS", b"GPFS": "GPFS", b"taco": "OCFS2"}
    numbered = {
        0x6969: "NFS",
        0x517B: "SMB",
        0x01021997: "9p",
        0xC36400: "Ceph",
        0xBD00BD0: "Lustre",
        0x1161970: "GFS2",
    }
    assert {int.from_bytes(text): name for text, name in spelt.items()} | numbered == NETWORK_FILE_SYSTEMS


async def test_B2_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "h.db"
    path.write_bytes(b"not a database at all" * 100)
    assert "keep a copy" in await refusal(path)
    assert path.read_bytes() == b"not a database at all" * 100


async def test_B2_a_damaged_schema_page_is_refused(tmp_path):
    path = tmp_path / "h.db"
    async with desk_on(path) as desk:
        await desk.accept_one("k")
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 64)
    assert "keep a copy" in await refusal(path)


@pytest.mark.parametrize("place", ["middle", "header", "missing"])
async def test_B2_a_log_tail_that_was_lost_in_silence_is_told_at_the_next_start(place, tmp_path):
    path = tmp_path / "h.db"
    async with desk_on(path) as desk:
        first = await desk.accept_one("first")
        for key in range(20):
            await desk.accept_one(key)
        copy = crash_copy(path, tmp_path / "copy", without=("-wal",) if place == "missing" else ())
    if place != "missing":
        log = copy.with_name("h.db-wal")
        flip(log, 5 if place == "header" else log.stat().st_size // 2)
    async with desk_on(copy) as desk:
        (warning,) = desk.store.warnings
        assert "tail is damaged or missing" in warning
        listed = [row.id for row in await desk.store.events(EventQuery())]
        assert len(listed) < 21, f"SQLite said nothing; {event_text(first)} was the first"
    async with desk_on(copy) as desk:
        assert desk.store.warnings == (), "it is told once"


async def test_B2_a_whole_log_gives_no_warning(tmp_path):
    path = tmp_path / "h.db"
    async with desk_on(path) as desk:
        for key in range(20):
            await desk.accept_one(key)
        copy = crash_copy(path, tmp_path / "copy")
    async with desk_on(copy) as desk:
        assert desk.store.warnings == ()
        assert len(await desk.store.events(EventQuery())) == 20
    async with desk_on(path) as desk:
        assert desk.store.warnings == ()


async def test_B4_copying_a_live_store_without_its_log_is_told(tmp_path):
    """`cp` of the file and what lies beside it, but for the log; with the bare file alone nothing can tell."""
    path = tmp_path / "h.db"
    async with desk_on(path) as desk:
        await desk.accept_one("k")
        copy = crash_copy(path, tmp_path / "copy", without=("-wal",))
    async with desk_on(copy) as desk:
        assert desk.store.warnings


async def test_P4_what_a_start_makes_visible_is_in_the_file_before_anything_is_answered(tmp_path):
    """Kill after a commit, start, power loss: a duplicate that was answered must not vanish with the log."""
    path = tmp_path / "h.db"
    async with desk_on(path) as desk:
        event_id = await desk.accept_one("k")
        copy = crash_copy(path, tmp_path / "copy")
    assert rows(copy, "SELECT id FROM event") == [], "before, only the log had it"
    async with desk_on(copy):
        lost_log = crash_copy(copy, tmp_path / "lost", without=("-wal",))
    assert rows(lost_log, "SELECT id FROM event") == [(event_id,)]


async def test_a_store_is_for_its_owner_only(tmp_path):
    path = tmp_path / "h.db"
    async with desk_on(path) as desk:
        await desk.accept_one("k")
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
        assert set(modes.values()) == {0o600}, modes


async def test_a_clean_stop_leaves_everything_in_the_one_file(tmp_path):
    path = tmp_path / "h.db"
    async with desk_on(path) as desk:
        event_id = await desk.accept_one("k")
    assert rows(path, "SELECT id FROM event") == [(event_id,)]


def test_a_connection_that_is_not_durable_is_refused():
    with pytest.raises(StoreError, match="expected journal_mode wal"):
        open_writer(":memory:")


async def test_a_stopped_store_can_be_read_and_only_read(tmp_path):
    path = tmp_path / "h.db"
    with pytest.raises(StoreError, match="there is no store"), open_sqlite_reader(path):
        pass
    async with desk_on(path) as desk:
        event_id = await desk.make_dead("k")
        await desk.accept(new("l"))
    with open_sqlite_reader(path) as reads:
        assert reads.event(event_id).payload == b"{}"
        assert [row.deliveries for row in reads.events(EventQuery())] == [1, 1]
        assert reads.backlogs().of("crm")[:3] == (1, 0, 1)
        with pytest.raises(apsw.ReadOnlyError):
            reads._connection.execute("DELETE FROM event")


def test_migrations_are_numbered_without_a_gap():
    assert [number for number, _ in migrations()] == list(range(1, len(migrations()) + 1))


async def test_what_waited_under_the_schema_before_waits_and_expires_were_kept_goes_on(tmp_path):
    """From number 3: nothing that is unsettled is lost; it has waited for nothing, and never expires."""
    path = tmp_path / "h.db"
    connection = apsw.Connection(str(path))
    migrate(connection, [step for step in migrations() if step[0] <= 3])
    connection.execute("INSERT INTO name(id, kind, text) VALUES (1, 1, 's'), (2, 5, 'r'), (3, 6, 'crm')")
    connection.execute("INSERT INTO request VALUES (9, x'', x'7b7d')")
    connection.execute("INSERT INTO event VALUES (9, 9, 1, 1, 1, 1, 5, NULL, NULL, NULL, NULL)")
    connection.execute(
        "INSERT INTO delivery(event, n, route, target, state, due, attempts, claims) VALUES (9, 0, 2, 3, 0, 7, 2, 2)"
    )
    connection.close()
    async with desk_on(path) as desk:
        (claim,) = await desk.claim()
        delivery = claim.delivery
        assert (delivery.event_id, delivery.attempts, delivery.waited, delivery.expires_at) == (9, 2, 0, None)
        assert await desk.store.expire(2**60) == {}


async def test_the_audit_of_the_schema_before_replays_were_kept_goes_on(tmp_path):
    """From number 5: nobody knows who did what then, but what was done stays."""
    path = tmp_path / "h.db"
    connection = apsw.Connection(str(path))
    migrate(connection, [step for step in migrations() if step[0] <= 5])
    connection.execute("INSERT INTO audit(at, action, subject, count, reason) VALUES (7, 'retry', 'target=crm', 3, '')")
    connection.close()
    async with desk_on(path) as desk:
        assert await desk.store.operator.audit(None, 9) == [(1, 7, "", "retry", "target=crm", 3, "")]
        assert await desk.store.operator.replays(9) == []


async def test_what_waited_its_turn_under_the_schema_before_waits_outlasted_that_goes_on(tmp_path):
    """From number 6: one that waits has nothing left to back off, and one that expires was planned with its event."""
    path = tmp_path / "h.db"
    connection = apsw.Connection(str(path))
    migrate(connection, [step for step in migrations() if step[0] <= 6])
    connection.execute("INSERT INTO name(id, kind, text) VALUES (1, 1, 's'), (2, 5, 'r'), (3, 6, 'crm')")
    connection.execute("INSERT INTO request VALUES (8, x'', x'7b7d')")
    connection.execute(
        "INSERT INTO event SELECT column1, 8, 1, 1, 1, 1, 5, NULL, NULL, NULL, NULL FROM (VALUES (8), (9))"
    )
    connection.execute("INSERT INTO ordering VALUES (3, 'test', 1, 0)")
    connection.execute(
        "INSERT INTO delivery(event, n, route, target, state, due, expires_at, okey) "
        "VALUES (8, 0, 2, 3, 0, 7, 1 << 60, x'01'), (9, 0, 2, 3, 0, NULL, 1 << 60, x'01')"
    )
    connection.close()
    async with desk_on(path) as desk:
        assert await desk.store.step_forward(1000, desk.runtime.now_ms(), 1000) == 0
        for event_id in (8, 9):
            delivery = await desk.claim_one()
            assert (delivery.event_id, delivery.expires_at) == (event_id, (1 << 60) + 1000)
            await desk.settle(delivery)


KILLED = """
import os, signal, sys, apsw
from gateway.store.migrate import migrate, migrations
connection = apsw.Connection(sys.argv[1])
connection.pragma("synchronous", "full")
left = int(sys.argv[2])
def trace(cursor, statement, bindings):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return True
connection.exec_trace = trace
last = migrations()[-1][0]
text = "ALTER TABLE delivery ADD COLUMN later BLOB; UPDATE delivery SET claims = claims + 1; CREATE TABLE more(a)"
migrate(connection, [*migrations(), (last + 1, text)])
"""


async def test_P17_a_kill_at_any_statement_of_a_migration_leaves_one_whole_version(tmp_path):
    path = tmp_path / "h.db"
    async with desk_on(path) as desk:
        for key in range(5):
            await desk.accept_one(key)
    last = migrations()[-1][0]
    found = set()
    for statement in range(1, 12):
        ended = await trio.run_process([sys.executable, "-c", KILLED, str(path), str(statement)], check=False)
        connection = apsw.Connection(str(path))
        version = connection.pragma("user_version")
        unsettled, claims = connection.execute("SELECT count(*), sum(claims) FROM delivery WHERE state < 2").get
        connection.close()
        found.add((version, unsettled, claims))
        if ended.returncode == 0:
            break
    assert found == {(last, 5, 0), (last + 1, 5, 5)}, "either version, whole, with all that is unsettled"
    assert ended.returncode == 0, "at last the migration was carried out"
    assert statement > 4, "it was killed at several statements"


def test_a_migration_that_fails_changes_nothing(tmp_path):
    connection = apsw.Connection(str(tmp_path / "h.db"))
    migrate(connection)
    last = migrations()[-1][0]
    with pytest.raises(apsw.SQLError):
        migrate(connection, [*migrations(), (last + 1, "CREATE TABLE more(a); SELECT nonsense")])
    assert connection.pragma("user_version") == last
    assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'more'").get == 0
    with pytest.raises(apsw.SQLError, match="nonsense"):
        migrate(connection, [*migrations(), (last + 1, "ROLLBACK; SELECT nonsense")])
    connection.close()


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
