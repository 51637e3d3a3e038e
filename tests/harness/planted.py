"""Bugs that the harnesses must find: runs the daemon's own program with some of them planted. For tests alone.

`python planted.py BUG,… PROGRAM ARGUMENTS…`; nothing of it is in the gateway, so no operator can meet it.

careless: the store does not notice that a write to its log failed.
hasty: neither the store nor the file target notices that a write took only a part.
normal: the store does not flush its log at a commit (`synchronous=NORMAL`).
off: the store flushes nothing at all (`synchronous=OFF`).
leaky: each refused request leaves a descriptor and a task behind.
twice: each message goes out twice at once, and one of the two is on record.
stuck: after ten seconds the store's writer ends no commit any more.
blind: from its second look on, nobody sees what is due for a target.
eager is no bug: the log is copied and begun anew after a few commits, as it is after thousands.
brief is no bug: everything that is settled is kept for five minutes, de-dup keys too.
"""

import os
import runpy
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import apsw
import trio

from gateway import daemon
from gateway.dispatch import attempt, janitor, runner
from gateway.metrics import Counters
from gateway.store import checkpoints, group_commit, start
from gateway.store.contract import Keep
from gateway.targets import lines

BRIEF_MS = 5 * 60 * 1000


class _CarelessFile(apsw.VFSFile):
    def xWrite(self, data: Any, offset: int) -> None:
        with suppress(apsw.IOError):
            super().xWrite(data, offset)


class _CarelessDisk(apsw.VFS):
    def __init__(self) -> None:
        self._base = apsw.vfs_names()[0]
        super().__init__("careless", self._base, makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return _CarelessFile(self._base, name, flags)


class _HastyFile(apsw.VFSFile):
    def __init__(self, base: str, name: Any, flags: list[int]) -> None:
        super().__init__(base, name, flags)
        self._descriptor = os.open(name.filename() if isinstance(name, apsw.URIFilename) else name, os.O_RDWR)

    def xWrite(self, data: Any, offset: int) -> None:
        os.pwrite(self._descriptor, data, offset)


class _HastyDisk(apsw.VFS):
    def __init__(self) -> None:
        self._base = apsw.vfs_names()[0]
        super().__init__("hasty", self._base, makedefault=True)
        lines.write_all = os.write  # type: ignore[assignment]

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return _HastyFile(self._base, name, flags)


def _weaken(level: str) -> None:
    opened = start.open_writer

    def open_weaker(path: Any) -> apsw.Connection:
        connection = opened(path)
        connection.pragma("synchronous", level)
        return connection

    start.open_writer = open_weaker


def _hurry() -> None:
    for name, frames in (("COPY_FRAMES", 40), ("RESTART_FRAMES", 150), ("RESTART_AGAIN", 30)):
        setattr(checkpoints, name, frames)


def _forget_soon() -> None:
    settings_of = daemon.store_settings
    daemon.keep_times = lambda _: Keep(BRIEF_MS, BRIEF_MS, BRIEF_MS, BRIEF_MS)
    daemon.store_settings = lambda config: replace(settings_of(config), dedup_window_ms=BRIEF_MS)
    setattr(janitor, "RETENTION_EVERY_SECONDS", 15.0)  # noqa: B010 - it is Final to everybody else


def _leak() -> None:
    count = Counters.refused

    def count_and_leak(counters: Counters, source: str, reason: str) -> None:
        os.dup(0)
        trio.lowlevel.spawn_system_task(trio.sleep_forever)
        count(counters, source, reason)

    setattr(Counters, "refused", count_and_leak)  # noqa: B010 - a method is not to be assigned to


def _deliver_twice() -> None:
    once = attempt._deliver

    async def twice(*arguments: Any) -> Any:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(once, *arguments)
            return await once(*arguments)

    attempt._deliver = twice


def _get_stuck() -> None:
    commit, began = group_commit.GroupCommit._commit, time.monotonic()

    def commit_for_a_while(self: Any, batch: Any) -> None:
        while time.monotonic() - began > 10:
            time.sleep(1)
        commit(self, batch)

    group_commit.GroupCommit._commit = commit_for_a_while  # type: ignore[method-assign]


def _go_blind() -> None:
    look = runner.Runner._claim_due

    async def look_once(self: Any) -> float:
        if self.looked_at is not None:
            await trio.sleep_forever()
        return await look(self)

    runner.Runner._claim_due = look_once  # type: ignore[method-assign]


PLANT: dict[str, Callable[[], object]] = {
    "careless": _CarelessDisk,
    "hasty": _HastyDisk,
    "normal": lambda: _weaken("normal"),
    "off": lambda: _weaken("off"),
    "leaky": _leak,
    "twice": _deliver_twice,
    "stuck": _get_stuck,
    "blind": _go_blind,
    "eager": _hurry,
    "brief": _forget_soon,
}


def planted(*bugs: str) -> tuple[str, ...]:
    """Give what stands before the daemon's command so that it has `bugs`."""
    return (sys.executable, __file__, ",".join(bugs))


if __name__ == "__main__":
    kept = [PLANT[bug]() for bug in sys.argv[1].split(",")]
    sys.argv = sys.argv[2:]
    runpy.run_path(sys.argv[0], run_name="__main__")
