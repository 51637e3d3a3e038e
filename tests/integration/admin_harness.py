"""A guard on a real unix socket, in process, with a small Quart application behind it."""

from contextlib import asynccontextmanager

import trio
from quart import request
from quart_trio import QuartTrio

from gateway.admin.guard import FAULT, admin_server
from gateway.admin.limits import ADMIN_LIMITS, GRACE_SECONDS
from gateway.runtime import Runtime
from gateway.wire.listener import Listener

GET = b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n"
BIG = 32 * 1024 * 1024


def small_app():
    app = QuartTrio("small")
    app.entered = trio.Event()
    app.leave = trio.Event()
    app.finished = []

    @app.get("/hello")
    async def hello():
        return "hello"

    @app.post("/echo")
    async def echo():
        return await request.get_data()

    @app.get("/wait")
    async def wait():
        app.entered.set()
        await app.leave.wait()
        app.finished.append("wait")
        return "waited"

    @app.get("/big")
    async def big():
        return b"x" * BIG

    return app


class Peer:
    """A client that sends bytes as they are."""

    def __init__(self, stream):
        self.stream = stream

    async def send(self, data):
        await self.stream.send_all(data)

    async def read(self):
        """Read one answer's bytes as far as they come together; empty at the end of the connection."""
        try:
            return await self.stream.receive_some(65536)
        except trio.BrokenResourceError:
            return b""

    async def read_all(self):
        """Read until the other side closes."""
        found = b""
        while piece := await self.read():
            found += piece
        return found

    async def ask(self, data):
        """Send a request on a connection that stays open and read its answer, head and body."""
        await self.send(data)
        found = b""
        while b"\r\n\r\n" not in found:
            piece = await self.read()
            if not piece:
                return found
            found += piece
        head, _, body = found.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += await self.read()
        return head + b"\r\n\r\n" + body


class Guarded:
    """A running admin server, as the tests look at it."""

    def __init__(self, server, nursery):
        self.server = server
        self._nursery = nursery

    @property
    def connections(self):
        return self.server.statistics().connections

    @property
    def failed(self):
        return self.server.statistics().refused.get(FAULT, 0)

    @property
    def refused(self):
        return dict(self.server.statistics().refused)

    def stop(self):
        self._nursery.start_soon(self.server.drain, GRACE_SECONDS)


@asynccontextmanager
async def guarded(app, folder, limits=ADMIN_LIMITS):
    """Serve `app`; gives the server and a function that opens connections. Stops and closes everything at the end."""
    path = str(folder / "admin.sock")
    runtime = Runtime()
    server = admin_server(app, runtime, lambda _: None, limits)
    peers = []

    async def connect():
        peers.append(Peer(await trio.open_unix_socket(path)))
        return peers[-1]

    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, [Listener(runtime.listen_unix(path, 50))])
        try:
            yield Guarded(server, nursery), connect
        finally:
            for peer in peers:
                await trio.aclose_forcefully(peer.stream)
            nursery.start_soon(server.drain, GRACE_SECONDS)
