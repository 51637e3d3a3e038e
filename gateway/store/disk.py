"""What the disk under a store is and has: kind of file system, free space, the reserve for when it is full."""

import contextlib
import ctypes
import os
import sys
from pathlib import Path
from typing import Final

from gateway.errors import StoreError

NETWORK_FILE_SYSTEMS: Final = {
    0x6969: "NFS",
    0x517B: "SMB",
    0xFF534D42: "CIFS",
    0xFE534D42: "SMB2",
    0x65735546: "FUSE",
    0x01021997: "9p",
    0x5346414F: "AFS",
    0x00C36400: "Ceph",
    0x0BD00BD0: "Lustre",
    0x47504653: "GPFS",
    0x7461636F: "OCFS2",
    0x01161970: "GFS2",
}
"""By the magic number of statfs(2)."""


def file_system_magic(folder: Path) -> int:
    """Tell the kind of file system that holds `folder`, as statfs(2) numbers them. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(512)
    if libc.statfs(os.fsencode(folder), buffer) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    return int.from_bytes(buffer.raw[: ctypes.sizeof(ctypes.c_long)], sys.byteorder) & 0xFFFFFFFF


def refuse_network_file_system(folder: Path) -> None:
    """Raise StoreError if `folder` is on a file system whose locks and flushes cannot be relied on."""
    kind = NETWORK_FILE_SYSTEMS.get(file_system_magic(folder))
    if kind:
        raise StoreError(
            f"{folder}: expected a local disk, found {kind}: its locks and flushes cannot be relied on; "
            "move the store to a local disk, or allow it in the store's settings at your own risk"
        )


def free_bytes(folder: Path) -> int:
    """Give the bytes that this process may still write in `folder`."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def used_bytes(store: Path) -> int:
    """Give the size of the store's own files."""
    total = 0
    for suffix in ("", "-wal", "-shm", "-reserve"):
        with contextlib.suppress(FileNotFoundError):
            total += store.with_name(store.name + suffix).stat().st_size
    return total


class Reserve:
    """A preallocated file beside the store; giving it up frees space for deliveries to settle."""

    def __init__(self, store: Path, size: int) -> None:
        self._path = store.with_name(store.name + "-reserve")
        self._size = size

    @property
    def held(self) -> bool:
        """True if the file is there."""
        return self._path.exists()

    def release(self) -> bool:
        """Give it up; False if there was none."""
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        return True

    def restore(self) -> None:
        """Allocate it; without room for it, there is none."""
        if self.held or not self._size:
            return
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:  # no descriptor or inode is free: it is tried again
            return
        try:
            os.posix_fallocate(descriptor, 0, self._size)
        except OSError:
            self.release()
        finally:
            os.close(descriptor)


def fsync_folder(folder: Path) -> None:
    """Flush the names in `folder`. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
