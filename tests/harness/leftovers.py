"""What was left behind since it was last made sure that nothing is: tasks, descriptors, threads, connections."""

import gc
import threading
import weakref
from pathlib import Path
from typing import Any

import trio


class Leftovers:
    """Counts at the beginning, and again whenever it is asked.

    What went meanwhile, as a thread of somebody else's that waited for work, lowers what is compared with.
    """

    def __init__(self) -> None:
        self._watched: weakref.WeakSet[Any] = weakref.WeakSet()
        self._before = self._counts()
        self._memory = 0
        self.grown = 0
        """Bytes by which the process grew between the first thorough look and the last."""

    def watch(self, connection: Any) -> None:
        """See later whether somebody still has `connection`."""
        self._watched.add(connection)

    def found(self, *, thorough: bool) -> dict[str, int]:
        """Give what there is more than there was at the least; only a `thorough` look (0.1 s) sees kept connections."""
        counts = self._counts()
        self._before = {what: min(count, self._before[what]) for what, count in counts.items()}
        found = {what: count - self._before[what] for what, count in counts.items()}
        if thorough:
            gc.collect()
            found["connections"] = len(self._watched)
            memory = _memory()
            self._memory = self._memory or memory
            self.grown = memory - self._memory
        return {what: count for what, count in found.items() if count}

    def _counts(self) -> dict[str, int]:
        return {
            "tasks": trio.lowlevel.current_statistics().tasks_living,
            "descriptors": len(list(Path("/proc/self/fd").iterdir())),
            "threads": threading.active_count(),
        }


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
