"""What the tests of the SQLite store share: a desk on an open store, and its files as a crash would leave them."""

import shutil
from contextlib import asynccontextmanager
from pathlib import Path

import apsw

from gateway.store.settings import StoreSettings
from gateway.store.sqlite import open_sqlite
from gateway.testing.store_desk import SETTINGS, Desk, SteppedRuntime

SMALL = StoreSettings(low_water_bytes=0, reserve_bytes=0)


@asynccontextmanager
async def desk_on(path: Path, settings: StoreSettings = SETTINGS, runtime=None):
    runtime = runtime or SteppedRuntime()
    async with open_sqlite(path, runtime, settings) as store:
        yield Desk(store, runtime)


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
