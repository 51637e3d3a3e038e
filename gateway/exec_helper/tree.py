"""Everything that a run started, wherever it hid: found below this process, signalled, and reaped.

This process is a subreaper: whatever loses its parent (double fork, setsid) becomes our child. So nothing is left
exactly when we have no child, whatever the lists of processes said meanwhile; those are only read to aim.
"""

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

from gateway.prctl import prctl

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_SET_NO_NEW_PRIVS: Final = 38


def become_reaper() -> None:
    """Adopt all orphans below us, and give up what setuid programs could give them. Raises OSError."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when `parent` ends; only for a child that was just forked."""
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended in between
        os._exit(1)


class Tree:
    """All processes below this one."""

    def __init__(self) -> None:
        self.statuses: dict[int, int] = {}
        """Exit status (negative: signal) of each child that has ended."""

    def reap(self) -> bool:
        """Take the status of whatever has ended; True if nothing is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            self.statuses[pid] = os.waitstatus_to_exitcode(status)

    @staticmethod
    def pids() -> list[int]:
        """List what runs below us now; a process that forks meanwhile may be missing."""
        found = [os.getpid()]
        for pid in found:  # grows while it is read
            found.extend(_children(pid))
        return found[1:]

    @staticmethod
    def signal(pids: Iterable[int], number: signal.Signals) -> None:
        """Send a signal to each process and to its group.

        The group, because the kernel signals one whole: a process that forks and exits all the time is never in a list
        for long enough. Groups below us hold no one else: a run has a session of its own.
        """
        own = os.getpgrp()
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                group = os.getpgid(pid)
                os.kill(pid, number)
                if group not in {0, own}:
                    os.killpg(group, number)


def _children(pid: int) -> Iterator[int]:
    with suppress(OSError):  # it has ended
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - pathlib is slower, here that counts
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as listed:  # noqa: PTH123 - as above
                yield from map(int, listed.read().split())
