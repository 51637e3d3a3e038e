"""An HTTP server that does what it is told: each connection is played by a coroutine of the test's."""

import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """The server's side of one connection."""

    def __init__(self, server, raw, stream):
        self.server = server
        self._raw = raw
        self._stream = stream
        self._buffer = b""

    async def request(self):
        """Read one request and note it; None at the end of the connection."""
        while b"\r\n\r\n" not in self._buffer:
            if not await self._fill():
                return None
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        line, *lines = head.split(b"\r\n")
        pairs = [entry.split(b": ", 1) for entry in lines]
        length = next((int(value) for name, value in pairs if name == b"Content-Length"), 0)
        while len(rest) < length:
            if not await self._fill():
                return None
            rest = self._buffer.partition(b"\r\n\r\n")[2]
        self._buffer = rest[length:]
        request = Seen(line, {name.decode().lower(): value.decode("latin-1") for name, value in pairs}, rest[:length])
        self.server.requests.append(request)
        return request

    async def send(self, data):
        await self._stream.send_all(data)

    async def read(self):
        return await self._stream.receive_some(65536)

    async def send_raw(self, data):
        """Send beside TLS."""
        await self._raw.send(data)

    def reset(self):
        """End the connection with a RST."""
        self._raw.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._raw.close()

    async def _fill(self):
        data = await self._stream.receive_some(65536)
        self._buffer += data
        return bool(data)


@dataclass
class Seen:
    line: bytes
    headers: dict[str, str]
    body: bytes


@dataclass
class Hostile:
    port: int
    connections: int = 0
    requests: list[Seen] = field(default_factory=list)

    def url(self, path="/hooks"):
        return f"http://127.0.0.1:{self.port}{path}"


def replies(*texts):
    """Answer the requests of a connection with these replies, the last one again and again."""

    async def play(peer):
        left = list(texts)
        while await peer.request():
            await peer.send(left.pop(0) if len(left) > 1 else left[0])

    return play


@asynccontextmanager
async def hostile(play, context=None, unix=None):
    """Serve on loopback; `play(peer)` plays each connection, and the connection ends with it."""
    listener = trio.socket.socket(trio.socket.AF_UNIX if unix else trio.socket.AF_INET)
    await listener.bind(unix or ("127.0.0.1", 0))
    listener.listen(64)
    server = Hostile(0 if unix else listener.getsockname()[1])

    async def one(raw):
        stream = trio.SocketStream(raw)
        if context:
            stream = trio.SSLStream(stream, context, server_side=True)
        try:
            await play(Peer(server, raw, stream))
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            pass
        finally:
            raw.close()

    async def accept(nursery):
        while True:
            raw, _ = await listener.accept()
            server.connections += 1
            nursery.start_soon(one, raw)

    failure = None
    with listener:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept, nursery)
            try:
                yield server
            except Exception as error:  # noqa: BLE001 - raised below, so that the nursery does not wrap it
                failure = error
            nursery.cancel_scope.cancel()
    if failure:
        raise failure
