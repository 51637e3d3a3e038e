"""One run: start the program, keep the end of its output, wait for its end, and leave no process of it.

A run ends when the program itself exits, its time is over, or the daemon hangs up; whatever it left running then gets
SIGTERM, and SIGKILL `TERM_SECONDS` later.
"""

import errno
import os
import resource
import select
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.exec_helper.protocol import KILL_SECONDS, TERM_SECONDS, Ended, How, Job, encode
from gateway.exec_helper.tree import Tree, become_reaper, die_with_parent

PROCESSES_MORE: Final = 512
"""How many processes and threads may come on top of those of the whole machine; root is not bound by it."""

_READ: Final = 64 * 1024
_LOOK_SECONDS: Final = 0.02
_STRIKE_SECONDS: Final = 0.0005


def run(job: Job, connection: socket.socket) -> Ended:
    """Run `job` and tell how it ended. `connection` is only asked for its end, and told that the run began."""
    if _has_hung_up(connection):
        return Ended("hung_up")
    become_reaper()
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    os.set_blocking(writer, True)
    output = _Output(reader, job.output_bytes)
    try:
        try:
            child = _start(job, writer)
        finally:
            os.close(writer)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        os.close(reader)
        return _not_started(error)
    with suppress(OSError):  # a daemon that is gone is noticed below
        connection.sendall(encode({"frame": "started"}))
    tree = Tree()
    how = _wait(child.pid, time.monotonic() + job.timeout_seconds, connection, output)
    survivors = _end(tree, output)
    output.read_all()
    os.close(reader)
    child.returncode = tree.statuses.get(child.pid, -signal.SIGKILL)  # reaped here, not by subprocess
    if how == "exit" and child.returncode < 0:
        how = "signal"
    return Ended(how, abs(child.returncode), "", survivors, bytes(output.tail))


def _start(job: Job, writer: int) -> subprocess.Popen[bytes]:
    parent, processes_max = os.getpid(), _processes_max()

    def in_child() -> None:
        die_with_parent(parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if processes_max is not None:
            resource.setrlimit(resource.RLIMIT_NPROC, (processes_max, processes_max))

    content = os.memfd_create("stdin")
    try:
        _write_all(content, job.stdin)
        os.lseek(content, 0, os.SEEK_SET)
        return subprocess.Popen(  # noqa: S603 - a list, and no shell: what this program is for
            [piece.encode() for piece in job.argv],
            stdin=content,
            stdout=writer,
            stderr=writer,
            cwd=job.cwd,
            env={name.encode(): value.encode() for name, value in job.env.items()},
            start_new_session=True,
            preexec_fn=in_child,  # noqa: PLW1509 - this process has one thread
        )
    finally:
        os.close(content)


def _processes_max() -> int | None:
    """Give the limit of processes: some on top of all that run now; None where the machine does not tell."""
    try:
        running = int(Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")[2])
    except (OSError, ValueError, IndexError):
        return None  # ProcSubset=pid hides it: the unit's TasksMax bounds a run there
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    wanted = running + PROCESSES_MORE
    return wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _not_started(error: Exception) -> Ended:
    number = errno.EINVAL if isinstance(error, ValueError) else getattr(error, "errno", None) or 0
    place = os.fsdecode(getattr(error, "filename", None) or "")
    text = os.strerror(number) if number else str(error)
    return Ended("not_started", number, f"{place}: {text}" if place else text)


class _Output:
    """The end of what a run wrote."""

    def __init__(self, reader: int, limit: int) -> None:
        self.reader = reader
        self.tail = bytearray()
        self._limit = limit

    def read(self) -> bool:
        """Take one chunk of what is there; False if there is nothing, or nothing will ever come."""
        try:
            chunk = os.read(self.reader, _READ)
        except BlockingIOError:
            return False
        self.tail += chunk
        del self.tail[: max(0, len(self.tail) - self._limit)]
        return bool(chunk)

    def read_all(self) -> None:
        """Take what is left in the pipe; bounded, should something still write."""
        for _ in range(64):
            if not self.read():
                return


def _has_hung_up(connection: socket.socket) -> bool:
    """After its job the daemon sends nothing more: what can be read is the end."""
    poller = select.poll()
    poller.register(connection, select.POLLIN)
    return bool(poller.poll(0))


def _wait(child: int, deadline: float, connection: socket.socket, output: _Output) -> How:
    """Wait until the child has ended, the time is over, or the daemon has hung up."""
    ended = os.pidfd_open(child)
    try:
        poller = select.poll()
        poller.register(ended, select.POLLIN)
        poller.register(connection, select.POLLIN)
        poller.register(output.reader, select.POLLIN)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return "timeout"
            ready = {descriptor for descriptor, _ in poller.poll(left * 1000 + 1)}
            if ended in ready:
                return "exit"
            if connection.fileno() in ready:
                return "hung_up"
            if output.reader in ready and not output.read():
                poller.unregister(output.reader)  # every writer is gone; else poll would return at once for ever
    finally:
        os.close(ended)


def _end(tree: Tree, output: _Output) -> int:
    """End whatever is left of the run; give the number of processes that would not go."""
    asked: set[int] = set()
    strike = time.monotonic() + TERM_SECONDS
    while not tree.reap():
        output.read_all()
        now = time.monotonic()
        pids = tree.pids()
        if now < strike:
            new = [pid for pid in pids if pid not in asked]
            tree.signal(new, signal.SIGTERM)
            tree.signal(new, signal.SIGCONT)  # a stopped process hears nothing else
            asked.update(new)
            time.sleep(_LOOK_SECONDS)
        elif now < strike + KILL_SECONDS:
            tree.signal(pids, signal.SIGKILL)
            time.sleep(_STRIKE_SECONDS)
        else:
            return max(1, len(pids))
    return 0
