"""An HTTP proxy between us and an endpoint: what it is, and the tunnel through it (RFC 9110, 9.3.6).

It is only ever one that an operator wrote for a target; what the environment says is not read.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from gateway.wire.failures import ProxyError
from gateway.wire.streams import Stream
from gateway.wire.url import Url

HEAD_BYTES_MAX: Final = 16 * 1024

_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([2-5][0-9]{2})(?: [^\r\n]*)?\r\n")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that is spoken to in plain HTTP."""

    url: Url
    """Where it listens; its path is not used."""
    authorization: str = field(default="", repr=False)
    """The value of Proxy-Authorization; empty: none is sent."""

    @property
    def header(self) -> str:
        """The header that goes to the proxy, with its line end, or nothing."""
        return f"Proxy-Authorization: {self.authorization}\r\n" if self.authorization else ""


async def open_tunnel(stream: Stream, proxy: Proxy, host: str, port: int) -> None:
    """Have the proxy connect `stream` to `host`. Raises ProxyError if it does not, OSError if the stream fails."""
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    await stream.send_all(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{proxy.header}\r\n".encode("latin-1"))
    head = b""
    while b"\r\n\r\n" not in head:
        received = await stream.receive()
        head += received
        if not received or len(head) > HEAD_BYTES_MAX:
            raise ProxyError(f"{proxy.url.place} ended the connection, or said too much, before a tunnel was open")
    found = _STATUS.match(head)
    if not found:
        raise ProxyError(f"{proxy.url.place} is no HTTP proxy: its answer to CONNECT is no HTTP/1.1")
    if found[1] == b"407":
        raise ProxyError(f"{proxy.url.place} wants other credentials (HTTP 407): check user and password of proxy")
    if not found[1].startswith(b"2"):
        raise ProxyError(f"{proxy.url.place} opened no tunnel to {authority}: HTTP {found[1].decode()}")
    if not head.endswith(b"\r\n\r\n") or head.count(b"\r\n\r\n") > 1:
        raise ProxyError(f"{proxy.url.place} sent something before anybody was asked: not a proxy to be trusted")
