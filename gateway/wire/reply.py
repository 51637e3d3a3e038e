"""Replies and their bytes. Every error reply has a fixed text for its status: a sender learns nothing else from it.

Pure. Refuses to write a header that could split the reply.
"""

import re
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple

from gateway.core.model import Headers

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
RETRY_AFTER_SECONDS: Final = 5

_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(rb"[\t -~\x80-\xff]*")
_BODILESS: Final = frozenset({204, 304})


class Reply(NamedTuple):
    """The answer to one request. Content-Length, Date and Connection are written by the listener."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain"
    headers: Headers = ()
    """Further headers, in any case."""
    close: bool = False
    """True ends the connection after this reply."""


def error_reply(status: int) -> Reply:
    """Give the fixed reply to a request that was refused with `status`; the connection closes after it."""
    headers: Headers = ()
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers = ((b"Retry-After", b"%d" % RETRY_AFTER_SECONDS),)
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = ((b"Allow", b"POST"),)
    return Reply(status, HTTPStatus(status).phrase.lower().encode() + b"\n", headers=headers, close=True)


def encode_reply(reply: Reply, date: bytes, *, close: bool, head_only: bool) -> bytes:
    """Write `reply`; `date` is the value of the Date header, `head_only` leaves the body out (a reply to HEAD).

    Raises ValueError for a status or a header that HTTP/1.1 cannot carry.
    """
    status, body, content_type, headers, _ = reply
    further = b"".join([_header(name, value) for name, value in headers]) if headers else b""
    if status in _BODILESS:
        return b"%b\r\nDate: %b\r\n%b\r\n" % (_start(status, "", close), date, further)
    start = _start(status, content_type, close)
    shown = b"" if head_only else body
    return b"%b\r\nContent-Length: %d\r\nDate: %b\r\n%b\r\n%b" % (start, len(body), date, further, shown)


@lru_cache(maxsize=256)
def _start(status: int, content_type: str, close: bool) -> bytes:
    if not 200 <= status <= 599:
        raise ValueError(f"reply status {status}: expected 200 to 599")
    phrase = HTTPStatus(status).phrase if status in HTTPStatus.__members__.values() else ""
    lines = [f"HTTP/1.1 {status} {phrase}".encode()]
    if content_type:
        lines.append(_header(b"Content-Type", content_type.encode("latin-1"))[:-2])
    if close:
        lines.append(b"Connection: close")
    return b"\r\n".join(lines)


def _header(name: bytes, value: bytes) -> bytes:
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise ValueError(f"reply header {name!r} cannot be sent: expected a token and printable text, found {value!r}")
    return b"%b: %b\r\n" % (name, value)
