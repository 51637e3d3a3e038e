"""A server on loopback with a handler that remembers, and raw clients: what the tests of the listener share."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gateway.asgi.connection import over_hypercorn
from gateway.core.model import Headers, Request
from gateway.ingress.asgi import asgi_app
from gateway.runtime import Runtime
from gateway.wire.limits import SWEEP_SECONDS
from gateway.wire.listener import Limits, Listener, Reply, Server, over_http1
from gateway.wire.tls import ServerTls

speaker = "own"
"""Who speaks HTTP in `serving`, as `[server] http` says; see the fixture `either_http`."""
HOST = b"Host: gateway.example\r\n"
GOOD = b"POST /hook HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello"


class Hooks:
    """The handler: one path, `/hook`, that takes `limit` bytes by POST; keeps what it was given."""

    def __init__(self, limit: int = 1024 * 1024) -> None:
        self.limit = limit
        self.taken: list[Request] = []
        self.answer: Callable[[Request], Reply] = lambda _: Reply(200, b"taken\n")
        self.gate = trio.Event()
        self.gate.set()

    def admit(self, method: str, path: str, headers: Headers) -> int | Reply:
        if path != "/hook":
            return Reply(404, b"not found\n")
        return self.limit if method == "POST" else Reply(405, b"no\n", headers=((b"Allow", b"POST"),))

    async def handle(self, request: Request) -> Reply:
        self.taken.append(request)
        await self.gate.wait()
        return self.answer(request)


@dataclass
class World:
    """A running server."""

    server: Server
    hooks: Hooks
    address: tuple[str, int]
    errors: list[Exception] = field(default_factory=list)

    async def connect(self, source: str = "127.0.0.1") -> trio.SocketStream:
        return await trio.open_tcp_stream(*self.address, local_address=source)

    async def say(self, raw: bytes) -> bytes:
        """Send `raw` on a connection of its own; give all that comes back until the server closes."""
        async with await self.connect() as stream:
            await stream.send_all(raw)
            return await read_all(stream)

    async def is_well(self) -> bool:
        """Say whether a good request on a new connection is served."""
        async with await self.connect() as stream:
            await stream.send_all(GOOD)
            return b"200" in await read_reply(stream)

    @property
    def refused(self) -> dict[str, int]:
        return dict(self.server.statistics().refused)


@asynccontextmanager
async def serving(
    hooks: Hooks | None = None,
    limits: Limits | None = None,
    *,
    trusted: Sequence[str] = (),
    tls: ServerTls | None = None,
    host: str = "127.0.0.1",
) -> AsyncIterator[World]:
    """Run a server; at the end drain it and see that nothing is left of any connection."""
    runtime = Runtime()
    socket = runtime.listen_tcp(host, 0, 4096)
    errors: list[Exception] = []
    hooks = hooks or Hooks()
    connect = over_hypercorn(asgi_app(hooks, runtime), hooks.admit) if speaker == "hypercorn" else over_http1(hooks)
    server = Server(connect, limits or Limits(), runtime, trusted, errors.append)
    async with trio.open_nursery() as nursery:
        address = socket.getsockname()[:2]
        await nursery.start(server.serve, [Listener(socket, tls)])
        yield World(server, hooks, address, errors)
        await server.drain(0)
    left = server.statistics()
    assert (left.connections, left.body_bytes) == (0, 0)


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    """Read to the end; a reset is an end too."""
    received = bytearray()
    try:
        async for piece in stream:
            received += piece
    except trio.BrokenResourceError:
        pass
    return bytes(received)


async def read_reply(stream: trio.abc.ReceiveStream) -> bytes:
    """Read one reply with a Content-Length."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = await stream.receive_some()
        assert piece, f"the server closed after {received!r}"
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        piece = await stream.receive_some()
        assert piece, f"the server closed within {body!r}"
        body += piece
    return head + b"\r\n\r\n" + body


async def let_pass(clock: MockClock, seconds: float) -> None:
    """Let virtual time pass in the sweeper's own steps."""
    for _ in range(round(seconds / SWEEP_SECONDS)):
        clock.jump(SWEEP_SECONDS)
        await wait_all_tasks_blocked()


def only_own(difference: str) -> None:
    """Leave a test out where hypercorn speaks: `difference` is known and documented."""
    if speaker != "own":
        pytest.skip(difference)
