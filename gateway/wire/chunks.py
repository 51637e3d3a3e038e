"""A body in chunks: its bytes out of their framing, strictly and bounded.

Pure; fed with whatever arrived. Extensions are bounded and ignored, trailers are checked and dropped. Our own, because
llhttp neither bounds an extension nor says where in its input a body ended, which pipelined requests need.
"""

import re
from typing import Final

from gateway.errors import RequestError
from gateway.wire.parser import check_partial

_LINE_BYTES: Final = 256
_TRAILER_BYTES: Final = 4096
_FRAMING_BYTES: Final = 64 * 1024
"""How many bytes of framing a body may have beyond its own size: chunks of one byte cost us, not their sender."""
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8}+)(?:;[\t -~\x80-\xff]*+)?\r\n")
_TRAILER: Final = re.compile(
    rb"(?:(?!(?i:content-length|transfer-encoding):)[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t -~\x80-\xff]*+\r\n)*+\r\n"
)
"""No field that frames a message: one who read it there would see another end (RFC 9110, 6.5.1)."""


class ChunkedBody:
    """One body in the making: `content` grows by `feed` until `complete`; `rest` is what follows it on the wire.

    Whoever feeds it may take `content` away piece by piece; `size` counts all that there was.
    """

    __slots__ = ("_framing", "_left", "_limit", "complete", "content", "rest", "size")

    def __init__(self, limit: int) -> None:
        self.content = bytearray()
        self.rest = b""
        self.size = 0
        self.complete = False
        self._limit = limit
        self._framing = 0
        self._left = 0
        """Bytes of the current chunk and its line end that have not arrived; 0 = a size line is next."""

    def feed(self, received: bytes) -> None:
        """Take what arrived. Raises RequestError: 413 over the limit, 400 for wrong framing, 431 for a long trailer."""
        data = self.rest + received
        at = 0
        while at < len(data) and not self.complete:
            moved = self._take_data(data, at) if self._left else self._take_size(data, at)
            if moved == at:
                break
            at = moved
        self.rest = data[at:]

    def _take_data(self, data: bytes, at: int) -> int:
        if self._left > 2:
            piece = data[at : at + self._left - 2]
            self.content += piece
            self.size += len(piece)
            self._left -= len(piece)
            return at + len(piece)
        end = data[at : at + 2]
        if not b"\r\n".startswith(end):
            raise RequestError(400, "bad_chunk", "no line end after a chunk")
        if len(end) < 2:
            return at
        self._left = 0
        return at + 2

    def _take_size(self, data: bytes, at: int) -> int:
        found = _SIZE.match(data, at, at + _LINE_BYTES)
        if found is None:
            if len(data) - at >= _LINE_BYTES or b"\n" in data[at:]:
                raise RequestError(400, "bad_chunk", "size line")
            return at
        size = int(found[1], 16)
        if size == 0:
            return self._take_trailer(data, at, found.end())
        if self.size + size > self._limit:
            raise RequestError(413, "body_too_large", f"chunks of more than {self._limit} bytes")
        self._framing += found.end() - at + 2
        if self._framing > _FRAMING_BYTES + self.size:
            raise RequestError(400, "bad_chunk", "more framing than content")
        self._left = size + 2
        return found.end()

    def _take_trailer(self, data: bytes, last_chunk: int, at: int) -> int:
        """Give the end of the body, or `last_chunk` again while its trailer is incomplete."""
        found = _TRAILER.match(data, at, at + _TRAILER_BYTES)
        if found:
            self.complete = True
            return found.end()
        if len(data) - at >= _TRAILER_BYTES:
            raise RequestError(431, "trailer_too_large", f"more than {_TRAILER_BYTES} bytes")
        check_partial(data[at:], 0)
        if b"\r\n\r\n" in data[at:]:
            raise RequestError(400, "bad_chunk", "trailer")
        return last_chunk
