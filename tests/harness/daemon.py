"""The real daemon as a child process: started from a written configuration, ready by sd_notify, signalled, ended.

Everything of one daemon lives in one short folder (unix socket paths are limited to 107 bytes): configuration, secrets,
state, sockets, and its standard error. A daemon that outlives its block is killed; nothing else is ever signalled.
"""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import trio

from harness.home import Home
from harness.senders import Client

HOOKGATE = Path(sys.executable).with_name("hookgate")
READY_SECONDS = 60.0
END_SECONDS = 35.0
PATIENCE_SECONDS = 40.0
"""For what takes a moment on a machine of its own: none of these waits is what a test claims."""
_numbers = itertools.count()


class DaemonDiedError(Exception):
    """The process ended (or did not get ready); the message holds the end of its standard error."""


class Daemon:
    """One process of the daemon in a home."""

    def __init__(
        self,
        home: Home,
        environ: Mapping[str, str],
        before: tuple[str, ...] = (),
        config: Path | None = None,
        descriptors: tuple[int, ...] = (),
    ) -> None:
        self.home = home
        self._descriptors = descriptors
        self._config = config or home.config
        self.notices: list[str] = []
        """Every line that came by sd_notify, in order."""
        self.ready_seconds = 0.0
        """From exec to READY=1."""
        self._noticed = trio.Event()
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._environ = environ
        self._before = before
        self._log_start = home.stderr.stat().st_size if home.stderr.exists() else 0
        self._process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def port(self) -> int:
        """The TCP port of the first hook listener, from the log."""
        return self.ports[0]

    @property
    def ports(self) -> list[int]:
        """The TCP ports of all hook listeners, from the log."""
        started = self.logged("daemon.started")[-1]
        return [int(bound.rpartition(":")[2]) for bound in started["addresses"] if bound.rpartition(":")[2].isdigit()]

    @property
    def running(self) -> bool:
        """True while the process lives."""
        return self._process.poll() is None

    def logged(self, event: str | None = None) -> list[dict[str, Any]]:
        """Read this process's log lines called `event` (None: all). A line that is no JSON is the daemon's error."""
        text = self.home.stderr.read_bytes()[self._log_start :]
        whole = text[: text.rfind(b"\n") + 1].splitlines()
        entries = [json.loads(line) for line in whole]
        return [entry for entry in entries if event is None or entry.get("event") == event]

    def tail(self) -> str:
        """The end of standard error, for messages."""
        return self.home.stderr.read_bytes()[self._log_start :][-4000:].decode("utf-8", "replace")

    async def start(self, nursery: trio.Nursery) -> None:
        """Start the process and begin to listen to its notices."""
        address = self.home.folder / f"notify-{next(_numbers)}.sock"
        self._notify.bind(str(address))
        nursery.start_soon(self._listen)
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home.folder),
            "STATE_DIRECTORY": str(self.home.state),
            "RUNTIME_DIRECTORY": str(self.home.folder),
            "NOTIFY_SOCKET": str(address),
            **self._environ,
        }
        command = [*self._before, str(HOOKGATE), "run", "--config", str(self._config)]
        self._process = self._spawn(command, environ)

    def _spawn(self, command: list[str], environ: dict[str, str]) -> subprocess.Popen[bytes]:
        with self.home.stderr.open("ab") as stderr:
            folder = self.home.folder
            return subprocess.Popen(
                command,
                cwd=folder,
                env=environ,
                stdin=DEVNULL,
                stdout=stderr,
                stderr=stderr,
                pass_fds=self._descriptors,
            )

    async def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait for READY=1. Raises DaemonDiedError if the process ends first or takes longer."""
        began = trio.current_time()
        await self.wait_notice("READY=1", 1, seconds)
        self.ready_seconds = trio.current_time() - began

    async def wait_notice(self, line: str, count: int, seconds: float) -> None:
        """Wait until `line` came `count` times by sd_notify. Raises DaemonDiedError as `wait_ready` does."""
        with trio.move_on_after(seconds):
            while self.notices.count(line) < count:
                if not self.running:
                    raise DaemonDiedError(f"ended with {self._process.returncode} before {line}:\n{self.tail()}")
                self._noticed = trio.Event()
                with trio.move_on_after(0.05):
                    await self._noticed.wait()
            return
        raise DaemonDiedError(f"no {line} within {seconds} s:\n{self.tail()}")

    async def wait_logged(self, event: str, count: int = 1, seconds: float = PATIENCE_SECONDS) -> list[dict[str, Any]]:
        """Wait until a log line called `event` was written `count` times. Raises trio.TooSlowError."""
        with trio.fail_after(seconds):
            while len(found := self.logged(event)) < count:
                await trio.sleep(0.02)
        return found

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it still lives."""
        if self.running:
            self._process.send_signal(number)

    async def wait_ended(self, seconds: float = END_SECONDS) -> int:
        """Wait for the end; give the exit code (negative: the signal). Raises trio.TooSlowError."""
        with trio.fail_after(seconds):
            while self.running:
                await trio.sleep(0.01)
        self._take_notices()  # its last words may have come together with its end
        return int(self._process.returncode)

    async def kill(self) -> None:
        """End it as `kill -9` does."""
        self.signal(signal.SIGKILL)
        await self.wait_ended()

    async def stop(self) -> int:
        """End it as systemd does; give the exit code."""
        self.signal(signal.SIGTERM)
        return await self.wait_ended()

    async def cli(self, *arguments: str, code: int = 0) -> Any:
        """Run a CLI verb with `--json` against this daemon and give what it printed, parsed.

        Raises DaemonDiedError if the verb ends with another exit code than `code`.
        """
        command = [str(HOOKGATE), *arguments, "--config", str(self.home.config), "--json"]
        done = await trio.run_process(
            command,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            cwd=self.home.folder,
            env={
                "PATH": os.environ["PATH"],
                "STATE_DIRECTORY": str(self.home.state),
                "RUNTIME_DIRECTORY": str(self.home.folder),
            },
        )
        if done.returncode != code:
            raise DaemonDiedError(
                f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stdout!r}\n{done.stderr.decode()}"
            )
        return json.loads(done.stdout)

    async def ask(self, path: str, order: dict[str, Any] | None = None, status: int = 200) -> Any:
        """GET `path` of the admin API, or POST `order` to it; give the parsed answer.

        Raises DaemonDiedError for another status than `status`.
        """
        body = b"" if order is None else json.dumps(order).encode()
        method = "GET" if order is None else "POST"
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        head += "Content-Type: application/json\r\n" if body else ""
        with Client(self.home.admin) as client:
            answer = await client.exchange(f"{head}\r\n".encode() + body)
        if answer.status != status:
            raise DaemonDiedError(f"{method} {path} was answered {answer.status}: {answer.body!r}")
        return json.loads(answer.body)

    async def target(self, name: str) -> dict[str, Any]:
        """Give the status of one target."""
        listed = (await self.ask("/targets"))["targets"]
        return next(target for target in listed if target["name"] == name)

    async def wait_settled(self, seconds: float = PATIENCE_SECONDS, target: str | None = None) -> None:
        """Wait until nothing is pending or in flight, for `target` or for all. Raises trio.TooSlowError."""
        with trio.fail_after(seconds):
            while any(
                each["pending"] or each["in_flight"]
                for each in (await self.ask("/targets"))["targets"]
                if target in {None, each["name"]}
            ):
                await trio.sleep(0.05)

    async def wait_pending(self, target: str, count: int, seconds: float = PATIENCE_SECONDS) -> list[dict[str, Any]]:
        """Wait until at least `count` deliveries of a target wait; give them. A try is logged before it is recorded.

        Raises trio.TooSlowError.
        """
        path = f"/deliveries?target={target}&state=pending"
        with trio.fail_after(seconds):
            while len(found := (await self.ask(path))["deliveries"]) < count:
                await trio.sleep(0.05)
        return list(found)

    async def reload(self, text: str | None = None, seconds: float = PATIENCE_SECONDS) -> None:
        """Write the configuration (unless None), reload by SIGHUP, wait until it is ready, whatever it decided."""
        if text is not None:
            self.home.write_config(text)
        before = self.notices.count("READY=1")
        self.signal(signal.SIGHUP)
        await self.wait_notice("READY=1", before + 1, seconds)

    def resident_bytes(self) -> int:
        """Its resident memory now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def cpu_seconds(self) -> float:
        """User and system time it has used so far, all threads."""
        return cpu_seconds(self.pid)

    def close(self) -> None:
        """Make sure that nothing of it is left."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        trio.lowlevel.notify_closing(self._notify)
        self._notify.close()

    async def _listen(self) -> None:
        while True:
            try:
                await trio.lowlevel.wait_readable(self._notify)
            except (trio.ClosedResourceError, OSError, ValueError):
                return  # closed, perhaps after it had become readable
            self._take_notices()

    def _take_notices(self) -> None:
        """Read all that has come by sd_notify."""
        with suppress(OSError):  # nothing more, or closed
            while True:
                self.notices.extend(self._notify.recv(4096).decode().splitlines())
                self._noticed.set()


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used so far, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def running(
    home: Home,
    environ: Mapping[str, str] | None = None,
    before: tuple[str, ...] = (),
    *,
    wait: bool = True,
    config: Path | None = None,
    descriptors: tuple[int, ...] = (),
) -> AsyncIterator[Daemon]:
    """Run a daemon in `home` for the length of a block; it is ready when the block begins, unless `wait` is False.

    It inherits `descriptors` under their numbers.
    """
    daemon = Daemon(home, environ or {}, before, config, descriptors)
    async with trio.open_nursery() as nursery:
        await daemon.start(nursery)
        try:
            if wait:
                await daemon.wait_ready()
            yield daemon
        except BaseException:
            sys.stderr.write(f"the daemon's log ends with:\n{daemon.tail()}\n")
            raise
        finally:
            daemon.close()
            nursery.cancel_scope.cancel()
