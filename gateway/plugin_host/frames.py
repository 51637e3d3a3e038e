"""Frames between the daemon and a worker: lengths, a JSON header, bytes. Both sides use this; standard library only.

What comes from a worker is foreign: its frames are bounded, and anything but a JSON object is `FrameError`.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

LENGTHS: Final = struct.Struct("!II")


class FrameError(ValueError):
    """The other side does not keep to the form."""


class Frame(NamedTuple):
    """One message of one side to the other."""

    header: Mapping[str, Any]
    body: bytes


def write_frame(header: Mapping[str, Any], *body: bytes) -> list[bytes]:
    """Give the pieces to send, in order; the body's pieces are not copied."""
    text = json.dumps(header).encode()
    return [LENGTHS.pack(len(text), sum(map(len, body))) + text, *(piece for piece in body if piece)]


class FrameReader:
    """Cuts a stream of bytes into frames, within bounds."""

    def __init__(self, header_max: int, body_max: int) -> None:
        self._header_max = header_max
        self._body_max = body_max
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take what arrived; give every frame that is whole. Raises FrameError."""
        self._held += data
        while (lengths := self._lengths()) is not None:
            header, body = lengths
            start = LENGTHS.size + header
            if len(self._held) < start + body:
                return
            whole = Frame(_parse(self._held[LENGTHS.size : start]), bytes(self._held[start : start + body]))
            del self._held[: start + body]
            yield whole

    def _lengths(self) -> tuple[int, int] | None:
        if len(self._held) < LENGTHS.size:
            return None
        header, body = LENGTHS.unpack_from(self._held)
        if header > self._header_max or body > self._body_max:
            raise FrameError(f"a frame of {header} and {body} bytes: expected {self._header_max}, {self._body_max}")
        return header, body


def _parse(text: bytes | bytearray) -> Mapping[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise FrameError("a frame whose header is no JSON") from None
    if not isinstance(header, dict):
        raise FrameError("a frame whose header is no object")
    return header
