"""What a daemon takes of the machine, from outside: memory, descriptors, threads, tasks, files; and how that moves.

Numbers of the process come from /proc, so that a daemon that hangs can be measured too; only its tasks it has to tell
itself. Nothing here starts or ends anything.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import linear_regression
from typing import Protocol

import trio

from harness.daemon import Daemon, cpu_seconds
from harness.senders import Client

MIB = 1024 * 1024
METRICS = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
TASKS = re.compile(rb"^hookgate_tasks (\d+)", re.MULTILINE)


class Counted(Protocol):
    """What can be leaked one by one."""

    @property
    def descriptors(self) -> int: ...
    @property
    def threads(self) -> int: ...
    @property
    def tasks(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Vitals:
    """One look at a daemon."""

    seconds: float
    """Since the first look of a series."""
    resident: int
    """Bytes, as all that follow but the counts."""
    anonymous: int
    """Resident memory that belongs to no file: what the program asked for."""
    children: int
    """Proportional memory of its child processes."""
    descriptors: int
    threads: int
    tasks: int
    store: int
    """The database file."""
    log: int
    """Its write-ahead log."""
    cpu: float
    """Seconds of CPU since the start of the process."""

    def __str__(self) -> str:
        shown = {name: f"{value / MIB:.1f}" for name, value in asdict(self).items() if name in _BYTES}
        return " ".join(f"{name}={shown.get(name, value)}" for name, value in asdict(self).items())


_BYTES = ("resident", "anonymous", "children", "store", "log")


async def look(daemon: Daemon, began: float = 0.0) -> Vitals:
    """Measure it now; `began` is `trio.current_time()` of the first look."""
    own = _memory(daemon.pid)
    files = [daemon.home.database.with_name(f"hookgate.db{end}") for end in ("", "-wal")]
    tasks = await count_tasks(daemon)
    return Vitals(
        seconds=round(trio.current_time() - began, 1),
        resident=own["Rss"],
        anonymous=own["Anonymous"],
        children=sum(_memory(child).get("Pss", 0) for child in children(daemon.pid)),
        descriptors=count_descriptors(daemon.pid),
        threads=len(list(Path(f"/proc/{daemon.pid}/task").iterdir())),
        tasks=tasks,
        store=files[0].stat().st_size,
        log=files[1].stat().st_size,
        cpu=round(cpu_seconds(daemon.pid), 1),
    )


def count_descriptors(pid: int) -> int:
    """The open descriptors of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def count_tasks(daemon: Daemon) -> int:
    """Ask for the tasks of the event loop; the few that answer this question are among them."""
    with Client(daemon.home.admin) as client:
        answer = await client.exchange(METRICS)
    found = TASKS.search(answer.body)
    if found is None:
        raise AssertionError(f"no hookgate_tasks among the metrics: {answer.body[:200]!r}")
    return int(found[1])


def children(pid: int) -> list[int]:
    """The processes it started that still live, whichever of its threads did."""
    listed = [each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for line in listed for child in line.split()]


def _memory(pid: int) -> dict[str, int]:
    """Read Rss, Pss and Anonymous in bytes; nothing of a process that ended meanwhile."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return {}
    return {name: int(kib) * 1024 for name, kib in re.findall(r"^(Rss|Pss|Anonymous): +(\d+) kB", text, re.MULTILINE)}


def exceeded(before: Counted, now: Counted) -> list[str]:
    """Say what there is more of than before; empty if nothing was left behind."""
    counts = [(name, getattr(before, name), getattr(now, name)) for name in ("descriptors", "threads", "tasks")]
    return [f"{after} {name}, {known} before" for name, known, after in counts if after > known]


async def wait_back(daemon: Daemon, before: Vitals, seconds: float) -> list[str]:
    """Wait until it has no more descriptors, threads and tasks than before; give what is still too much at the end."""
    left = exceeded(before, await look(daemon))
    with trio.move_on_after(seconds):
        while left:
            await trio.sleep(0.25)
            left = exceeded(before, await look(daemon))
    return left


def per_hour(series: Sequence[Vitals], name: str) -> float:
    """The slope of one number over the last two thirds of a series, by least squares."""
    late = [each for each in series if each.seconds >= series[-1].seconds / 3]
    return linear_regression([each.seconds for each in late], [getattr(each, name) for each in late]).slope * 3600
