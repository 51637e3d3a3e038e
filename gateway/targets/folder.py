"""One file for each event: whole or not there, named by a template, and never outside its folder.

Everything here blocks. A file is written under a hidden name, flushed, renamed, and counts once its folder is flushed
too. Folders are entered one by one by descriptor, never through a symbolic link, so that no value of a payload and no
link in between leads elsewhere.
"""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import orjson

from gateway.plugin import Delivered, Message, Outcome, Rejected, Scope, Template, message_field, parse_template
from gateway.targets.disk import Ownership, judge_error, judge_file_error, open_folder, open_subfolder, write_all

MAX_DEPTH: Final = 8
MAX_PART: Final = 255
"""Bytes of one part of a name, on every usual file system."""

_PLACEHOLDER: Final = re.compile(r"\{[^{}]*\}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_FIELDS: Final = re.compile(r"event\.(id|type|version|source|occurred_at)|source|body\..+")


def check_name(text: str) -> Template:
    """Read a name template as the operator writes it. Raises ValueError that tells what is wrong."""
    template = parse_template(text, message_field)
    fields = [selector.text for selector in template.selectors]
    unfit = [each.text for each in template.selectors if each.root != "field" and not _FIELDS.fullmatch(each.text)]
    if unfit:
        raise ValueError(f"{{{unfit[0]}}} cannot stand in a name: expected event.id, event.type, body.… or source")
    if "event.id" not in fields:
        raise ValueError("expected {event.id} in the name: without it one event overwrites another's file")
    if len(_split(_PLACEHOLDER.sub("x", text))) > MAX_DEPTH:
        raise ValueError(f"the name has more than {MAX_DEPTH} parts between slashes")
    return template


def _split(name: str) -> tuple[str, ...]:
    parts = tuple(name.split("/"))
    for part in parts:
        _check_part(part)
    return parts


def _check_part(part: str) -> None:
    if not part or part.startswith("."):
        raise ValueError("a part of the name is empty or begins with a dot")
    if _CONTROL.search(part):
        raise ValueError("the name holds a control character")
    if len(part.encode()) > MAX_PART:
        raise ValueError(f"a part of the name is longer than {MAX_PART} bytes")


def _value(text: str) -> str:
    if "/" in text:
        raise ValueError("a value in the name holds a slash")
    return text


class EventFolder:
    """Writes messages as files of one folder."""

    def __init__(self, path: Path, name: Template, ownership: Ownership) -> None:
        self._path = path
        self._name = name
        self._ownership = ownership
        self._reads_body = any(selector.root == "body" for selector in name.selectors)

    def open(self) -> None:
        """Make the folder if only it is missing. Raises OSError."""
        os.close(open_folder(self._path, self._ownership))

    def store(self, messages: Sequence[Message]) -> list[Outcome]:
        """Write each message's content to its file; one outcome for each, in order. The same name is overwritten."""
        outcomes: list[Outcome] = [Delivered()] * len(messages)
        folders: dict[tuple[str, ...], list[tuple[int, str]]] = {}
        for index, message in enumerate(messages):
            try:
                *folder, name = self._parts(message)
            except ValueError as error:
                outcomes[index] = Rejected(f"name: {error}")
            else:
                folders.setdefault(tuple(folder), []).append((index, name))
        for parts, files in folders.items():
            self._store_in(parts, files, messages, outcomes)
        return outcomes

    def _parts(self, message: Message) -> tuple[str, ...]:
        body = orjson.loads(message.payload) if self._reads_body else None
        scope = Scope(request=None, body=body, claims=None, event=message, source=message.source)
        return _split(self._name.render(scope, _value))

    def _store_in(
        self, parts: tuple[str, ...], files: list[tuple[int, str]], messages: Sequence[Message], outcomes: list[Outcome]
    ) -> None:
        """Write the files of one folder and flush it once; until then none of them counts."""
        try:
            folder = self._enter(parts)
        except OSError as error:
            outcome = judge_file_error(error, self._path) if parts else judge_error(error, self._path)
            for index, _ in files:
                outcomes[index] = outcome
            return
        try:
            for index, name in files:
                try:
                    self._write(folder, name, messages[index])
                except OSError as error:
                    outcomes[index] = judge_file_error(error, self._path)
            os.fsync(folder)
        except OSError as error:
            for index, _ in files:
                outcomes[index] = judge_error(error, self._path)
        finally:
            os.close(folder)

    def _enter(self, parts: tuple[str, ...]) -> int:
        folder = open_folder(self._path, self._ownership)
        for part in parts:
            try:
                inner = open_subfolder(part, folder, self._ownership)
            finally:
                os.close(folder)
            folder = inner
        return folder

    def _write(self, folder: int, name: str, message: Message) -> None:
        """Write under a hidden name that belongs to the event, so that the next try clears what a crash left behind."""
        hidden = f".{message.id}.tmp"
        with suppress(FileNotFoundError):
            os.unlink(hidden, dir_fd=folder)
        descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
        try:
            try:
                write_all(descriptor, message.content)
                self._ownership.apply(descriptor)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(hidden, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            with suppress(OSError):
                os.unlink(hidden, dir_fd=folder)
            raise
