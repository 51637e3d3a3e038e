"""Bytes of one connection under hypercorn: a trio stream, plain or under TLS, that several tasks may write to.

The listener's own `gateway.wire.channel` has one task for a connection; hypercorn's HTTP/2 has many.
"""

import ssl
from contextlib import suppress
from typing import Final, cast

import trio

from gateway.runtime import Socket
from gateway.wire.channel import RESET
from gateway.wire.limits import RECEIVE_BYTES
from gateway.wire.tls import ServerContext


def _over_tls(transport: trio.SocketStream, context: ServerContext) -> "trio.SSLStream[trio.SocketStream]":
    # trio calls nothing of it but wrap_bio.
    return trio.SSLStream(transport, cast(ssl.SSLContext, context), server_side=True, https_compatible=True)


_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


class Stream:
    """A socket that was accepted; made with the context of its TLS, if it speaks that."""

    def __init__(self, socket: Socket, context: ServerContext | None) -> None:
        self._transport = trio.SocketStream(trio.socket.from_stdlib_socket(socket))
        self._tls = _over_tls(self._transport, context) if context else None
        self.certificates: tuple[bytes, ...] = ()
        """What the peer showed in the handshake, if it was asked."""
        self._writing = trio.Lock()
        self._receiving = trio.CancelScope()
        self._stopped = False

    @property
    def encrypted(self) -> bool:
        """True under TLS."""
        return self._tls is not None

    @property
    def server(self) -> tuple[str, int] | None:
        """The address that was connected to; None for a unix socket."""
        name = self._transport.socket.getsockname()
        return (name[0], name[1]) if isinstance(name, tuple) else None

    async def open(self) -> str:
        """Shake hands; gives the protocol that was agreed on. Raises OSError or trio.BrokenResourceError."""
        if self._tls is None:
            return ""
        await self._tls.do_handshake()
        self.certificates = getattr(self._tls._ssl_object, "chain", ())  # noqa: SLF001 - trio forwards fixed names only
        return self._tls.selected_alpn_protocol() or ""

    async def receive(self) -> bytes:
        """Wait for bytes; empty at the end, whoever made it."""
        if self._stopped:
            return b""
        with trio.CancelScope() as self._receiving, suppress(*_GONE):
            return bytes(await (self._tls or self._transport).receive_some(RECEIVE_BYTES))
        return b""

    def stop_reading(self) -> None:
        """Make `receive` see an end. Under TLS an end without farewell would let us answer no more."""
        if self._tls:
            self._stopped = True
            self._receiving.cancel()
        else:
            with suppress(OSError):  # the peer was faster
                self._transport.socket.shutdown(trio.socket.SHUT_RD)

    async def send(self, data: bytes, seconds: float) -> bool:
        """Send all of `data`; False if the other side is gone, or has not taken it in time."""
        with trio.move_on_after(seconds), suppress(*_GONE):
            async with self._writing:
                await (self._tls or self._transport).send_all(data)
                return True
        return False

    async def finish(self) -> None:
        """Say that nothing more will be sent."""
        async with self._writing:
            with suppress(*_GONE):
                await self._transport.send_eof()

    def reset(self) -> None:
        """Close, and drop what is unsent."""
        self._transport.socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, RESET)
        self._transport.socket.close()

    def close(self) -> None:
        """Close, without waiting for anything."""
        self._transport.socket.close()
