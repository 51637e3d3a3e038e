"""What a store is refused for, that a refusal leaves nothing behind, and what its parts make of a disk that refuses."""

import errno
import fcntl
import os
import threading
from pathlib import Path

import apsw
import pytest
from store_samples import desk_on

from gateway.errors import StoreError
from gateway.store.connection import open_checkpointer, open_reader, open_writer
from gateway.store.disk import Reserve, file_system_magic, fsync_folder, used_bytes
from gateway.store.reads import open_sqlite_reader
from gateway.store.settings import StoreSettings


async def refusal(path):
    with pytest.raises(StoreError) as caught:
        async with desk_on(path):
            pass
    return str(caught.value)


def open_files(folder):
    """Which files of the folder this process has open."""
    found = [str(each.readlink()) for each in list(Path("/proc/self/fd").iterdir()) if os.path.lexists(each)]
    return sorted(name for name in found if name.startswith(f"{folder}/"))


async def a_store(path):
    async with desk_on(path) as desk:
        await desk.accept_one("k")


async def a_newer_schema(path):
    await a_store(path)
    change(path, "PRAGMA user_version = 999")


async def a_damaged_meta(path):
    await a_store(path)
    change(path, "DELETE FROM meta")


async def a_missing_table(path):
    await a_store(path)
    change(path, "DROP TABLE ordering")


async def a_damaged_page(path):
    await a_store(path)
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 64)


async def no_database(path):
    path.write_bytes(b"not a database at all")


def change(path, statement):
    connection = apsw.Connection(str(path))
    connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (a_newer_schema, "schema is number 999"),
        (a_damaged_meta, "expected one row in its table meta, found 0"),
        (a_missing_table, "cannot be opened: SQLError: no such table: ordering"),
        (a_damaged_page, "keep a copy"),
        (no_database, "expected a SQLite database"),
    ],
)
async def test_B3_a_store_that_is_refused_is_told_why_and_nothing_of_it_is_held(damage, told, tmp_path):
    path = tmp_path / "h.db"
    await damage(path)
    for _ in range(2):
        message = await refusal(path)
        assert told in message, "the second time, too: nobody has it"
        assert open_files(tmp_path) == []


async def test_a_store_that_is_closed_holds_nothing(tmp_path):
    await a_store(tmp_path / "h.db")
    assert open_files(tmp_path) == []
    assert [each.name for each in threading.enumerate() if each.name.startswith("store-")] == []


async def test_a_folder_that_cannot_hold_a_store_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot hold a store: File exists" in await refusal(tmp_path / "file" / "h.db")


async def test_whoever_holds_a_store_without_a_name_is_unknown(tmp_path):
    with (tmp_path / "h.db-lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "in use by process unknown" in await refusal(tmp_path / "h.db")


async def test_the_lock_names_its_holder_alone(tmp_path):
    (tmp_path / "h.db-lock").write_text("12345678901234567890")
    async with desk_on(tmp_path / "h.db"):
        assert (tmp_path / "h.db-lock").read_text() == f"{os.getpid()}\n"


async def test_a_SQLite_that_can_corrupt_a_store_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.2")
    assert "expected 3.51.3 or later" in await refusal(tmp_path / "h.db")
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.3")
    await a_store(tmp_path / "h.db")


def test_what_is_no_database_is_not_read_either(tmp_path):
    (tmp_path / "h.db").write_bytes(b"not a database at all" * 100)
    with (
        pytest.raises(StoreError, match="the store cannot be read: NotADBError"),
        open_sqlite_reader(tmp_path / "h.db"),
    ):
        pass


async def test_connections_mistrust_the_file_and_keep_scratch_off_the_disk(tmp_path):
    await a_store(tmp_path / "h.db")
    names = ("trusted_schema", "temp_store", "query_only", "cell_size_check", "synchronous", "wal_autocheckpoint")
    found = {}
    for opener in (open_writer, open_reader, open_checkpointer):
        connection = opener(tmp_path / "h.db")
        found[opener.__name__] = {name: connection.pragma(name) for name in names}
        assert connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, -1) == 1, "a close writes nothing"
        connection.close()
    writer, reader, checkpointer = found.values()
    memory = 2
    assert (writer["trusted_schema"], reader["trusted_schema"]) == (0, 0)
    assert (writer["temp_store"], reader["temp_store"]) == (memory, memory)
    assert (writer["query_only"], reader["query_only"]) == (0, 1)
    assert writer["cell_size_check"] == 1
    assert (writer["synchronous"], checkpointer["synchronous"]) == (2, 2), "each flushes what it writes"
    assert (writer["wal_autocheckpoint"], checkpointer["wal_autocheckpoint"]) == (0, 0), "none copies in a commit"


async def test_health_tells_the_size_of_all_the_files_of_a_store(tmp_path):
    async with desk_on(tmp_path / "h.db", StoreSettings(low_water_bytes=0, reserve_bytes=12345)) as desk:
        await desk.accept_one()
        desk.runtime.advance(1000)
        await desk.store.probe()
        files = [tmp_path / f"h.db{end}" for end in ("", "-wal", "-shm", "-reserve")]
        assert desk.store.health().disk_bytes <= sum(file.stat().st_size for file in files)
    for end, size in (("", 1), ("-wal", 10), ("-shm", 100), ("-reserve", 1000), ("-other", 10_000)):
        (tmp_path / f"s.db{end}").write_bytes(bytes(size))
    assert used_bytes(tmp_path / "s.db") == 1111
    (tmp_path / "s.db-wal").unlink()
    assert used_bytes(tmp_path / "s.db") == 1101


def refusing(code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    return refuse


def test_P19_a_reserve_for_which_there_is_no_room_is_none_and_leaves_nothing(tmp_path, monkeypatch):
    reserve = Reserve(tmp_path / "h.db", 1 << 16)
    monkeypatch.setattr(os, "posix_fallocate", refusing(errno.ENOSPC))
    reserve.restore()
    assert not reserve.held
    assert open_files(tmp_path) == []
    monkeypatch.undo()
    reserve.restore()
    assert Path(f"{tmp_path}/h.db-reserve").stat().st_size == 1 << 16
    assert open_files(tmp_path) == []
    assert [reserve.release(), reserve.release()] == [True, False]


def test_P19_a_reserve_that_cannot_be_opened_is_tried_again_later(tmp_path, monkeypatch):
    reserve = Reserve(tmp_path / "h.db", 1 << 16)
    monkeypatch.setattr(os, "open", refusing(errno.EMFILE))
    reserve.restore()
    monkeypatch.undo()
    assert not reserve.held
    reserve.restore()
    assert reserve.held


def test_P19_a_reserve_of_no_bytes_is_no_file(tmp_path):
    Reserve(tmp_path / "h.db", 0).restore()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_none_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        fsync_folder(tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        file_system_magic(tmp_path / "none")
