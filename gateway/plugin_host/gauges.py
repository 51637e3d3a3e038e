"""How much of the machine a worker holds: read in the worker, judged in the daemon."""

import os
from pathlib import Path
from typing import Final

import trio

PAGE: Final = os.sysconf("SC_PAGE_SIZE")
UNREADABLE: Final = 1_000_000
"""When not even a descriptor is left to look."""


def read_gauges() -> dict[str, int]:
    """Give resident bytes, descriptors, threads and trio tasks of this process."""
    try:
        descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only, on every reply
        threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    except OSError:
        descriptors = threads = UNREADABLE
        pages = 0
    tasks = trio.lowlevel.current_statistics().tasks_living
    return {"rss": pages * PAGE, "fds": descriptors, "threads": threads, "tasks": tasks}
