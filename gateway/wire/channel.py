"""Bytes of one connection: a non-blocking socket, plain or under TLS.

Reads wait by `wait_readable`, writes go out at once as far as the kernel takes them. Only the connection's own task may
use a channel, but for `stop_reading` and `abort`: those wake the task instead of cancelling it, which would reach into
a handler.
"""

import ssl
import struct
from typing import Final, Protocol

import trio
from trio.lowlevel import wait_readable, wait_writable

from gateway.runtime import Socket
from gateway.wire.tls import ServerContext

_RAW_BYTES: Final = 16 * 1024
RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, for no time: what is unsent is dropped and the peer gets a reset."""
_UNSENT_BYTES: Final = 64 * 1024
"""What TLS may want to say while the client takes nothing (key updates); then the connection ends."""


class Channel(Protocol):
    """What a connection needs of its socket. Raises OSError (TLS errors are) when the peer is gone or wrong."""

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """What the peer showed in the handshake, if it was asked (`Request.certificates`); known once it is open."""

    async def open(self) -> None:
        """Shake hands."""

    async def receive(self, size: int) -> bytes:
        """Wait for at most `size` bytes; empty at the end."""

    async def discard(self) -> int:
        """Wait for bytes and drop them; 0 at the end."""

    def send_nowait(self, data: bytes) -> bool:
        """Send `data`, True if all of it went; what did not waits for `flush`."""

    async def flush(self) -> None:
        """Wait until all that was sent is gone."""

    def finish(self) -> None:
        """Say that nothing more will be sent."""

    def stop_reading(self) -> None:
        """Make `receive` return empty once what has arrived is read."""

    def abort(self) -> None:
        """Make every wait end; closing will then reset the connection."""

    def close(self) -> None:
        """Close the socket."""


class PlainChannel:
    """A socket as it is."""

    __slots__ = ("_descriptor", "_socket", "_unsent", "certificates")

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._descriptor = socket.fileno()
        self._unsent = b""
        self.certificates: tuple[bytes, ...] = ()

    async def open(self) -> None:
        """Nothing to do."""

    async def receive(self, size: int) -> bytes:
        """Wait for at most `size` bytes; empty at the end."""
        while True:
            await wait_readable(self._descriptor)
            try:
                return self._socket.recv(size)
            except BlockingIOError:
                continue

    async def discard(self) -> int:
        """Wait for bytes and drop them; 0 at the end."""
        return len(await self.receive(_RAW_BYTES))

    def send_nowait(self, data: bytes) -> bool:
        """Send `data`, True if all of it went; what did not waits for `flush`."""
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent == len(data):
            return True
        self._unsent = data[sent:]
        return False

    async def flush(self) -> None:
        """Wait until all that was sent is gone."""
        unsent = memoryview(self._unsent)
        while unsent:
            await wait_writable(self._descriptor)
            try:
                unsent = unsent[self._socket.send(unsent) :]
            except BlockingIOError:
                continue
        self._unsent = b""

    def finish(self) -> None:
        """Say that nothing more will be sent."""
        self._socket.shutdown(trio.socket.SHUT_WR)

    def stop_reading(self) -> None:
        """Make `receive` return empty once what has arrived is read."""
        _shut(self._socket, trio.socket.SHUT_RD)

    def abort(self) -> None:
        """Make every wait end; closing will then reset the connection."""
        self._socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, RESET)
        _shut(self._socket, trio.socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class TlsChannel(PlainChannel):
    """The server's side of TLS over a socket."""

    __slots__ = ("_incoming", "_outgoing", "_tls")

    def __init__(self, socket: Socket, context: ServerContext) -> None:
        super().__init__(socket)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def open(self) -> None:
        """Shake hands."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._drain()
                if not await self._fill():
                    raise ConnectionError("the client left within the handshake") from None
            except ssl.SSLError:
                self._push()  # the alert that tells the client why
                raise
            else:
                self.certificates = getattr(self._tls, "chain", ())
                return await self._drain()

    async def receive(self, size: int) -> bytes:
        """Wait for at most `size` bytes; empty at the end."""
        while True:
            try:
                return self._tls.read(size)
            except ssl.SSLWantReadError:
                if not self._push() and len(self._unsent) > _UNSENT_BYTES:
                    raise ConnectionError("TLS answers pile up at a client that takes none") from None
                if not await self._fill():
                    return b""  # OpenSSL is not told of an end without farewell: it would let us answer no more
            except ssl.SSLZeroReturnError:
                return b""

    async def discard(self) -> int:
        """Wait for bytes and drop them; 0 at the end."""
        return len(await super().receive(_RAW_BYTES))

    def send_nowait(self, data: bytes) -> bool:
        """Send `data`, True if all of it went; what did not waits for `flush`."""
        self._tls.write(data)
        return self._push()

    def finish(self) -> None:
        """Say that nothing more will be sent."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            self._push()  # the client's own farewell is not waited for
        super().finish()

    def _push(self) -> bool:
        """Hand to the kernel what TLS has to say; True if it took all."""
        said = self._unsent + self._outgoing.read()
        self._unsent = b""
        return not said or super().send_nowait(said)

    async def _drain(self) -> None:
        if not self._push():
            await self.flush()

    async def _fill(self) -> int:
        return self._incoming.write(await super().receive(_RAW_BYTES))


def _shut(socket: Socket, how: int) -> None:
    try:
        socket.shutdown(how)
    except OSError:
        return  # the peer was faster
