"""Copies committed pages from the write-ahead log into the file, off the commit path, and bounds the log.

A second connection in its own thread copies while commits go on; past 32 MiB the writer itself makes the log begin
anew. An I/O error while copying breaks the store as one in a commit does: a later flush could report success for lost
pages. A disk without room for them breaks nothing: the log holds all of it, and is copied once there is room.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import apsw

from gateway.store.connection import BUSY_MS, open_checkpointer
from gateway.store.tail import TailMark

COPY_FRAMES: Final = 1000
RESTART_FRAMES: Final = 8192
RESTART_AGAIN: Final = 2048


class Checkpoints:
    """`after_commit` is the writer thread's; the copying runs where `post` runs it."""

    def __init__(
        self,
        path: Path,
        writer: apsw.Connection,
        tail: TailMark,
        post: Callable[[Callable[[], object]], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._path = path
        self._writer = writer
        self._tail = tail
        self._post = post
        self._failed = failed
        self._copier: apsw.Connection | None = None
        self._frames = 0
        self._copied = 0
        self._restart_at = RESTART_FRAMES
        self._copying = False
        writer.set_wal_hook(self._note)

    def _note(self, _connection: apsw.Connection, _name: str, frames: int) -> int:
        if frames < self._frames:
            self._copied, self._restart_at = 0, RESTART_FRAMES
        self._frames = frames
        return apsw.SQLITE_OK

    def after_commit(self) -> None:
        """Mark how far the log reaches; have it copied, or begun anew, if it is long enough."""
        with suppress(OSError):  # the mark only serves an alarm
            self._tail.write(self._frames)
        if self._frames >= self._restart_at:
            self._restart()
        elif self._frames - self._copied >= COPY_FRAMES and not self._copying:
            self._copying, self._copied = True, self._frames
            self._post(self._copy)

    def _restart(self) -> None:
        self._restart_at = self._frames + RESTART_AGAIN
        self._writer.set_busy_timeout(0)
        try:
            self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
        except (apsw.BusyError, apsw.LockedError, apsw.FullError):
            pass  # a reader still needs the log, or there is no room; the next try comes with more of it
        finally:
            self._writer.set_busy_timeout(BUSY_MS)

    def _copy(self) -> None:
        try:
            if self._copier is None:
                self._copier = open_checkpointer(self._path)
            self._copier.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            self._tail.flush()
        except (apsw.BusyError, apsw.LockedError, apsw.FullError):
            pass  # the writer copies at this moment, or there is no room
        except Exception as error:  # noqa: BLE001 - whatever it is, the writer must stop
            self._failed(error)
        finally:
            self._copying = False

    def close(self) -> None:
        """Close the copying connection; in the worker's thread."""
        if self._copier is not None:
            self._copier.close()
