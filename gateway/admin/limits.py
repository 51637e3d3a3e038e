"""What one admin connection may cost; every limit has a number."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AdminLimits:
    """Limits of the admin listener. The defaults are the product's; tests shorten them."""

    connections: int = 32
    """At the same time; further ones are closed at once."""
    head_bytes: int = 16 * 1024
    """Request line and headers."""
    head_count: int = 64
    """Header lines."""
    body_bytes: int = 64 * 1024
    head_seconds: float = 10.0
    """From the connection's start, or the last answer, to the end of the next request's head: also the idle limit."""
    body_seconds: float = 10.0
    """From the end of the head to the end of the body."""
    request_seconds: float = 60.0
    """From the end of the head to the end of the answer."""
    write_seconds: float = 10.0
    """For one piece of an answer to be taken by the other side."""
    linger_seconds: float = 0.5
    """After the last answer, for the other side to read it and close."""
    grace_seconds: float = 5.0
    """At stop, for requests under way."""

    @property
    def raw_bytes(self) -> int:
        """Bytes on the wire that one request may take: head and body, with room for chunk framing."""
        return self.head_bytes + 4 * self.body_bytes
