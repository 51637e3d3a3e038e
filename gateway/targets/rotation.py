"""When a growing file is put aside, and how: by renaming, so that no line is copied or cut.

Blocks; the caller holds the file's lock and opens a new file afterwards.
"""

import os
from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a new file begins, and how many old ones stay (`events.jsonl.1` is the youngest)."""

    size: int | None
    """Bytes: a batch that would exceed it goes to a new file."""
    period_ms: int | None
    """A file last written in an earlier period, counted from 1970, is put aside."""
    keep: int

    def is_due(self, status: os.stat_result, adding: int, now_ms: int) -> bool:
        """Tell whether the file with this status is put aside before `adding` bytes are written at `now_ms`."""
        if not status.st_size:
            return False
        by_size = self.size is not None and status.st_size + adding > self.size
        written_ms = status.st_mtime_ns // 1_000_000
        by_period = self.period_ms is not None and now_ms // self.period_ms > written_ms // self.period_ms
        return by_size or by_period


def put_aside(path: Path, keep: int) -> None:
    """Rename the file to `.1`, `.1` to `.2` and so on up to the first gap, durably; the last of `keep` is overwritten.

    Raises OSError; the names may then have a gap, which the next time fills.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        aside = [f"{path.name}.{number}" for number in range(1, keep + 1)]
        present = list(takewhile(lambda name: _exists(name, folder), aside))
        names = [path.name, *aside[: len(present) + 1]]
        for old, new in reversed(list(pairwise(names))):
            os.rename(old, new, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    finally:
        os.close(folder)


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
