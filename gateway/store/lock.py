"""Keeps a second process off a store: an exclusive lock on a file beside it, which names its owner."""

import fcntl
import os
from pathlib import Path

from gateway.errors import StoreError


class StoreLock:
    """Held from construction to `release`, or until the process ends. Raises StoreError if another process holds it."""

    def __init__(self, store: Path) -> None:
        path = store.with_name(store.name + "-lock")
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(self._descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise StoreError(
                f"{store}: the store is in use by process {owner}; expected nobody to hold {path.name}; "
                "stop the other daemon, or give this one its own store"
            ) from None
        os.truncate(self._descriptor, 0)
        os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Let go; the file stays, so that two starters never lock two different files of one name."""
        os.close(self._descriptor)
