"""What a daemon takes of the machine: memory, descriptors, threads, tasks, files; and how that moves.

Memory and threads are what /proc shows of any process to anybody. Descriptors and tasks the daemon has to tell itself:
it hides the former from others of its user. Nothing here starts or ends anything.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import linear_regression
from typing import Protocol

import trio

from harness.daemon import Daemon, cpu_seconds
from harness.senders import Client

MIB = 1024 * 1024
METRICS = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
TOLD = re.compile(rb"^(hookgate_tasks|process_open_fds) ([\d.]+)", re.MULTILINE)


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
    """The same of its child processes."""
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


STILL = 5
"""So many looks must find the same."""
LOOKS_MAX = 60
_BYTES = ("resident", "anonymous", "children", "store", "log")


async def look(daemon: Daemon, began: float = 0.0) -> Vitals:
    """Measure it now; `began` is `trio.current_time()` of the first look."""
    own = _status(daemon.pid)
    files = [daemon.home.database.with_name(f"hookgate.db{end}") for end in ("", "-wal")]
    told = await ask_counts(daemon)
    return Vitals(
        seconds=round(trio.current_time() - began, 1),
        resident=own["VmRSS"],
        anonymous=own["RssAnon"],
        children=sum(_status(child).get("RssAnon", 0) for child in children(daemon.pid)),
        descriptors=told["process_open_fds"],
        threads=own["Threads"],
        tasks=told["hookgate_tasks"],
        store=files[0].stat().st_size,
        log=files[1].stat().st_size,
        cpu=round(cpu_seconds(daemon.pid), 1),
    )


async def ask_counts(daemon: Daemon) -> dict[str, int]:
    """Ask for its descriptors and tasks; what answers this question is among them."""
    with Client(daemon.home.admin) as client:
        answer = await client.exchange(METRICS)
    found = {name.decode(): int(float(value)) for name, value in TOLD.findall(answer.body)}
    if len(found) != 2:
        raise AssertionError(f"tasks or descriptors are not among the metrics: {answer.body[:200]!r}")
    return found


def children(pid: int) -> list[int]:
    """The processes it started that still live, whichever of its threads did."""
    found = []
    for each in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # a thread that ended since it was listed
            found += [int(child) for child in each.read_text().split()]
    return found


def _status(pid: int) -> dict[str, int]:
    """Read VmRSS and RssAnon in bytes, and Threads; nothing of a process that ended meanwhile."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return {}
    found = re.findall(r"^(VmRSS|RssAnon|Threads):\s+(\d+)( kB)?", text, re.MULTILINE)
    return {name: int(value) * (1024 if unit else 1) for name, value, unit in found}


def exceeded(before: Counted, now: Counted) -> list[str]:
    """Say what there is more of than before; empty if nothing was left behind."""
    counts = [(name, getattr(before, name), getattr(now, name)) for name in ("descriptors", "threads", "tasks")]
    return [f"{after} {name}, {known} before" for name, known, after in counts if after > known]


async def rest(daemon: Daemon) -> Vitals:
    """Measure it once it stands still: after a reload, files and connections are opened again only as they are used."""
    seen = [await look(daemon)]
    while len(seen) < STILL or len({(each.descriptors, each.threads, each.tasks) for each in seen[-STILL:]}) > 1:
        if len(seen) == LOOKS_MAX:
            break
        await trio.sleep(0.3)
        seen.append(await look(daemon))
    return seen[-1]


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
