"""Opens a store for writing: everything that must be true before the first answer.

In order: a local disk, nobody else, a sound file, a durable connection, a schema that we know, nothing lost from the
log, everything that is visible flushed (a duplicate seen now must not vanish with the next power loss), and deliveries
of dead processes due again.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import apsw

from gateway.errors import StoreError
from gateway.runtime import Runtime
from gateway.store.backlog import Backlogs
from gateway.store.connection import open_reader, open_writer
from gateway.store.disk import fsync_folder, refuse_network_file_system
from gateway.store.ids import IdMint
from gateway.store.key_filter import KeyFilter
from gateway.store.keys import KeyGenerations
from gateway.store.ledger import Ledger, Turn
from gateway.store.lock import StoreLock
from gateway.store.migrate import migrate
from gateway.store.names import NameBook
from gateway.store.order import read_orderings, relink
from gateway.store.reads import Reads, load_backlogs
from gateway.store.settings import StoreSettings
from gateway.store.space import Space
from gateway.store.statements import load_statements
from gateway.store.steps import catch_up
from gateway.store.tail import TailMark, lost_tail, read_log_header

_SQL: Final = load_statements("start")
_MAGIC: Final = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class Started:
    """A store that may be used: everything that was opened, in the writer thread."""

    lock: StoreLock
    tail: TailMark
    ledger: Ledger
    key_filter: KeyFilter
    backlogs: Backlogs
    reads: Reads
    space: Space
    warnings: list[str]


def start(path: Path, runtime: Runtime, settings: StoreSettings) -> Started:
    """Open the store at `path`, new if there is none. Raises StoreError; then nothing is held."""
    folder = path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not settings.allow_network_file_system:
            refuse_network_file_system(folder)
        lock = StoreLock(path)
    except OSError as error:
        raise StoreError(f"{folder}: cannot hold a store: {error.strerror}; check the folder and its owner") from error
    try:
        _prepare_file(path)
        return _start_locked(path, runtime, settings, lock)
    except apsw.FullError as error:
        lock.release()
        raise StoreError(f"{path}: the disk is full; make room, then start again: nothing is lost") from error
    except (apsw.Error, OSError) as error:
        lock.release()
        raise StoreError(
            f"{path}: the store cannot be opened: {type(error).__name__}: {error}; keep a copy of {path.name}* "
            "before anything else, then restore a backup"
        ) from error
    except BaseException:
        lock.release()
        raise


def _start_locked(path: Path, runtime: Runtime, settings: StoreSettings, lock: StoreLock) -> Started:
    log = path.with_name(path.name + "-wal")
    header = read_log_header(log)
    space = Space(path, runtime, settings)
    if header and space.free < log.stat().st_size:
        space.give_up_reserve()  # the log must be copied before anything else
    connection = open_writer(path)
    tail = TailMark(path)
    try:
        warning = _recover(connection, tail, header)
        migrate(connection)
        _check(connection, path)
        barrier(connection)
        fsync_folder(path.parent)
        key_filter = KeyFilter()
        ledger, stepped = _take_over(connection, runtime, settings, key_filter)
        backlogs = load_backlogs(connection)
        barrier(connection)
        tail.write(0)
        tail.flush()
        reads = Reads(open_reader(path))
    except BaseException:
        tail.close()
        connection.close()
        raise
    return Started(
        lock, tail, ledger, key_filter, backlogs, reads, space, [told for told in (warning, stepped) if told]
    )


def _prepare_file(path: Path) -> None:
    """Make the file, for its owner only; raise StoreError if there is one that is no database.

    Done before SQLite opens it: closing any descriptor of the file drops SQLite's locks on it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        found = os.pread(descriptor, len(_MAGIC), 0)
    finally:
        os.close(descriptor)
    if found and found != _MAGIC:
        raise StoreError(
            f"{path}: expected a SQLite database, found something else or a damaged one; "
            f"keep a copy of {path.name}* before anything else, then restore a backup"
        )


def _recover(connection: apsw.Connection, tail: TailMark, header: bytes) -> str | None:
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    frames, _ = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    return lost_tail(tail.read(), header, frames)


def barrier(connection: apsw.Connection) -> None:
    """Flush everything that can be read: copy the log into the file, flush both, empty the log."""
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


def _check(connection: apsw.Connection, path: Path) -> None:
    """Look at what every start needs; reading every page would take minutes for a large store."""
    count, last = connection.execute(_SQL["check_meta"]).get
    if (count, last) != (1, 1):
        raise StoreError(
            f"{path}: expected one row in its table meta, found {count}: it is damaged; "
            f"keep a copy of {path.name}* before anything else, then restore a backup"
        )


def _take_over(
    connection: apsw.Connection, runtime: Runtime, settings: StoreSettings, key_filter: KeyFilter
) -> tuple[Ledger, str | None]:
    """Begin a new epoch: what dead processes had in flight is due again. Also gives what to tell about the clock."""
    now = runtime.now_ms()
    cursor = connection.cursor()
    cursor.execute("BEGIN IMMEDIATE")  # what fails here closes the connection, which undoes it
    epoch: int = cursor.execute(_SQL["next_epoch"]).get
    wall, stepped = catch_up(cursor, now)
    cursor.execute(_SQL["note_interrupted"], (epoch, now))
    touched: list[Any] = cursor.execute(_SQL["interrupted_keys"], (epoch,)).fetchall()
    cursor.execute(_SQL["free_interrupted"], (epoch, now))
    last: int = cursor.execute(_SQL["last_event"]).get
    names = NameBook(connection.cursor())
    keys = KeyGenerations(connection.cursor(), names.sources, runtime, settings.dedup_window_ms, key_filter)
    ledger = Ledger(connection, cursor, names, IdMint(last), keys, epoch, wall)
    ledger.orderings = read_orderings(ledger)
    relink(ledger, Turn(now), touched)
    cursor.execute("COMMIT")
    return ledger, stepped


def stop(started: Started, *, flush: bool) -> None:
    """Close the store; with `flush`, so that nothing is left in its log. Without, not one byte more is written.

    Where there is no room to copy the log, or another process reads it, it stays: the next start copies it.
    """
    try:
        if flush:
            with suppress(apsw.FullError, apsw.BusyError):
                started.ledger.keys.save_clock()
                barrier(started.ledger.connection)
                started.tail.write(0)
                started.tail.flush()
    finally:
        started.reads.close()
        started.tail.close()
        started.ledger.connection.close()
        started.lock.release()
