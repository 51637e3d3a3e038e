"""One HTTP/1.1 reply to a request of ours, read within limits from whatever pieces the connection brings.

Interim replies (1xx) are skipped; the head, interim ones included, may take `MAX_HEAD` bytes; of the body the first
`MAX_BODY` raw bytes are kept, never inflated. Once a final head is complete, nothing that follows is an error: what is
wrong with the body only marks the reply as truncated. Whoever wants a reply's body says how much of it.
"""

from typing import Final, NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from gateway.core.model import Headers
from gateway.wire.failures import ReplyError

MAX_HEAD: Final = 64 * 1024
MAX_BODY: Final = 64 * 1024
MAX_BYTES: Final = 256 * 1024
"""Of the whole reply with its framing: chunk extensions and trailers are no way around the other two."""


class HttpReply(NamedTuple):
    """A reply of any status."""

    status: int
    """200 to 599."""
    headers: Headers
    """As received, in order; names in lower case."""
    body: bytes
    """The first 64 KiB (or as the client says) as they came over the wire: chunking undone, compression not."""
    truncated: bool
    """True if the body did not arrive whole: too long, too slow, malformed, or the connection was lost."""

    def header(self, name: bytes) -> bytes | None:
        """Give the first value of the header `name` (lower case), None if there is none."""
        return next((value for key, value in self.headers if key == name), None)


class ReplyReader:
    """Reads the replies of one connection, one after the other: `start`, then `feed` until `complete`."""

    def __init__(self, body_max: int = MAX_BODY) -> None:
        self._body_max = body_max
        self._bytes_max = MAX_BYTES + 2 * (body_max - MAX_BODY)
        self._parser = HttpResponseParser(self)
        self.start()

    def start(self) -> None:
        """Get ready for the next reply."""
        self._status = 0
        self._version = ""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._bytes = 0
        self._keep_alive = False
        self.has_head = False
        """The final head is complete; `reply` may be called."""
        self.complete = False
        """The body is complete too."""
        self.over = False
        """Nothing more is wanted of this connection: the body is too long or malformed, or something follows it."""

    @property
    def begun(self) -> bool:
        """True once a byte of this reply has arrived."""
        return self._bytes > 0

    @property
    def reusable(self) -> bool:
        """True if the connection may carry another request."""
        return self.complete and self._keep_alive and not self.over

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises ReplyError if they make no acceptable head."""
        self._bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self.over = True
            if not self.has_head:
                raise ReplyError(f"the reply is no HTTP/1.1: {str(error) or 'malformed'}") from error
        if self.has_head:
            if not 200 <= self._status <= 599 or self._version not in ("1.1", "1.0"):
                raise ReplyError(f"the reply is HTTP/{self._version} {self._status}: expected HTTP/1.1 200 to 599")
            self.over = self.over or self._bytes > self._bytes_max
        elif self._bytes > MAX_HEAD:
            raise ReplyError(f"the reply's headers exceed {MAX_HEAD} bytes")

    def end(self) -> None:
        """Take the end of the connection: it completes a body of no stated length."""
        self.over = True
        if not any(name in (b"content-length", b"transfer-encoding") for name, _ in self._headers):
            self.complete = True

    def reply(self) -> HttpReply:
        """Give what has been read."""
        truncated = not self.complete or self._body_bytes > self._body_max
        return HttpReply(self._status, tuple(self._headers), b"".join(self._body), truncated)

    def on_message_begin(self) -> None:
        """Called by the parser; a second message that nobody asked for spoils the connection."""
        if self.complete:
            self.over = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser; also for a chunked body's trailer, which is dropped."""
        if not self.has_head:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Called by the parser at the end of each head."""
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._headers = []
        elif not self.has_head:
            self._status = status
            self._version = self._parser.get_http_version()
            self.has_head = True

    def on_body(self, data: bytes) -> None:
        """Called by the parser with a piece of the body."""
        if self.complete:
            return
        room = self._body_max - self._body_bytes
        self._body_bytes += len(data)
        if room > 0:
            self._body.append(data[:room])
        if self._body_bytes > self._body_max:
            self.over = True

    def on_message_complete(self) -> None:
        """Called by the parser at the end of each message, interim ones included."""
        if self.has_head and not self.complete:
            self.complete = True
            self._keep_alive = self._parser.should_keep_alive()
