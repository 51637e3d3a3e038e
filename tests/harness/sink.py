"""A real HTTP server that plays the target of a delivery, with switches for every way a target can misbehave.

It records what arrived (webhook-id, digest of the body, when) before it misbehaves, because a target that fails may
well have taken the message. It runs in the test's own trio loop, on loopback, on a free port.
"""

import hashlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import httptools
import trio

REASONS = {
    200: "OK",
    204: "No Content",
    410: "Gone",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Unavailable",
}


class Fault(NamedTuple):
    """How the sink answers one request; the default is a plain 200."""

    status: int = 200
    delay: float = 0.0
    """Seconds before the answer."""
    hang: bool = False
    """Never answer; the connection stays open."""
    until: trio.Event | None = None
    """Answer only once this is set."""
    reset: bool = False
    """Close with a reset instead of an answer."""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    """What it says, where somebody reads that."""
    pause: float = 0.0
    """Seconds after each byte of the answer."""


FINE = Fault()


class Arrival(NamedTuple):
    """One message that reached the sink."""

    webhook_id: str
    digest: str
    """SHA-256 of the body, hex."""
    body: bytes
    path: str
    headers: dict[str, str]
    at: float
    """`trio.current_time()`."""
    fault: Fault
    """How it was answered."""
    method: str = "POST"


class Sink:
    """The server's state: switches to set, arrivals to read."""

    def __init__(self) -> None:
        self.fault = FINE
        """How to answer from now on."""
        self.choose: Callable[[Arrival], Fault] | None = None
        """Decides per arrival instead of `fault`."""
        self.arrivals: list[Arrival] = []
        self.port = 0
        self.overlaps: list[str] = []
        """Ids that came again while the connection of the try before was still open and had no answer."""
        self._live: dict[tuple[str, str], trio.socket.SocketType] = {}
        self._changed = trio.Event()
        self._listener: trio.socket.SocketType | None = None
        self._accepting: trio.CancelScope | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hooks"

    @property
    def taken(self) -> list[Arrival]:
        """The arrivals that were answered 2xx."""
        return [arrival for arrival in self.arrivals if _succeeds(arrival.fault)]

    async def wait(self, enough: Callable[["Sink"], bool], seconds: float) -> None:
        """Wait until `enough` is true of this sink, looked at after every arrival. Raises trio.TooSlowError."""
        with trio.fail_after(seconds):
            while not enough(self):
                self._changed = trio.Event()
                await self._changed.wait()

    async def wait_taken(self, count: int, seconds: float) -> None:
        """Wait until `count` arrivals were answered 2xx. Raises trio.TooSlowError."""
        await self.wait(lambda sink: len(sink.taken) >= count, seconds)

    async def serve(self, nursery: trio.Nursery) -> None:
        """Start listening (again, on the same port, after `close`)."""
        listener = trio.socket.socket()
        listener.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEADDR, 1)
        await listener.bind(("127.0.0.1", self.port))
        listener.listen(512)
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._accepting = await nursery.start(self._accept, listener)

    def close(self) -> None:
        """Refuse connections from now on; open ones end too."""
        if self._accepting is not None:
            self._accepting.cancel()

    async def _accept(
        self,
        listener: trio.socket.SocketType,
        task_status: trio.TaskStatus[trio.CancelScope] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        with trio.CancelScope() as scope, listener:
            async with trio.open_nursery() as connections:
                task_status.started(scope)
                while True:
                    connection, _ = await listener.accept()
                    connections.start_soon(self._converse, connection)

    async def _converse(self, connection: trio.socket.SocketType) -> None:
        reader = _Reader()
        with connection:
            try:
                while received := await connection.recv(65536):
                    reader.parser.feed_data(received)
                    while reader.complete:
                        if not await self._answer(connection, reader.complete.pop(0)):
                            return
            except (OSError, httptools.HttpParserError):
                return

    async def _answer(
        self, connection: trio.socket.SocketType, message: tuple[str, str, dict[str, str], bytes]
    ) -> bool:
        method, path, headers, body = message
        live = headers.get("webhook-id", ""), path
        if live in self._live and _is_open(self._live[live]):
            self.overlaps.append(live[0])
        self._live[live] = connection
        try:
            return await self._play(connection, method, path, headers, body)
        finally:
            if self._live.get(live) is connection:
                del self._live[live]

    async def _play(
        self, connection: trio.socket.SocketType, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> bool:
        digest = hashlib.sha256(body).hexdigest()
        name, now = headers.get("webhook-id", ""), trio.current_time()
        arrival = Arrival(name, digest, body, path, headers, now, self.fault, method)
        fault = self.choose(arrival) if self.choose else self.fault
        self.arrivals.append(arrival._replace(fault=fault))
        self._changed.set()
        if fault.hang:
            await trio.sleep_forever()
        if fault.until is not None:
            await fault.until.wait()
        if fault.delay:
            await trio.sleep(fault.delay)
        if fault.reset:
            connection.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            return False
        if fault.pause:
            for byte in _reply(fault):
                await _send(connection, bytes([byte]))
                await trio.sleep(fault.pause)
        else:
            await _send(connection, _reply(fault))
        return True


class _Reader:
    """Collects whole messages from one connection."""

    def __init__(self) -> None:
        self.complete: list[tuple[str, str, dict[str, str], bytes]] = []
        self.parser = httptools.HttpRequestParser(self)
        self._clear()

    def _clear(self) -> None:
        self._path, self._headers, self._body = b"", dict[str, str](), b""

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, piece: bytes) -> None:
        self._body += piece

    def on_message_complete(self) -> None:
        method = self.parser.get_method().decode()
        self.complete.append((method, self._path.decode("latin-1"), self._headers, self._body))
        self._clear()


def _is_open(connection: trio.socket.SocketType) -> bool:
    """True unless the peer has closed it or is gone."""
    if connection.fileno() < 0:
        return False
    with socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as same:
        try:
            return same.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False


def _succeeds(fault: Fault) -> bool:
    return 200 <= fault.status < 300 and not fault.hang and not fault.reset


def _reply(fault: Fault) -> bytes:
    lines = [f"HTTP/1.1 {fault.status} {REASONS.get(fault.status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in fault.headers]
    lines += [] if fault.status == 204 else [f"Content-Length: {len(fault.body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + fault.body


async def _send(connection: trio.socket.SocketType, data: bytes) -> None:
    while data:
        data = data[await connection.send(data) :]


@asynccontextmanager
async def open_sink() -> AsyncIterator[Sink]:
    """Run a sink for the length of a block."""
    sink = Sink()
    async with trio.open_nursery() as nursery:
        await sink.serve(nursery)
        try:
            yield sink
        finally:
            nursery.cancel_scope.cancel()
