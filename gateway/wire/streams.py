"""A connection as a stream of bytes: a plain trio socket, or TLS over one.

Errors of the connection are OSError (`ssl.SSLError` is one). Nothing here waits with a limit of its own: the caller's
cancel scope ends a wait, and a stream whose wait was cancelled is only good for `close`.
"""

import ssl
from typing import Final, Protocol

import trio

RECEIVE_SIZE: Final = 16 * 1024


class Stream(Protocol):
    """What the client needs of a connection."""

    async def send_all(self, data: bytes) -> None:
        """Send everything."""
        ...

    async def receive(self) -> bytes:
        """Give the next bytes, at most 16 KiB; empty at the end."""
        ...

    def quiet(self) -> bool:
        """Tell whether the other side has neither sent anything that is still unread nor closed the connection."""
        ...

    def close(self) -> None:
        """Close at once; may be called again."""
        ...


class PlainStream:
    """A connected trio socket."""

    def __init__(self, connection: trio.socket.SocketType) -> None:
        self._socket = connection

    async def send_all(self, data: bytes) -> None:
        """See `Stream`."""
        sent = await self._socket.send(data)
        while sent < len(data):
            sent += await self._socket.send(memoryview(data)[sent:])

    async def receive(self) -> bytes:
        """See `Stream`."""
        return await self._socket.recv(RECEIVE_SIZE)

    def quiet(self) -> bool:
        """See `Stream`."""
        return not self._socket.is_readable()

    def close(self) -> None:
        """See `Stream`."""
        self._socket.close()


class TlsStream:
    """TLS as a client over a connected trio socket; `handshake` comes first."""

    def __init__(self, plain: PlainStream, context: ssl.SSLContext, server_name: str) -> None:
        self._plain = plain
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    async def handshake(self) -> None:
        """Prove who the server is. Raises `ssl.SSLError`, above all SSLCertVerificationError."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            else:
                return await self._flush()

    async def send_all(self, data: bytes) -> None:
        """See `Stream`."""
        self._tls.write(data)
        await self._flush()

    async def receive(self) -> bytes:
        """See `Stream`."""
        while True:
            try:
                return self._tls.read(RECEIVE_SIZE)
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    def quiet(self) -> bool:
        """See `Stream`."""
        return not self._tls.pending() and not self._incoming.pending and self._plain.quiet()

    def close(self) -> None:
        """See `Stream`. No closing alert: the reply's own framing tells where it ends."""
        self._plain.close()

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._plain.send_all(self._outgoing.read())

    async def _fill(self) -> None:
        data = await self._plain.receive()
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
