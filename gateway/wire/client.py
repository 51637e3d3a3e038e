"""The HTTP/1.1 client for all that leaves the gateway: one per target, with its own few keep-alive connections.

Strict and bounded: no redirects, no proxy that is not given, no `.netrc`, no cookies, no decompression. It connects
only to addresses that its `gateway.wire.guard` lets pass. What a status means is not decided here.

A kept connection may have been closed by the other side just before it was used again. If it ends before one byte of
the reply, the request is sent once more on a new connection; the other side may then see it twice, which is within the
gateway's promise of at least once.
"""

import re
from collections import deque
from collections.abc import Iterable
from typing import Final

import trio

from gateway.runtime import Runtime
from gateway.wire.client_tls import TlsOptions, client_context
from gateway.wire.dial import Way, dial
from gateway.wire.exchange import BODY_SECONDS, Connection, SilentEndError
from gateway.wire.failures import WireError
from gateway.wire.guard import Guard
from gateway.wire.http_reply import MAX_BODY, HttpReply
from gateway.wire.proxy import Proxy
from gateway.wire.url import Url, check_target, parse_url

__all__ = ["HttpClient", "HttpReply", "TlsOptions", "Url", "WireError", "check_headers", "parse_url"]

IDLE_SECONDS: Final = 60.0
"""A connection unused for longer is not used again: firewalls forget it without a word."""

_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OWN: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "expect", "te", "upgrade", "trailer"}
)
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def check_headers(headers: Iterable[tuple[str, str]]) -> str:
    """Write headers as they are sent, each with its line end.

    Raises ValueError, without quoting the value, for a name that is no token or that the client writes by itself, and
    for a value with a control character or one beyond Latin-1.
    """
    lines = []
    for name, value in headers:
        if not _TOKEN.fullmatch(name) or name.lower() in _OWN:
            raise ValueError(
                f"header {name[:80]!r} cannot be set: it is no header name, or the client writes it itself"
            )
        if not _VALUE.fullmatch(value):
            raise ValueError(
                f"the value of header {name[:80]!r} holds a line end or another character not allowed there"
            )
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines)


class HttpClient:
    """Sends requests to one place, given by its URL; at most `connections` at a time, the others wait."""

    def __init__(
        self,
        runtime: Runtime,
        url: Url,
        *,
        connections: int,
        tls: TlsOptions | None = None,
        headers: Iterable[tuple[str, str]] = (),
        guard: Guard | None = None,
        proxy: Proxy | None = None,
        reply_bytes: int = MAX_BODY,
        reply_seconds: float = BODY_SECONDS,
    ) -> None:
        """Get ready without connecting. Reads TLS files for https (OSError names the file), so call it in a thread.

        `headers` go out with every request; connections go where `guard` lets them, unless given where an operator's
        URL may lead, and through `proxy` if there is one. Raises ValueError for headers that cannot be sent.
        Of a reply's body the first `reply_bytes` are kept, and `reply_seconds` waited for after its head.
        """
        options = tls or TlsOptions()
        self._runtime = runtime
        self._url = url
        self._reply = (reply_bytes, reply_seconds)
        context = client_context(options) if url.tls else None
        self._way = Way(url, context, options.server_name or url.host, guard or Guard(), proxy)
        self._fixed = f" HTTP/1.1\r\nHost: {url.authority}\r\n{check_headers(headers)}"
        self._before_target = ""
        if proxy is not None and not self._way.tunnels:  # the proxy reads the request itself
            self._before_target = f"http://{url.authority}"
            self._fixed += proxy.header
        self._slots = trio.Semaphore(connections)
        self._idle: deque[tuple[float, Connection]] = deque()

    async def request(
        self, method: str, target: str | None = None, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> HttpReply:
        """Send one request and give the reply, whatever its status; `target` is the URL's path and query unless given.

        Raises WireError if no reply came, ValueError for a method, target or header that cannot be sent. It sets no
        limit to the whole but the caller's cancel scope; cancelling closes the connection.
        """
        data = self._encode(method, target, headers, body)
        try:
            self._slots.acquire_nowait()
        except trio.WouldBlock:
            await self._slots.acquire()
        try:
            return await self._send(data, body)
        finally:
            self._slots.release()

    def close(self) -> None:
        """Close all idle connections; requests that run keep theirs until they end."""
        while self._idle:
            self._idle.popleft()[1].close()

    def rest(self) -> None:
        """Close the idle connections that would not be used again: too old, or ended from there."""
        self._close_old()
        for _ in range(len(self._idle)):
            since, connection = self._idle.popleft()
            if connection.quiet():
                self._idle.append((since, connection))
            else:
                connection.close()

    def _encode(self, method: str, target: str | None, headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
        if method not in _METHODS:
            raise ValueError(f"method {method[:20]!r} cannot be sent: expected one of {', '.join(sorted(_METHODS))}")
        path = self._url.target if target is None else check_target(target)
        length = f"Content-Length: {len(body)}\r\n" if body or method not in ("GET", "DELETE", "OPTIONS") else ""
        return f"{method} {self._before_target}{path}{self._fixed}{check_headers(headers)}{length}\r\n".encode(
            "latin-1"
        )

    async def _send(self, head: bytes, body: bytes) -> HttpReply:
        connection = self._take()
        if connection is not None:
            try:
                return await self._exchange(connection, head, body)
            except SilentEndError:
                pass  # it was closed while it was idle, as far as anybody can tell
        stream = await dial(self._runtime, self._way)
        return await self._exchange(Connection(stream, self._url.place, *self._reply), head, body)

    async def _exchange(self, connection: Connection, head: bytes, body: bytes) -> HttpReply:
        try:
            reply = await connection.exchange(head, body)
        except BaseException:
            connection.close()
            raise
        if connection.reusable:
            self._idle.append((self._runtime.monotonic(), connection))
        else:
            connection.close()
        return reply

    def _take(self) -> Connection | None:
        """Give the connection used last, if it is young enough and silent; those that are not are closed."""
        self._close_old()
        while self._idle:
            _, connection = self._idle.pop()
            if connection.quiet():
                return connection
            connection.close()
        return None

    def _close_old(self) -> None:
        oldest = self._runtime.monotonic() - IDLE_SECONDS
        while self._idle and self._idle[0][0] < oldest:
            self._idle.popleft()[1].close()
