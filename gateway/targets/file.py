"""The `file` target: every message as a line of one file, or as a file of its own in a folder.

Delivered means flushed to the disk. The work is done by `gateway.targets.lines` and `gateway.targets.folder` in a file
thread; nothing of it is abandoned when a delivery is cancelled, so that its outcome is known.
"""

import grp
import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import trio
from pydantic import AfterValidator, Field, model_validator

from gateway.plugin import ByteCount, Context, Delivered, Duration, Message, Options, Outcome, target
from gateway.targets.disk import Ownership, judge_error
from gateway.targets.folder import EventFolder, check_name
from gateway.targets.lines import LinesFile, line_of
from gateway.targets.rotation import Rotation

_MODE: Final = re.compile(r"0?6[0246][0246]")
_DELIVERED: Final = Delivered()


def _check_mode(text: str) -> str:
    if not _MODE.fullmatch(text):
        raise ValueError(
            f'expected a mode like "0640": read and write for the owner, no right to execute, found {text!r}'
        )
    return text


def _check_name(text: str) -> str:
    check_name(text)
    return text


def _check_path(text: str) -> str:
    if not Path(text).name or "\0" in text or text.endswith("/"):
        raise ValueError("expected the path of a file or folder, found none")
    return text


class RotateTable(Options):
    """When a new file begins; size, every, or both."""

    size: ByteCount | None = None
    """Put the file aside before it grows beyond this."""
    every: Duration | None = None
    """Put the file aside when a new period begins, counted from 1970 in UTC: "1d" begins a file each midnight."""
    keep: Annotated[int, Field(ge=1, le=1000)] = 10
    """How many old files stay: `events.jsonl.1` is the youngest."""

    @model_validator(mode="after")
    def _something(self) -> "RotateTable":
        if self.size is None and self.every is None:
            raise ValueError('expected size or every, for example { size = "64MiB", keep = 10 }')
        if (self.size is not None and self.size < 1024) or (self.every is not None and self.every < 1):
            raise ValueError('expected a size of at least "1KiB" and a period of at least "1s"')
        return self


class FileOptions(Options):
    """Where and how to write: either `path`, or `folder`."""

    path: Annotated[str, AfterValidator(_check_path)] | None = None
    """A file that gets one line of JSON for each event."""
    rotate: RotateTable | None = None
    """When to begin a new file; only with path."""
    folder: Annotated[str, AfterValidator(_check_path)] | None = None
    """A folder that gets one file for each event."""
    name: Annotated[str, AfterValidator(_check_name)] = "{event.id}.json"
    """The name of an event's file; only with folder. A slash in it, not in a value, makes subfolders."""
    mode: Annotated[str, AfterValidator(_check_mode)] = "0640"
    """The mode of new files; new folders can be searched by whoever may read."""
    group: str | None = None
    """The group of new files and folders."""

    @model_validator(mode="after")
    def _together(self) -> "FileOptions":
        if (self.path is None) == (self.folder is None):
            raise ValueError("expected either path (JSON lines in one file) or folder (one file for each event)")
        wrong = {"rotate"} if self.folder else {"name"}
        found = sorted(wrong & self.model_fields_set)
        if found:
            raise ValueError(f"{found[0]} is only for {'path' if self.folder else 'folder'}")
        return self


@target(FileOptions, timeout="30s", concurrency=256, send="envelope")
class File:
    """Writes messages to the disk of this machine."""

    def __init__(self, options: FileOptions) -> None:
        self._options = options
        self._lock = trio.Lock()

    async def open(self, context: Context) -> None:
        """Open the file or folder; made if its parent is there. Raises OSError that names it."""
        self._runtime = context.runtime
        self._place = context.state_folder / (self._options.path or self._options.folder or "")
        await self._runtime.in_file_thread(self._open)

    async def deliver(self, message: Message) -> Outcome:
        """Write one message and flush it."""
        return (await self.deliver_many([message]))[0]

    async def deliver_many(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Write all messages; with `path` one write and one flush for all of them, and one outcome."""
        if not messages:
            return []
        async with self._lock:
            if self._lines is not None:
                return await self._runtime.in_file_thread(partial(self._append, self._lines, messages))
            return await self._runtime.in_file_thread(partial(self._files.store, messages))

    async def close(self) -> None:
        """Close the file."""
        if self._lines is not None:
            self._lines.close()

    def _open(self) -> None:
        options = self._options
        ownership = Ownership(int(options.mode, 8), _group_number(options.group))
        self._lines = LinesFile(self._place, ownership, _rotation(options.rotate)) if options.path else None
        self._files = EventFolder(self._place, check_name(options.name), ownership)
        try:
            (self._lines or self._files).open()
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror or error}", os.fspath(self._place)) from error

    def _append(self, lines: LinesFile, messages: Sequence[Message]) -> list[Outcome]:
        data = b"".join(line_of(message.content, message.content_type) + b"\n" for message in messages)
        try:
            lines.append(data, self._runtime.now_ms())
        except OSError as error:
            return [judge_error(error, self._place)] * len(messages)
        return [_DELIVERED] * len(messages)


def _group_number(name: str | None) -> int | None:
    try:
        return None if name is None else grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise OSError(f"group {name!r} of the target does not exist on this machine") from error


def _rotation(table: RotateTable | None) -> Rotation | None:
    if table is None:
        return None
    return Rotation(table.size, None if table.every is None else round(table.every * 1000), table.keep)
