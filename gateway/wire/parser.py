"""The head of a request: strict checks over its raw bytes, then llhttp, then what the headers say of the body.

Pure. Two parsers must agree: our pattern, which leaves nothing to interpret (no bare CR or LF, no folded line, no space
before a colon, origin-form targets only), and llhttp, which knows the rules between headers. Nothing is decoded.
"""

import re
from typing import Final, NamedTuple

import httptools

from gateway.core.model import Headers
from gateway.errors import RequestError

CHUNKED: Final = -1
"""The length of a body that comes in chunks."""
_UNSAID: Final = -2

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_HEAD: Final = re.compile(
    rb"([A-Z]{1,20}+) (/[!-\"$->@-~]*+)(?:\?([!-\"$-~]*+))? HTTP/1\.([01])\r\n(?:"
    + _TOKEN
    + rb"++:[\t -~\x80-\xff]*+\r\n)*+\r\n"
)
_REQUEST_LINE: Final = re.compile(rb"([A-Z]{1,20}) ([!-~]+) HTTP/(\d)\.(\d)\r\n")
_BROKEN_LINE: Final = re.compile(rb"(?<!\r)\n|\r(?=[^\n])|\x00")
_FRAMING: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"expect"})
_LENGTH_DIGITS: Final = 18


class Head(NamedTuple):
    """What a request says before its body."""

    method: str
    path: str
    query: str
    headers: Headers
    length: int
    """Bytes of body that follow, or `CHUNKED`."""
    keep_alive: bool
    expects_continue: bool


class _Fields:
    """What llhttp calls back: every header, and apart those that decide where the message ends."""

    __slots__ = ("framing", "pairs")

    def __init__(self) -> None:
        self.pairs: list[tuple[bytes, bytes]] = []
        self.framing: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        pair = (name.lower(), value.rstrip(b" \t"))  # llhttp leaves the white space that may follow
        self.pairs.append(pair)
        if pair[0] in _FRAMING:
            self.framing.append(pair)


def parse_head(raw: bytes, header_count: int) -> Head:
    """Read a whole head, with the empty line that ends it. Raises RequestError if anything about it is in doubt."""
    found = _HEAD.fullmatch(raw)
    if found is None:
        raise _fault(raw)
    method, path, query, minor = found.groups(b"")
    if method in {b"TRACE", b"CONNECT"}:
        raise RequestError(405, "method")
    fields = _Fields()
    try:
        httptools.HttpRequestParser(fields).feed_data(raw)
    except httptools.HttpParserUpgrade as error:
        raise RequestError(400, "upgrade") from error
    except httptools.HttpParserError as error:
        raise RequestError(400, "bad_head", str(error)) from error
    if len(fields.pairs) > header_count:
        raise RequestError(431, "too_many_headers", f"{len(fields.pairs)} of at most {header_count}")
    length, keep_alive, expects = _frame(fields.framing, http_1_1=minor == b"1")
    return Head(method.decode(), path.decode(), query.decode(), tuple(fields.pairs), length, keep_alive, expects)


def check_partial(partial: bytes, checked: int) -> None:
    """Raise RequestError if the head that begins with `partial` can no longer become a good one.

    The first `checked` bytes were looked at before. Without this a head with bare LFs would wait for its deadline.
    """
    broken = _BROKEN_LINE.search(partial, max(0, checked - 1))
    if broken:
        raise RequestError(400, "bad_head", f"bare CR, bare LF or NUL at byte {broken.start()}")


def _fault(raw: bytes) -> RequestError:
    line = _REQUEST_LINE.match(raw)
    if line is None:
        return RequestError(400, "bad_head", "request line")
    method, target, major, minor = line.groups()
    if (major, minor) not in {(b"1", b"0"), (b"1", b"1")}:
        return RequestError(505, "version", f"HTTP/{major.decode()}.{minor.decode()}")
    if method in {b"TRACE", b"CONNECT"}:
        return RequestError(405, "method", method.decode())
    if not target.startswith(b"/") or b"#" in target:
        return RequestError(400, "target", "not in origin form")
    return RequestError(400, "bad_head", "header line")


def _frame(framing: list[tuple[bytes, bytes]], *, http_1_1: bool) -> tuple[int, bool, bool]:
    """Give the body's length, whether the connection stays, and whether the client waits to be asked on."""
    length = _UNSAID
    hosts = 0
    keep_alive = http_1_1
    expects = False
    for name, value in framing:
        if name == b"host":
            hosts += 1
        elif name == b"content-length":
            length = _content_length(value, length)
        elif name == b"transfer-encoding":
            length = _transfer_coding(value, length, http_1_1=http_1_1)
        elif name == b"connection":
            keep_alive = keep_alive and b"close" not in [option.strip() for option in value.lower().split(b",")]
        elif name == b"upgrade":
            raise RequestError(400, "upgrade")
        else:
            expects = _expectation(value, http_1_1=http_1_1)
    if hosts != 1 and (http_1_1 or hosts):
        raise RequestError(400, "host", f"{hosts} Host headers")
    return 0 if length == _UNSAID else length, keep_alive, expects


def _content_length(value: bytes, known: int) -> int:
    if known != _UNSAID or not value.isdigit() or len(value) > _LENGTH_DIGITS:
        raise RequestError(400, "content_length", value[:40].decode("latin-1"))
    return int(value)


def _transfer_coding(value: bytes, known: int, *, http_1_1: bool) -> int:
    if known != _UNSAID or not http_1_1 or value.lower() != b"chunked":
        raise RequestError(400, "transfer_encoding", value[:40].decode("latin-1"))
    return CHUNKED


def _expectation(value: bytes, *, http_1_1: bool) -> bool:
    if value.lower() != b"100-continue":
        raise RequestError(417, "expect", value[:40].decode("latin-1"))
    return http_1_1
