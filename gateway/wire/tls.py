"""The listener's side of TLS: its certificate, and what it accepts (1.2 at least, HTTP/1.1 unless told).

Makes `ssl.SSLContext`s; opens no connection (`channel` does). What the client checks is in `client_tls`.
"""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.errors import ConfigError


class ServerContext(Protocol):
    """What makes the TLS of a connection: an `ssl.SSLContext`, or one that asks for the client's certificate."""

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, server_side: bool = ...) -> "ServerSide":
        """Make it; the connection's bytes come and go by the two buffers."""
        ...


class ServerSide(Protocol):
    """TLS of one connection, as `ssl.SSLObject` has it."""

    def do_handshake(self) -> None:
        """Shake hands. Raises ssl.SSLWantReadError until it is done."""
        ...

    def read(self, size: int, /) -> bytes:
        """Give what has arrived. Raises ssl.SSLWantReadError if nothing has."""
        ...

    def write(self, data: bytes, /) -> int:
        """Take what is to be sent."""
        ...

    def unwrap(self) -> object:
        """Say farewell."""
        ...


@dataclass(slots=True)
class ServerTls:
    """The certificate of a listener. A new context put in its place serves the next handshakes only."""

    context: ServerContext


def asking_context(cert: str, key: str, protocols: Sequence[str] = ("http/1.1",)) -> ServerContext:
    """Do as `server_context`, and ask clients for a certificate. Raises ConfigError."""
    from gateway.wire.asking_tls import AskingContext  # noqa: PLC0415 - OpenSSL once more, for whom needs it

    server_context(cert, key, protocols)  # tells what is wrong with the files
    return AskingContext(cert, key, protocols)


def server_context(cert: str, key: str, protocols: Sequence[str] = ("http/1.1",)) -> ssl.SSLContext:
    """Load a listener's certificate chain and key, PEM files; offer `protocols` by ALPN. Raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(list(protocols))
    try:
        # Without a callback OpenSSL would ask for a passphrase on the terminal.
        context.load_cert_chain(cert, key, password=lambda: "")
    except OSError as error:
        raise ConfigError(
            [f"TLS certificate {cert} with key {key}: expected PEM files that belong together, no passphrase; {error}"]
        ) from error
    return context
