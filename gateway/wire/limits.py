"""The limits of the listener: what one connection, one peer and all of them together may cost.

Only values; `connection` and `listener` enforce them. The limit of one body is not here: the handler names it by path.
"""

from dataclasses import dataclass
from typing import Final

SWEEP_SECONDS: Final = 0.25
"""How often deadlines are looked at: every deadline is kept to within this much."""
BODY_RATE_GRACE_SECONDS: Final = 5.0
"""How long a body may arrive below the minimum rate before that counts."""
PATIENCE_SECONDS: Final = 1.0
"""How long a peer may be in the middle of a handshake, a request or a reply while others have no connection: then its
connection makes room for theirs. Without it, a few addresses with slow requests would keep all senders out until the
deadlines end them, and begin again.
"""
LAST_HANDSHAKE_SECONDS: Final = 1.0
"""How long a handshake may still take once the server drains."""
LINGER_SECONDS: Final = 0.5
"""How long the client gets to take a last reply before the connection goes."""
LINGER_BYTES: Final = 1024 * 1024
"""How much of what it still sends is thrown away meanwhile, so that a reset does not destroy the reply."""
SEND_BUFFER_BYTES: Final = 64 * 1024
"""What the kernel keeps, twice over, of answers that a client does not read: ours are short. By itself it would keep
megabytes of each connection, and until they are full nobody would notice that nothing is read.
"""
RECEIVE_BYTES: Final = 16 * 1024
ACCEPT_PAUSE_SECONDS: Final = 0.1
"""How long accepting rests when the machine has no descriptor or memory left."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the listener allows. Bytes, seconds, counts."""

    header_bytes: int = 16 * 1024
    """Request line and headers together; more is 431."""
    header_count: int = 100
    header_seconds: float = 10.0
    """From the first byte of a request to the end of its headers, in all. Also for a handshake and a first byte."""
    body_seconds: float = 30.0
    """From the end of the headers to the end of the body, in all."""
    body_rate: float = 100.0
    """Bytes a second that a body must arrive with, on average, once five seconds have passed."""
    idle_seconds: float = 75.0
    """How long a connection may wait for its next request."""
    send_seconds: float = 10.0
    """How long the client may take to accept a reply; then the connection is reset."""
    connections: int = 2048
    connections_per_peer: int = 256
    """For one IPv4 address or IPv6 /64. Trusted proxies and unix sockets are exempt."""
    body_memory: int = 64 * 1024 * 1024
    """Bytes of request bodies held at once, over all connections; what would exceed it is 503."""
