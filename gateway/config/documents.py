"""The configuration's files: read, bounded, parsed, their includes followed. Values and places, no meaning."""

import glob
import os
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any, Final

import tomli

from gateway.config.excerpt import excerpt
from gateway.config.lines import Path, Position, find_positions
from gateway.config.problems import Problem, refusal
from gateway.config.scan import scan
from gateway.config.syntax import find_mistake

FILE_BYTES_MAX: Final = 1024 * 1024
FILES_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Document:
    """One file, parsed."""

    file: File
    content: bytes
    data: dict[str, Any]
    positions: dict[Path, Position]


class UnreadableError(Exception):
    """One file cannot be read or parsed; carries the problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def read_documents(file: File) -> list[Document]:
    """Read `file` and what it includes, depth first. Raises ConfigError with the problems of all files."""
    documents: list[Document] = []
    problems: list[Problem] = []
    seen = {os.path.realpath(file)}
    waiting = [file]
    while waiting:
        current = waiting.pop(0)
        try:
            document = read_document(current)
        except UnreadableError as error:
            problems.append(error.problem)
            continue
        documents.append(document)
        waiting = [*_follow(document, seen, problems), *waiting]
        if len(seen) > FILES_MAX:
            problems.append(_whole_file(file, f"includes more than {FILES_MAX} files: put tables together"))
            break
    if problems:
        raise refusal(problems)
    return documents


def _follow(document: Document, seen: set[str], problems: list[Problem]) -> list[File]:
    """Give the files that `document` includes; its own `include` stays for the model to check."""
    patterns = document.data.get("include", [])
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        return []
    found: list[File] = []
    for number, pattern in enumerate(patterns):
        path: Path = ("include", number)
        position = document.positions.get(path) or Position(str(document.file), 0, 0)
        matches = sorted(glob.glob(str(document.file.parent / pattern)))  # noqa: PTH207 - the pattern may hold folders
        if not matches and not glob.has_magic(pattern):
            problems.append(
                Problem(position, path, f'expected a file, found none at "{pattern}": create it or remove this')
            )
        for match in matches:
            if os.path.isdir(match):  # noqa: PTH112 - as above
                problems.append(Problem(position, path, f'expected a file, found a folder at "{match}": add "/*.toml"'))
            elif os.path.realpath(match) in seen:
                problems.append(
                    Problem(position, path, f"{match} is already part of this configuration: include it once")
                )
            else:
                seen.add(os.path.realpath(match))
                found.append(File(match))
    return found


def read_document(file: File) -> Document:
    """Read and parse one file. Raises UnreadableError."""
    content = _read(file)
    try:
        text = content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise _unreadable(
            file, line, column, "expected UTF-8 text, found other bytes: save the file as UTF-8"
        ) from None
    costly = scan(text)
    if costly:
        raise _unreadable(file, costly.line, 1, costly.message)
    try:
        data = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise UnreadableError(_no_toml(file, text, error)) from None
    except ValueError as error:  # a number of thousands of digits
        raise _unreadable(file, 0, 0, f"no TOML: {error}") from None
    return Document(file, content, data, find_positions(text, str(file)))


def _read(file: File) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise _unreadable(file, 0, 0, f"cannot be read: {error.strerror}") from None
    if len(content) > FILE_BYTES_MAX:
        raise _unreadable(file, 0, 0, "expected at most 1 MiB, found more: split it by include")
    return content


def _no_toml(file: File, text: str, error: tomli.TOMLDecodeError) -> Problem:
    mistake = find_mistake(text, error.msg, error.pos)
    column = mistake.at - text.rfind("\n", 0, mistake.at)
    position = Position(str(file), text.count("\n", 0, mistake.at) + 1, column)
    return Problem(position, (), f"no TOML: {mistake.message}", excerpt(text, mistake.at))


def _unreadable(file: File, line: int, column: int, message: str) -> UnreadableError:
    return UnreadableError(Problem(Position(str(file), line, column), (), message))


def _whole_file(file: File, message: str) -> Problem:
    return Problem(Position(str(file), 0, 0), (), message)
