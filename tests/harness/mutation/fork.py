"""Processes beneath the tool: what a try does to itself, and however it hangs, stays there."""

import ctypes
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Final

MEMORY_MAX: Final = 3 << 30
"""Bytes of address space more than at the fork: a change may make a loop that takes all there is."""
KILLED, SURVIVED, UNFIT, BROKEN = 1, 0, 3, 4
TIMED_OUT = -1
"""Codes of a try: a test noticed; none did; it cannot be tried so; the tool itself failed; it took too long."""
ENDING: Final = (signal.SIGTERM, signal.SIGHUP)
"""Signals by which the tool is asked to end."""
_SET_DEATH_SIGNAL: Final = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def in_fork(run: Callable[[], None]) -> int:
    """Run in a fork that ends with this process, its output where this one's is; 0, BROKEN, or less: a signal."""
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        code = BROKEN
        try:
            _end_with_parent()
            run()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def attempt(run: Callable[[Path], int], seconds: float) -> int:
    """Run in a fork with a scratch folder, its output discarded; give its code, or TIMED_OUT and end all it started."""
    scratch = Path(tempfile.mkdtemp(prefix="mutant-"))
    sys.stdout.flush()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of threads that are there: nothing in the fork waits for one
        pid = os.fork()
    if not pid:
        _be_the_child(run, scratch)
    try:
        return _wait(pid, seconds)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _be_the_child(run: Callable[[Path], int], scratch: Path) -> None:
    code = BROKEN
    try:
        os.setsid()
        _end_with_parent()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nowhere, descriptor)
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (_address_space() + MEMORY_MAX, hard))
        code = run(scratch)
    except BaseException:
        (scratch.parent / "mutant-trouble.txt").write_text(traceback.format_exc())
    finally:
        os._exit(code)


def _end_with_parent() -> None:
    """Leave nothing that runs on, perhaps for ever, once the tool was ended by force; take signals as any process."""
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    for each in ENDING:
        signal.signal(each, signal.SIG_DFL)


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _wait(pid: int, seconds: float) -> int:
    descriptor = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        ended = poll.poll(seconds * 1000)
        _end_group(pid)
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(descriptor)
    code = os.waitstatus_to_exitcode(status)
    return TIMED_OUT if not ended else KILLED if code < 0 else code


def _end_group(pid: int) -> None:
    """End it and what it started, while its id cannot be another's: it is not waited for yet."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(pid, signal.SIGKILL)  # it had no time to make a group
