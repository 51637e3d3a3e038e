"""Connections of the listener in memory: what a peer sends is a list of pieces, what it gets is kept.

The listener's own code runs above it, TLS too; below it there is no kernel, so that a million connections take minutes.
A `Wire` stands where the listener has an accepted socket.
"""

from collections import deque
from collections.abc import Callable, Iterable

import trio

from gateway.wire.channel import PlainChannel, TlsChannel
from gateway.wire.connection import Connection
from gateway.wire.limits import RECEIVE_BYTES
from gateway.wire.state import Handler, ServerState
from gateway.wire.tls import ServerTls


class Wire:
    """One accepted connection, as its peer plays it: all pieces, then the end of input."""

    family = 0

    def __init__(
        self, pieces: Iterable[bytes], answer: Callable[[bytes], None] | None = None, agreed: str = ""
    ) -> None:
        """`answer` is told what the server sends, and may append to `pieces`; `agreed` is the protocol of a TLS."""
        self.agreed = agreed
        self.pieces = deque(pieces)
        self.sent = bytearray()
        self.closed = False
        self.answer = answer

    def fileno(self) -> int:
        return -1

    def recv(self, size: int) -> bytes:
        if not self.pieces:
            return b""
        piece = self.pieces.popleft()
        if len(piece) > size:
            self.pieces.appendleft(piece[size:])
        return piece[:size]

    def send(self, data: bytes) -> int:
        if self.closed:
            raise ConnectionResetError("sent on a closed connection")
        self.sent += data
        if self.answer:
            self.answer(bytes(data))
        return len(data)

    def shutdown(self, _how: int) -> None:
        pass

    def setsockopt(self, *_option: object) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class MemoryChannel(PlainChannel):
    """A channel over a `Wire`, which never has to be waited for."""

    __slots__ = ()

    async def receive(self, size: int) -> bytes:
        return self._socket.recv(size)


class MemoryTlsChannel(TlsChannel, MemoryChannel):
    """The same under the listener's TLS."""

    __slots__ = ()


def connection(wire: Wire, peer: str, state: ServerState, handler: Handler, tls: ServerTls | None = None) -> Connection:
    """Make the listener's own connection over `wire`; `run` it to its end."""
    channel = MemoryChannel(wire) if tls is None else MemoryTlsChannel(wire, tls.context)  # type: ignore[arg-type]
    return Connection(channel, peer, None, state, handler)


def statuses(sent: bytes) -> list[int]:
    """Give the status of each reply, interim ones too."""
    return [int(piece[:3]) for piece in bytes(sent).split(b"HTTP/1.1 ")[1:]]


class MemoryStream:
    """What a connection under hypercorn has for its stream, over a `Wire`; put it in the place of that class."""

    def __init__(self, wire: Wire, context: object) -> None:
        self._wire = wire
        self._stopped = False
        self.encrypted = context is not None
        self.certificates: tuple[bytes, ...] = ()
        self.server = ("127.0.0.1", 443)

    async def open(self) -> str:
        return self._wire.agreed

    async def receive(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return b"" if self._stopped else self._wire.recv(RECEIVE_BYTES)

    def stop_reading(self) -> None:
        self._stopped = True

    async def send(self, data: bytes, _seconds: float) -> bool:
        await trio.lowlevel.checkpoint()
        if self._wire.closed:
            return False
        self._wire.send(data)
        return True

    async def finish(self) -> None:
        pass

    def reset(self) -> None:
        self._wire.close()

    def close(self) -> None:
        self._wire.close()
