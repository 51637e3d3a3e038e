"""Steps the clocks of the real daemon, all of the process at once: by a small library put before libc.

It is compiled from `clock_steps.c` when it is needed. The machine's own clock stays as it is.
"""

import os
import struct
import time
from pathlib import Path

from harness.short_writes import compile_library

SECOND = 1_000_000_000
MINUTE, DAY = 60 * SECOND, 86_400 * SECOND
STEPS = {
    "+1 s": SECOND,
    "-1 s": -SECOND,
    "+5 min": 5 * MINUTE,
    "-5 min": -5 * MINUTE,
    "+1 day": DAY,
    "-1 day": -DAY,
    "1970": -time.time_ns() + DAY,
}
"""How far the wall clock is put from the right time."""
SLEEP = 8 * 3600 * SECOND


class Clocks:
    """The clocks of one home's daemons."""

    def __init__(self, home: Path) -> None:
        self._file = home / "clock-offsets"
        self._wall = self._slept = 0
        self._write()

    def environ(self, compiled: Path) -> dict[str, str]:
        """Give the environment of a daemon that goes by them."""
        return {"LD_PRELOAD": os.fspath(compiled), "CLOCK_OFFSETS": os.fspath(self._file)}

    def put(self, by: int) -> None:
        """Put the wall clock this far from the right time, in nanoseconds; 0: it is right again."""
        self._wall = by
        self._write()

    def suspend(self) -> None:
        """Have the machine have slept for eight hours: no step, but time that passed."""
        self._slept += SLEEP
        self._write()

    def _write(self) -> None:
        with os.fdopen(os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600), "wb") as file:
            file.write(struct.pack("qq", self._wall + self._slept, self._slept))


def library(folder: Path) -> Path:
    """Compile the library into `folder`."""
    return compile_library(Path(__file__).with_suffix(".c"), folder)
