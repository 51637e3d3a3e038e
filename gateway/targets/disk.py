"""What both forms of the `file` target share: files and folders with the operator's mode and group, and errors judged.

Everything here blocks: call it in a file thread. Nothing here decides names.
"""

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.plugin import NotTried, Outcome, Rejected, TargetDown

_OURS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_NAME: Final = frozenset({errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EILSEQ})


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who may read what this target makes."""

    mode: int
    """Of files; folders get the right to search wherever it has the right to read."""
    group: int | None
    """The group's number; None leaves it to the system."""

    def apply(self, descriptor: int, *, folder: bool = False) -> None:
        """Give a new file or folder its mode and group. Raises OSError."""
        os.fchmod(descriptor, self.mode | (self.mode & 0o444) >> 2 if folder else self.mode)
        if self.group is not None:
            os.fchown(descriptor, -1, self.group)


def write_all(descriptor: int, data: bytes) -> None:
    """Write everything, however often the system takes only a part. Raises OSError; a part may be written then."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def open_folder(path: Path, ownership: Ownership) -> int:
    """Open a folder and give its descriptor; makes it, durably, if only it is missing. Raises OSError."""
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return make_folder(path.name, parent, ownership)
    finally:
        os.close(parent)


def open_subfolder(name: str, parent: int, ownership: Ownership) -> int:
    """Open the folder `name` in the folder `parent`, never through a symbolic link; makes it if it is missing."""
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    except FileNotFoundError:
        return make_folder(name, parent, ownership)


def make_folder(name: str, parent: int, ownership: Ownership) -> int:
    """Make the folder `name` in the folder `parent`, durably, and give its descriptor. Raises OSError."""
    os.mkdir(name, 0o700, dir_fd=parent)
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        ownership.apply(descriptor, folder=True)
        os.fsync(parent)
    except OSError:
        os.close(descriptor)
        os.rmdir(name, dir_fd=parent)  # a later try shall not take it for one that has its mode and group
        raise
    return descriptor


def judge_error(error: OSError, place: object) -> Outcome:
    """Give the outcome of a failed write to `place`: mostly disk or permissions are to blame, for all alike."""
    text = f"{place}: {error.strerror or error}"[:500]
    if error.errno in _OURS:
        return NotTried(text)
    return TargetDown(text)


def judge_file_error(error: OSError, place: object) -> Outcome:
    """Give the outcome of one event's own file in `place`: its name may be to blame, and no second try changes that."""
    if error.errno in _NAME:
        return Rejected(f"name: no file can have it there: {error.strerror}")
    return judge_error(error, place)
