"""Ends a daemon with SIGKILL at a chosen moment: at any time, or on entry to the Nth call of a system call.

strace attaches to the process that is already ready, so that N counts from then, and tells afterwards in which call, on
which file, the process died. A kill counts as *inside the store* if it struck a write or a flush of the store's own
files: there a commit of `accept` or of `record` was half done.
"""

import random
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from subprocess import DEVNULL
from typing import Protocol

import trio

CALLS = {"fdatasync": 60, "pwrite64": 600, "fsync": 30, "sendto": 300}
"""System calls to die in, each with how many of them one cycle certainly makes under load."""
STORE_CALLS = ["fdatasync", "pwrite64"]
"""What a commit consists of."""
WEIGHTS = {"fdatasync": 5, "pwrite64": 4, "fsync": 1, "sendto": 1, "": 3}
"""How often each is chosen; an empty name is a random moment."""
DIED_IN = re.compile(r"^(\d+) +(\w+)\(\d+<([^>]*)>.*(?:= \?|<unfinished \.\.\.>)$", re.MULTILINE)
START_SECONDS = 0.7
"""About what a start takes: kills of a starting daemon are spread over it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """When to kill: on entry to the `nth` call of `call` in one thread; if that is empty, `after` seconds from now."""

    call: str
    nth: int
    after: float
    starting: bool = False
    """True: the moment is counted from the start of the process, so that recovery is what is killed."""

    def __str__(self) -> str:
        return f"{self.call} #{self.nth}" if self.call else f"after {self.after:.2f} s"


@dataclass(frozen=True, slots=True)
class Landing:
    """Where a kill struck."""

    call: str
    """The system call it died in; empty if it was killed at a random moment."""
    path: str

    @property
    def inside_store(self) -> bool:
        """True if it struck a write or a flush of the store's files."""
        return Path(self.path).name.startswith("hookgate.db") and self.call != ""


AT_RANDOM = Landing("", "")


class Victim(Protocol):
    """A process that can be killed; `harness.daemon.Daemon` is one."""

    @property
    def pid(self) -> int:
        """The process's id."""
        ...

    async def wait_ended(self) -> int:
        """Wait for its end."""
        ...

    async def kill(self) -> None:
        """End it by SIGKILL, if it still lives."""
        ...


def draw(dice: random.Random, *, aimed: bool = False, calls: Mapping[str, int] = CALLS) -> Plan:
    """Choose a moment; `aimed` at a commit or record of the store, if too few have struck one so far."""
    call = dice.choice(STORE_CALLS) if aimed else dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    if call:
        return Plan(call, dice.randint(1, calls[call]), 0.0)
    starting = dice.random() < 0.5
    return Plan("", 0, dice.uniform(0.0, START_SECONDS), starting)


def is_installed() -> bool:
    """True if strace is there."""
    return shutil.which("strace") is not None


@cache
def can_attach() -> bool:
    """True if strace is there and may attach to a process that hides its memory, as the daemon does."""
    hides = "import sys; from gateway.prctl import hide_memory; hide_memory(); print(); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hides], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            Path(f"/proc/{process.pid}/root").readlink()
        except PermissionError:
            return False
        finally:
            process.kill()
    return is_installed()


async def kill(victim: Victim, plan: Plan, trace: Path, seconds: float = 10.0) -> Landing:
    """Kill `victim` as planned, at the latest after `seconds`; give where it struck. `trace` is a file to write."""
    if not plan.call:
        await trio.sleep(plan.after)
        await victim.kill()
        return AT_RANDOM
    trace.unlink(missing_ok=True)
    tracer = _attach(victim.pid, plan, trace)
    try:
        with trio.move_on_after(seconds):
            await victim.wait_ended()
        await victim.kill()
    finally:
        await trio.to_thread.run_sync(tracer.wait)
    return landing(trace.read_text())


def _attach(pid: int, plan: Plan, trace: Path) -> subprocess.Popen[bytes]:
    inject = f"inject={plan.call}:signal=KILL:when={plan.nth}"
    command = ["strace", "-f", "-q", "-y", "-p", str(pid), "-o", str(trace), "-e", f"trace={plan.call}", "-e", inject]
    return subprocess.Popen(command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)


def landing(trace: str) -> Landing:
    """Read where the traced process died: a call without a result, perhaps parted by other threads' lines."""
    found = {thread: Landing(call, path) for thread, call, path in DIED_IN.findall(trace)}
    whole = [line.split()[0] for line in trace.splitlines() if line.endswith("= ?")]
    dead = [found[thread] for thread in whole if thread in found]
    return dead[-1] if dead else AT_RANDOM
