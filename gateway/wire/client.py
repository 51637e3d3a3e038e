"""Placeholder being written: names only."""

from dataclasses import dataclass
from typing import NamedTuple

from gateway.core.model import Headers
from gateway.wire.failures import WireError

__all__ = ["HttpClient", "HttpReply", "TlsOptions", "WireError"]


class HttpReply(NamedTuple):
    """A reply."""

    status: int
    headers: Headers
    body: bytes
    truncated: bool


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """How to check a server and what to show it."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    server_name: str | None = None


class HttpClient:
    """A client."""
