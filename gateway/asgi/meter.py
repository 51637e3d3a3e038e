"""Counts the frames of an HTTP/2 connection as they arrive, before hypercorn or h2 spend anything on them.

Pure; told the time. HTTP/2 lets a peer cause much work with few bytes: requests reset at once, settings, pings, frames
of one byte, header blocks that never end. What brings nothing costs tokens, which come back with time and with each
answered request; a peer that has none left is a flood. Frames: RFC 9113, sections 4.1 and 6.
"""

from typing import Final

from gateway.errors import RequestError

BURST: Final = 500
"""Tokens at first, and at most."""
TOKENS_PER_SECOND: Final = 10.0
TOKENS_PER_ANSWER: Final = 4
RESET_COST: Final = 10
"""Tokens for a request that its sender takes back (RST_STREAM); every other frame that brings nothing costs one."""
PIECE_BYTES: Final = 256
"""A frame of a body or of headers that is shorter, and not the last one, brings nothing."""
BLOCK_BYTES: Final = 64 * 1024
"""For the headers of one request as they are on the wire, compressed."""
WASTE_BYTES: Final = 1024 * 1024
"""Bytes of bodies that may arrive after their request was answered."""

_PREFACE_BYTES: Final = 24
_FRAME_HEAD_BYTES: Final = 9
_DATA, _HEADERS, _RST_STREAM, _CONTINUATION = 0, 1, 3, 9
_END_STREAM: Final = 0x1
_END_HEADERS: Final = 0x4


class FrameMeter:
    """One connection's account; `now` is seconds on a clock that never steps."""

    def __init__(self, now: float) -> None:
        self.data_bytes = 0
        """Bytes of DATA frames so far, padding included."""
        self._tokens = float(BURST)
        self._at = now
        self._skip = _PREFACE_BYTES
        self._head = b""
        self._block = 0

    def feed(self, data: bytes, now: float) -> None:
        """Count the frames that begin in `data`. Raises RequestError (400) for a flood or an endless header block."""
        self._tokens = min(BURST, self._tokens + (now - self._at) * TOKENS_PER_SECOND)
        self._at = now
        at = 0
        while at < len(data):
            if self._skip:
                skipped = min(self._skip, len(data) - at)
                self._skip -= skipped
                at += skipped
                continue
            piece = data[at : at + _FRAME_HEAD_BYTES - len(self._head)]
            self._head += piece
            at += len(piece)
            if len(self._head) == _FRAME_HEAD_BYTES:
                self._skip = int.from_bytes(self._head[:3])
                self._count(self._head[3], self._head[4], self._skip)
                self._head = b""

    def answered(self) -> None:
        """A request was answered: its peer may use some more frames."""
        self._tokens = min(BURST, self._tokens + TOKENS_PER_ANSWER)

    def _count(self, kind: int, flags: int, length: int) -> None:
        if kind in {_HEADERS, _CONTINUATION}:
            self._block = length + (self._block if kind == _CONTINUATION else 0)
            if self._block > BLOCK_BYTES:
                raise RequestError(400, "http2_headers", f"a header block of more than {BLOCK_BYTES} bytes")
        self._tokens -= _cost(kind, flags, length)
        if self._tokens < 0:
            raise RequestError(400, "http2_flood", f"frames that bring nothing, the last of type {kind}")
        if kind == _DATA:
            self.data_bytes += length


def _cost(kind: int, flags: int, length: int) -> int:
    if kind == _HEADERS:
        return 0
    if kind == _RST_STREAM:
        return RESET_COST
    last = flags & (_END_STREAM if kind == _DATA else _END_HEADERS)
    return 0 if kind in {_DATA, _CONTINUATION} and (length >= PIECE_BYTES or last) else 1
