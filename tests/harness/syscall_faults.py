"""Lets a system call on the store's files fail in the real daemon: the Nth, or all from the Nth on, by strace.

The daemon is the tracer's parent (`strace -D`), so it keeps its process id and gets its signals itself. Only calls on
files of the state folder are counted and struck. What was struck, and when, is read from the trace afterwards.
"""

import random
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

CALLS = ("pwrite64", "fdatasync", "fsync", "ftruncate", "openat", "unlink", "fallocate", "rename")
ERRORS = ("EIO", "ENOSPC", "EDQUOT", "EINTR")
DELAY = "delay"
DELAY_SECONDS = 1.5
"""Longer than a sender waits for a commit before it is told 503."""
FILES = ("", "/hookgate.db", *(f"/hookgate.db-{end}" for end in ("wal", "journal", "reserve", "tail", "lock", "shm")))
_LINE = re.compile(r"^(\d+) +([\d.]+) (?:<\.\.\. )?(\w+)[( ](.*)$")
_PATH = re.compile(r'</([^>]*)>|"/([^"]*)"')


class Fault(NamedTuple):
    """What fails: the `nth` call of one kind in a thread, by an error or a delay."""

    call: str
    how: str
    nth: int
    on: bool = False
    """True: that call and all after it."""

    def __str__(self) -> str:
        return f"{self.call} #{self.nth}{'+' if self.on else ''} {self.how}"

    @property
    def injection(self) -> str:
        """As strace wants it."""
        how = f"delay_enter={round(DELAY_SECONDS * 1e6)}" if self.how == DELAY else f"error={self.how}"
        return f"inject={self.call}:{how}:when={self.nth}{'+' if self.on else ''}"


class Struck(NamedTuple):
    """One call that was made to fail."""

    at: float
    """Seconds since 1970."""
    call: str
    path: str
    how: str

    @property
    def in_commit(self) -> bool:
        """True if it was a write or a flush of the store itself that failed for good."""
        store = self.path.rpartition("/")[2] in {"hookgate.db", "hookgate.db-wal"}
        return store and self.call in {"pwrite64", "fdatasync"} and self.how in {"EIO", "EDQUOT"}


def under_strace(state: Path, trace: Path, fault: Fault | None) -> tuple[str, ...]:
    """Give what stands before the daemon's command; without a fault calls are only counted."""
    paths = [part for file in FILES for part in ("-P", f"{state}{file}")]
    inject = ["-e", fault.injection] if fault else []
    watch = f"trace={','.join(CALLS)}"
    return ("strace", "-D", "-f", "-q", "--seccomp-bpf", "-y", "-ttt", "-o", str(trace), "-e", watch, *inject, *paths)


def struck(trace: str) -> list[Struck]:
    """Read which calls failed, in order."""
    found = []
    for line in trace.splitlines():
        match = _LINE.match(line)
        if (match and "INJECTED" in line) or (match and "DELAYED" in line):
            path = _PATH.findall(match[4])
            error = re.search(r"= -1 (E\w+)", match[4])
            name = "/" + "".join(path[-1]) if path else ""
            found.append(Struck(float(match[2]), match[3], name, error[1] if error else DELAY))
    return found


def ended_at(trace: str, pid: int) -> float | None:
    """When the process ended, in seconds since 1970; None if the trace does not tell."""
    ends = [line.split() for line in trace.splitlines() if " +++ " in line and line.split()[0] == str(pid)]
    return float(ends[-1][1]) if ends else None


def most_calls(trace: str) -> dict[str, int]:
    """How many calls of each kind one thread made at most: a fault beyond that never strikes."""
    counts: dict[str, Counter[str]] = {}
    for line in trace.splitlines():
        match = _LINE.match(line)
        if match and match[3] in CALLS and not line.split()[2].startswith("<..."):
            counts.setdefault(match[3], Counter())[match[1]] += 1
    return {call: max(threads.values()) for call, threads in counts.items()}


def all_faults(most: Mapping[str, int]) -> list[Fault]:
    """Every call of a run that made at most `most`, once by each error and once by a delay; and each from then on."""
    single = [Fault(call, how, n + 1) for call in most for n in range(most[call]) for how in (*ERRORS, DELAY)]
    lasting = [Fault(call, how, n + 1, on=True) for call in most for n in range(most[call]) for how in ERRORS[:3]]
    return single + lasting


def draw(most: Mapping[str, int], runs: int, dice: random.Random) -> list[Fault]:
    """Choose some: each kind of call with each error in turn, at any place of the run; commits more often."""
    kinds = [(call, how) for call in most for how in ERRORS] + [("fdatasync", DELAY)]
    kinds += [("pwrite64", "EIO"), ("fdatasync", "EIO")] * 3
    dice.shuffle(kinds)
    return [
        Fault(call, how, dice.randint(1, most[call]), on=how != DELAY and how != "EINTR" and dice.random() < 0.3)
        for call, how in (kinds * (runs // len(kinds) + 1))[:runs]
    ]
