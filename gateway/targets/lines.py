"""A JSON-lines file: whole lines, appended durably, one write and one flush for a batch.

Everything here blocks and is for one thread at a time; between two open objects on one path (an old and a new
configuration) a lock on the file decides. If an append fails, the file is as long as it was before.
"""

import base64
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

import orjson

from gateway.targets.disk import Ownership, open_folder, write_all
from gateway.targets.rotation import Rotation, put_aside

_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY
_BREAKS: Final = bytes.maketrans(b"\r\n", b"  ")


def line_of(content: bytes, content_type: str) -> bytes:
    """Write content as one line of JSON, without its line end.

    JSON keeps its bytes, but that line breaks, which only stand between its tokens, become spaces. Other text becomes
    a JSON string, other bytes `{"base64": …}`, nothing at all `null`.
    """
    if not content:
        return b"null"
    if _is_json(content_type):
        return content.translate(_BREAKS) if b"\n" in content or b"\r" in content else content
    try:
        return orjson.dumps(content.decode())
    except UnicodeDecodeError:
        return orjson.dumps({"base64": base64.b64encode(content).decode("ascii")})


@lru_cache(maxsize=64)
def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


class LinesFile:
    """The file at a path, made when it is missing; whoever renames or removes it gets a new one at the next append."""

    def __init__(self, path: Path, ownership: Ownership, rotation: Rotation | None) -> None:
        self._path = path
        self._ownership = ownership
        self._rotation = rotation
        self._descriptor = -1

    def append(self, lines: bytes, now_ms: int) -> None:
        """Add whole lines and flush them to the disk. Raises OSError; the file then has the length it had before.

        Only a disk that also refuses to shorten the file keeps a part; the next append closes a line torn that way.
        """
        while True:
            with self._locked() as status:
                if not (self._rotation and self._rotation.is_due(status, len(lines), now_ms)):
                    return self._add(lines)
                put_aside(self._path, self._rotation.keep)
                self.close()

    def open(self) -> None:
        """Open or make the file, and close a torn last line. Raises OSError."""
        with self._locked():
            pass

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _add(self, lines: bytes) -> None:
        size = os.fstat(self._descriptor).st_size
        try:
            write_all(self._descriptor, lines)
            os.fdatasync(self._descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, size)
            raise

    @contextmanager
    def _locked(self) -> Iterator[os.stat_result]:
        """Hold the lock of the file that is at the path now, opened anew where that is another than before."""
        try:
            status = self._lock()
            if status.st_size and os.pread(self._descriptor, 1, status.st_size - 1) != b"\n":
                os.write(self._descriptor, b"\n")
            yield status
        except OSError:
            self.close()  # gives the lock back too
            raise
        if self._descriptor >= 0:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _lock(self) -> os.stat_result:
        while True:
            if self._descriptor < 0:
                self._descriptor = self._opened()
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            status = os.fstat(self._descriptor)
            if self._is_current(status):
                return status
            self.close()

    def _is_current(self, status: os.stat_result) -> bool:
        try:
            return os.path.samestat(self._path.stat(), status)
        except FileNotFoundError:
            return False

    def _opened(self) -> int:
        try:
            descriptor = os.open(self._path, _FLAGS)
        except FileNotFoundError:
            return self._made()
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "expected a regular file, found something else at the path")
        return descriptor

    def _made(self) -> int:
        folder = open_folder(self._path.parent, self._ownership)
        try:
            descriptor = os.open(self._path.name, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
            try:
                self._ownership.apply(descriptor)
                os.fsync(folder)
            except OSError:
                os.close(descriptor)
                os.unlink(self._path.name, dir_fd=folder)
                raise
        finally:
            os.close(folder)
        return descriptor
