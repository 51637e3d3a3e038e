"""Remembers beside the store how much of its write-ahead log was committed, to notice a tail lost in silence.

SQLite ends a log at the first frame whose checksum is wrong, without a word: one flipped bit drops every later commit.
The mark is written after each commit and flushed now and then, so it may be behind what is on the disk, never ahead.
"""

import os
import struct
import zlib
from pathlib import Path
from typing import Final, NamedTuple

_MARK: Final = struct.Struct(">8s8sII")
_MAGIC: Final = b"hgtail01"
_LOG_HEADER: Final = 32
_LOG_SALT: Final = slice(16, 24)


class Mark(NamedTuple):
    """`frames` frames of the log that began with `salt` were committed."""

    salt: bytes
    frames: int


class TailMark:
    """The mark of a running store."""

    def __init__(self, store: Path) -> None:
        self._log = store.with_name(store.name + "-wal")
        path = store.with_name(store.name + "-tail")
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._salt = b""
        self._frames = 0

    def read(self) -> Mark | None:
        """Give the mark that the last process left; None if there is none or it is torn."""
        found = os.pread(self._descriptor, _MARK.size, 0)
        if len(found) < _MARK.size:
            return None
        magic, salt, frames, check = _MARK.unpack(found)
        return Mark(salt, frames) if magic == _MAGIC and check == zlib.crc32(found[:-4]) else None

    def write(self, frames: int) -> None:
        """Note that the log now holds `frames` committed frames; 0 = it is empty."""
        if frames and (not self._salt or frames <= self._frames):
            self._salt = read_log_header(self._log)[_LOG_SALT]  # the log began anew
        self._frames = frames
        body = _MARK.pack(_MAGIC, self._salt if frames else b"", frames, 0)[:-4]
        mark, written = body + zlib.crc32(body).to_bytes(4, "big"), 0
        while written < len(mark):  # a system may take a part: a torn mark would notice nothing
            written += os.pwrite(self._descriptor, mark[written:], written)

    def flush(self) -> None:
        """Make the mark durable. From any thread."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Let the file go."""
        os.close(self._descriptor)


def read_log_header(log: Path) -> bytes:
    """Read the first bytes of a write-ahead log; empty if there is none. No lock of SQLite's is on that file."""
    try:
        descriptor = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        return os.pread(descriptor, _LOG_HEADER, 0)
    finally:
        os.close(descriptor)


def lost_tail(mark: Mark | None, header: bytes, frames: int) -> str | None:
    """Tell what is missing of a log with `header`, in which SQLite found `frames` good frames; None if nothing is."""
    if mark is None or not mark.frames:
        return None
    if header[_LOG_SALT] != mark.salt and _is_whole(header):
        return None  # the log began anew after the mark
    if frames >= mark.frames:
        return None
    return (
        f"the write-ahead log holds {frames} good frames, {mark.frames} were committed: "
        "its tail is damaged or missing, so acknowledged events may be lost; "
        "check the disk and ask the providers to resend"
    )


def _is_whole(header: bytes) -> bool:
    if len(header) < _LOG_HEADER:
        return False
    order = ">" if header[3] & 1 else "<"
    words = struct.unpack(f"{order}6I", header[:24])
    one = two = 0
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return struct.pack(">2I", one, two) == header[24:32]
