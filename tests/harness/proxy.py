"""A real forward proxy on loopback: CONNECT and absolute-form, its own names, credentials, and ways to refuse.

It connects wherever it is asked to, as proxies do; `names` says what a name leads to, and every place that it was asked
for is noted before anything else happens.
"""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import trio


class Proxy:
    """The proxy's state: switches to set, what it was asked for to read."""

    def __init__(self) -> None:
        self.port = 0
        self.names: dict[str, tuple[str, int]] = {}
        """What "host:port" leads to; other places lead to themselves."""
        self.credentials = ""
        """`user:password` that it wants; empty: nobody is asked."""
        self.answer = b""
        """Said to every request instead of doing anything."""
        self.tunnels: list[str] = []
        """What CONNECT asked for."""
        self.forwarded: list[str] = []
        """Request lines in absolute form."""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def _converse(self, client: trio.SocketStream) -> None:
        async with client:
            try:
                head, rest = await _read_head(client)
                method, where, _ = head.split(b"\r\n")[0].decode("latin-1").split(" ")
                (self.tunnels if method == "CONNECT" else self.forwarded).append(where)
                if refusal := self._refuse(head):
                    await client.send_all(refusal)
                elif method == "CONNECT":
                    await self._tunnel(client, where)
                else:
                    await self._forward(client, where, head, rest)
            except (trio.BrokenResourceError, trio.ClosedResourceError, OSError, ValueError):
                return

    def _refuse(self, head: bytes) -> bytes:
        token = base64.b64encode(self.credentials.encode())
        if self.credentials and b"\r\nProxy-Authorization: Basic " + token not in head:
            return b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
        return self.answer

    async def _tunnel(self, client: trio.SocketStream, where: str) -> None:
        try:
            server = await self._open(where)
        except OSError:
            await client.send_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        await client.send_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await _relay(client, server)

    async def _forward(self, client: trio.SocketStream, where: str, head: bytes, rest: bytes) -> None:
        url = urlsplit(where)
        server = await self._open(f"{url.hostname}:{url.port or 80}")
        line, _, others = head.partition(b"\r\n")
        kept = [each for each in others.split(b"\r\n") if not each.lower().startswith(b"proxy-")]
        path = where.partition(url.netloc)[2].encode()
        first = line.replace(where.encode(), path)
        await server.send_all(b"\r\n".join([first, *kept]) + rest)
        await _relay(client, server)

    async def _open(self, where: str) -> trio.SocketStream:
        host, _, port = where.rpartition(":")
        return await trio.open_tcp_stream(*self.names.get(where, (host.strip("[]"), int(port))))


async def _read_head(client: trio.SocketStream) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        received = await client.receive_some(65536)
        if not received:
            raise ValueError("it left")
        data += received
    head, _, rest = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


async def _relay(client: trio.SocketStream, server: trio.SocketStream) -> None:
    async def one_way(source: trio.SocketStream, sink: trio.SocketStream, scope: trio.CancelScope) -> None:
        try:
            async for data in source:
                await sink.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        scope.cancel()

    async with server, trio.open_nursery() as nursery:
        nursery.start_soon(one_way, client, server, nursery.cancel_scope)
        nursery.start_soon(one_way, server, client, nursery.cancel_scope)


@asynccontextmanager
async def open_proxy() -> AsyncIterator[Proxy]:
    """Run a proxy for the length of a block."""
    proxy = Proxy()
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        proxy.port = listeners[0].socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, proxy._converse, listeners)
        try:
            yield proxy
        finally:
            nursery.cancel_scope.cancel()
