"""What the tests of the SQLite store share: a desk on an open store, and its files as a crash would leave them."""

import shutil
import threading
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import apsw
import trio
import trio.testing

from gateway.errors import StoreError
from gateway.store.settings import StoreSettings
from gateway.store.sqlite import open_sqlite
from gateway.testing.store_desk import SETTINGS, Desk, SteppedRuntime

SMALL = StoreSettings(low_water_bytes=0, reserve_bytes=0)


@asynccontextmanager
async def desk_on(path: Path, settings: StoreSettings = SETTINGS, runtime=None):
    runtime = runtime or SteppedRuntime()
    async with open_sqlite(path, runtime, settings) as store:
        yield Desk(store, runtime)


@asynccontextmanager
async def one_commit(desk):
    """What is started in the nursery shares one commit."""
    begun, held, token = trio.Event(), threading.Event(), trio.lowlevel.current_trio_token()

    def hold(_ledger, _turn):
        token.run_sync_soon(begun.set)
        held.wait(30)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(asked, desk.store._engine.do, hold)
        await begun.wait()
        yield nursery
        await trio.testing.wait_all_tasks_blocked()
        held.set()


async def asked(call, *values):
    with suppress(StoreError):
        await call(*values)


def crash_copy(path: Path, folder: Path, *, without: tuple[str, ...] = ()) -> Path:
    """Copy a live store's files: what a kill -9 at this moment leaves."""
    folder.mkdir()
    for file in path.parent.iterdir():
        if file.name.startswith(path.name) and not file.name.endswith(("-shm", *without)):
            shutil.copy(file, folder / file.name)
    return folder / path.name


def rows(path: Path, query: str) -> list[tuple]:
    """Read a closed store's file as it is, without its log."""
    connection = apsw.Connection(f"file:{path}?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()
