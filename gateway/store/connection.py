"""Opens SQLite connections the one way that keeps the promises, and reads back that it did.

`synchronous=FULL` in WAL mode is what makes a commit durable; nothing starts without it.
"""

from pathlib import Path
from typing import Final

import apsw

from gateway.errors import StoreError

OLDEST_SQLITE: Final = (3, 51, 3)
"""Before it, two connections that write or checkpoint could corrupt the file (sqlite.org/wal.html#walresetbug)."""
BUSY_MS: Final = 5000
_FULL: Final = 2


def open_writer(path: Path) -> apsw.Connection:
    """Open the connection that alone writes. Raises StoreError if it would not be durable."""
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < OLDEST_SQLITE:
        raise StoreError(
            f"SQLite {apsw.sqlite_lib_version()} can corrupt a store; expected 3.51.3 or later; "
            "install apsw as a wheel, which brings its own"
        )
    connection = apsw.Connection(str(path), statementcachesize=256)
    try:
        _make_durable(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _make_durable(connection: apsw.Connection, path: Path) -> None:
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # after an I/O error a close must write nothing
    connection.set_busy_timeout(BUSY_MS)
    mode = connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "full")
    if mode != "wal" or connection.pragma("synchronous") != _FULL:
        raise StoreError(
            f"{path}: expected journal_mode wal and synchronous 2 (FULL), "
            f"found {mode} and {connection.pragma('synchronous')}; this file cannot be made durable"
        )
    connection.wal_autocheckpoint(0)
    connection.pragma("cell_size_check", 1)
    connection.pragma("trusted_schema", 0)
    connection.pragma("temp_store", "memory")
    connection.pragma("cache_size", -1000)


def open_checkpointer(path: Path) -> apsw.Connection:
    """Open the connection that copies committed pages into the file, off the commit path."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.set_busy_timeout(0)
    connection.wal_autocheckpoint(0)
    connection.pragma("synchronous", "full")
    return connection


def open_reader(path: Path) -> apsw.Connection:
    """Open a connection that only reads. Raises StoreError if there is no store."""
    if not path.exists():
        raise StoreError(f"{path}: there is no store; expected the file that the daemon writes; check [store] sqlite")
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.set_busy_timeout(BUSY_MS)
    connection.pragma("query_only", 1)
    connection.pragma("trusted_schema", 0)
    connection.pragma("temp_store", "memory")
    return connection
