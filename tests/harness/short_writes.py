"""Lets writes of the real daemon take only a part of what they were given: by a small library put before libc.

It is compiled from `short_writes.c` when it is needed. What it says was written was written, so that a daemon that goes
on with the rest loses nothing by it and one that does not is found out.
"""

import os
import random
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).with_suffix(".c")
PARTS = ("half", "byte")
"""A part is taken, and the rest when it is asked for again: nobody notices anything."""
ERRORS = ("EINTR", "EDQUOT", "ENOSPC", "half+EDQUOT", "half+ENOSPC")
"""Nothing is taken; or half, and nothing of the rest."""
MOST = {"state/hookgate.db": 250, "state/hookgate.db-tail": 20, "files/audit.jsonl": 16, "files/each/": 20}
"""What is struck, by how its path begins in a home, and about how many writes a run of 20 events makes there."""


class Strike(NamedTuple):
    """What happens to the `nth` write (from 1) to `place`; with `every`, to every so many after it too."""

    place: str
    how: str
    nth: int
    every: int = 0

    def __str__(self) -> str:
        return f"{self.place} #{self.nth}{f' and each {self.every}' if self.every else ''} {self.how}"


class Struck(NamedTuple):
    """One write that was struck."""

    at: float
    """Seconds since 1970."""
    path: str
    asked: int
    given: int
    """Bytes that were written; -1: it failed."""


def is_possible() -> bool:
    """True if there is a compiler for it and libc is the one it was written for."""
    return shutil.which("gcc") is not None and "linux-gnu" in (sysconfig.get_config_var("MULTIARCH") or "")


def library(folder: Path) -> Path:
    """Compile the library into `folder`."""
    return compile_library(SOURCE, folder)


def compile_library(source: Path, folder: Path) -> Path:
    """Compile what shall stand before libc."""
    path = folder / f"{source.stem}.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", str(path), str(source)], check=True)
    return path


def under(strike: Strike, home: Path, compiled: Path) -> dict[str, str]:
    """Give the environment of a daemon in `home` that is struck; `struck` reads what came of it."""
    return {
        "LD_PRELOAD": os.fspath(compiled),
        "STRIKE_PATH": f"{home}/{strike.place}",
        "STRIKE_NTH": str(strike.nth),
        "STRIKE_EVERY": str(strike.every),
        "STRIKE_HOW": strike.how,
        "STRIKE_LOG": f"{home}/strikes",
    }


def struck(home: Path) -> list[Struck]:
    """Read what was struck in a home."""
    log = home / "strikes"
    lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return [Struck(float(at), path, int(asked), int(given)) for at, _, path, asked, given in lines]


def draw(runs: int, dice: random.Random) -> list[Strike]:
    """Choose some: each place in each way in turn, anywhere in the run; parts also again and again."""
    kinds = [(place, how) for place in MOST for how in (*PARTS, *ERRORS)]
    dice.shuffle(kinds)
    chosen = (kinds * (runs // len(kinds) + 1))[:runs]
    return [_anywhere(place, how, dice) for place, how in chosen]


def _anywhere(place: str, how: str, dice: random.Random) -> Strike:
    again = how in PARTS and dice.random() < 0.5
    nth = dice.randint(1, MOST[place] // (4 if again else 1))
    return Strike(place, how, nth, dice.choice([1, 2, 3, 7]) if again else 0)
