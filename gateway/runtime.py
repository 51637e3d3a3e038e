"""The one door to clock, randomness, sockets, threads and processes; a seeded simulation replaces it.

No other module imports `time`, `random`, `secrets`, `socket`, `threading`, `subprocess` or `trio.to_thread`: a test
enforces it. What is here decides nothing.
"""

import errno
import os
import random
import secrets
import signal
import socket as stdlib_socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Final, TypeAlias, TypeVar

import trio

from gateway.lookups import Answers, Lookups

T = TypeVar("T")

AddressInfo = tuple[int, str, int]
"""Family, numeric address, port: what `Runtime.resolve` gives and `Runtime.connect` takes."""

Socket: TypeAlias = stdlib_socket.socket
"""A socket of the standard library, as `Runtime.accept` gives it, for those who cannot name that module."""

DNS_THREADS: Final = 32
FILE_THREADS: Final = 16


class Runtime:
    """Clock, randomness, sockets and threads of the real machine. One per process, made by the daemon, passed down."""

    def __init__(self) -> None:
        self.dns_limiter = trio.CapacityLimiter(DNS_THREADS)
        self.lookups = Lookups(_addresses_of, self.in_thread, self.dns_limiter)
        self.file_limiter = trio.CapacityLimiter(FILE_THREADS)

    def now_ms(self) -> int:
        """Milliseconds since 1970 (UTC). May step: use `monotonic` to measure."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds on a clock that never steps, and stands still while the machine sleeps."""
        return time.monotonic()

    def slept(self) -> float:
        """Give the seconds that the machine has slept since it started."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()

    def random(self) -> float:
        """Draw from 0 (included) to 1 (excluded); for jitter, never for secrets."""
        return random.random()  # noqa: S311 - jitter

    def token_bytes(self, count: int) -> bytes:
        """Give `count` unpredictable bytes."""
        return secrets.token_bytes(count)

    def start_thread(self, run: Callable[[], None], name: str) -> threading.Thread:
        """Start a daemon thread; it must not outlive what it serves by design, not by being killed."""
        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread

    def new_lock(self) -> threading.Lock:
        """Give a lock between threads."""
        return threading.Lock()

    def signals(self, *numbers: int) -> AbstractContextManager[AsyncIterator[int]]:
        """Get these signals, as they come, for as long as the block runs, in place of what they would do."""
        return trio.open_signal_receiver(*numbers)

    def exit_after(self, seconds: float, status: int = 0) -> None:
        """End the process in `seconds`, whatever hangs; the last resort of a stop. Nothing is flushed."""

        def wait_and_exit() -> None:
            time.sleep(seconds)
            os._exit(status)

        self.start_thread(wait_and_exit, "hard-exit")

    async def in_file_thread(self, call: Callable[[], T]) -> T:
        """Run a blocking file operation; not abandoned on cancellation, so that its effect is known."""
        return await trio.to_thread.run_sync(call, limiter=self.file_limiter)

    async def in_thread(self, call: Callable[[], T], limiter: trio.CapacityLimiter) -> T:
        """Run a blocking conversation in a thread of the caller's own pool; abandoned on cancellation.

        The caller must make an abandoned one end (shut its socket); it holds its slot of `limiter` until then.
        """
        return await trio.to_thread.run_sync(call, limiter=limiter, abandon_on_cancel=True)

    async def resolve(self, host: str, port: int, seconds: float) -> list[AddressInfo]:
        """Look `host` up within `seconds`, by `Lookups`: in our own small pool of threads, one for each name.

        Raises `trio.TooSlowError`, `OSError` (`socket.gaierror`) if there is no such name, or `BlockingIOError` if
        other look-ups held every thread all the time, so that this one never began.
        """
        return [(family, address, port) for family, address in await self.lookups.resolve(host, seconds)]

    @staticmethod
    def is_local(address: AddressInfo) -> bool:
        """Tell whether a numeric address is one of this machine's own, 127.0.0.0/8 aside. Nothing is sent."""
        family, host, port = address
        with stdlib_socket.socket(family, stdlib_socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((host, port))  # only chooses a way: one to ourselves begins and ends at one address
                return bool(probe.getsockname()[0] == probe.getpeername()[0])
            except OSError:
                return False

    async def connect(self, address: AddressInfo) -> trio.socket.SocketType:
        """Open a TCP connection to a numeric address; the socket is closed again if this fails or is cancelled."""
        family, host, port = address
        connection = trio.socket.socket(family, stdlib_socket.SOCK_STREAM)
        try:
            connection.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_NODELAY, 1)
            await connection.connect((host, port))
        except BaseException:
            connection.close()
            raise
        return connection

    def as_blocking(self, connection: trio.socket.SocketType, seconds: float) -> Socket:
        """Make a connection one for a thread: each of its operations takes at most `seconds`, else TimeoutError."""
        bare = stdlib_socket.socket(fileno=connection.detach())
        bare.settimeout(seconds)
        return bare

    async def connect_unix(self, path: str) -> trio.socket.SocketType:
        """Open a connection to a unix socket."""
        connection = trio.socket.socket(stdlib_socket.AF_UNIX, stdlib_socket.SOCK_STREAM)
        try:
            await connection.connect(path)
        except BaseException:
            connection.close()
            raise
        return connection

    async def start_program(
        self, argv: Sequence[str], environment: Mapping[str, str]
    ) -> tuple[trio.socket.SocketType, trio.Process]:
        """Start a program of ours that talks over its standard input; gives our end of that socket, and its process.

        It has a session of its own, `environment` and nothing else of ours but standard error. Raises OSError. The
        caller closes the socket and waits for the process.
        """
        ours, theirs = trio.socket.socketpair()
        try:
            with theirs:
                process = await trio.lowlevel.open_process(
                    argv,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    env=environment,
                    cwd="/",
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            raise
        return ours, process

    def listen_tcp(self, host: str, port: int, backlog: int) -> trio.socket.SocketType:
        """Listen on one numeric address; port 0 takes a free one. IPv6 listeners take IPv6 only."""
        family = stdlib_socket.AF_INET6 if ":" in host else stdlib_socket.AF_INET
        listener = stdlib_socket.socket(family, stdlib_socket.SOCK_STREAM)
        try:
            listener.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_REUSEADDR, 1)
            if family == stdlib_socket.AF_INET6:
                listener.setsockopt(stdlib_socket.IPPROTO_IPV6, stdlib_socket.IPV6_V6ONLY, 1)
            listener.bind((host, port))
            listener.listen(backlog)
        except BaseException:
            listener.close()
            raise
        return trio.socket.from_stdlib_socket(listener)

    def listen_unix(self, path: str, backlog: int) -> trio.socket.SocketType:
        """Listen on a unix socket; the caller has removed a stale one and sets the mode."""
        listener = stdlib_socket.socket(stdlib_socket.AF_UNIX, stdlib_socket.SOCK_STREAM)
        try:
            listener.bind(path)
            listener.listen(backlog)
        except BaseException:
            listener.close()
            raise
        return trio.socket.from_stdlib_socket(listener)

    def is_answered(self, path: str) -> bool:
        """Tell whether somebody listens on the unix socket at `path`; False for one that its owner left behind."""
        with stdlib_socket.socket(stdlib_socket.AF_UNIX, stdlib_socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            return probe.connect_ex(path) != errno.ECONNREFUSED

    def adopt_listener(self, descriptor: int) -> trio.socket.SocketType:
        """Take over a listening socket that systemd (or a parent) opened; closing it here leaves theirs open.

        Raises OSError (EINVAL) if it is no listening stream socket.
        """
        listener = stdlib_socket.socket(fileno=descriptor)
        listening = listener.getsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_ACCEPTCONN)
        if listener.type != stdlib_socket.SOCK_STREAM or not listening:
            listener.close()
            raise OSError(errno.EINVAL, "the socket that was passed does not listen for connections")
        return trio.socket.from_stdlib_socket(listener)

    async def accept(self, listener: trio.socket.SocketType) -> tuple[Socket, object]:
        """Take one connection, as a non-blocking socket, and its peer's name as the kernel gives it. Raises OSError.

        The bare socket, because a read or write through trio's costs a checkpoint even where nothing waits.
        """
        connection, peer = await listener.accept()
        bare = stdlib_socket.socket(fileno=connection.detach())
        bare.setblocking(False)
        return bare, peer

    def notify_supervisor(self, address: str, datagram: bytes) -> None:
        """Send one datagram to the service manager's socket (sd_notify protocol). Raises OSError."""
        with stdlib_socket.socket(stdlib_socket.AF_UNIX, stdlib_socket.SOCK_DGRAM) as channel:
            channel.connect("\0" + address[1:] if address.startswith("@") else address)
            channel.send(datagram)

    async def start_worker(
        self, command: Sequence[str], environ: Mapping[str, str]
    ) -> tuple[trio.Process, trio.socket.SocketType]:
        """Start a process, leader of its own session, with one end of a socket as standard input; give the other.

        Its standard output and error are one stream, `process.stdout`; nothing else of ours is open in it.
        Raises OSError.
        """
        ours, theirs = stdlib_socket.socketpair()
        try:
            process = await trio.lowlevel.open_process(
                command,
                stdin=theirs.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=dict(environ),
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return process, trio.socket.from_stdlib_socket(ours)

    def kill_session(self, leader: int) -> None:
        """Kill a process and all of its group; nothing happens if none is left."""
        with suppress(ProcessLookupError):
            os.killpg(leader, signal.SIGKILL)

    @staticmethod
    def ask_worker(
        command: Sequence[str], environ: Mapping[str, str], question: bytes, seconds: float, bytes_max: int
    ) -> tuple[bytes, int | None]:
        """Start such a process, send `question`, wait for the end of its answer, all within `seconds`; then kill it.

        Blocks: not for the loop's thread while events are taken. Gives what was answered, at most `bytes_max` bytes
        and perhaps cut, and the exit status (negative: the signal), or None if it had to be killed. Its output is
        thrown away.
        """
        ours, theirs = stdlib_socket.socketpair()
        until = time.monotonic() + seconds
        null = subprocess.DEVNULL
        with ours:
            with theirs:
                process = subprocess.Popen(  # noqa: S603 - our own interpreter
                    command, stdin=theirs.fileno(), stdout=null, stderr=null, start_new_session=True, env=dict(environ)
                )
            try:
                answer = _exchange(ours, question, until, bytes_max)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(until - time.monotonic(), 0.0))
                return answer, process.returncode
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _addresses_of(host: str) -> Answers:
    found = stdlib_socket.getaddrinfo(host, None, type=stdlib_socket.SOCK_STREAM)
    return [(family, str(address[0])) for family, _, _, _, address in found]


def _exchange(connection: Socket, question: bytes, until: float, bytes_max: int) -> bytes:
    answer = b""
    try:
        connection.settimeout(max(until - time.monotonic(), 0.001))
        connection.sendall(question)
        while len(answer) < bytes_max:
            connection.settimeout(max(until - time.monotonic(), 0.001))
            piece = connection.recv(min(65536, bytes_max - len(answer)))
            if not piece:
                break
            answer += piece
    except OSError:  # it ended, or took too long: the caller judges what there is
        pass
    return answer
