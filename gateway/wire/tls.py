"""The listener's side of TLS: its certificate, and what it accepts (1.2 at least, HTTP/1.1 unless told).

Makes `ssl.SSLContext`s; opens no connection (`channel` does). What the client checks is in `client_tls`.
"""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import ConfigError


@dataclass(slots=True)
class ServerTls:
    """The certificate of a listener. A new context put in its place serves the next handshakes only."""

    context: ssl.SSLContext


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
