"""What is wrong with a preset, told of its own file.

A preset is tried as a source of a configuration that is made up for it (`gateway.cli.trial`): whoever wrote the preset
never sees that one, so that each problem is told at the key of the preset that it came from.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path as File
from typing import Final

from gateway.config.documents import read_document
from gateway.config.lines import Path, Position
from gateway.config.problems import Problem

_MADE_UP: Final = re.compile(
    r"\S*?config\.toml(?::\d+:\d+)?: \[sources\.trial\](?:\.credentials\.main)?(?:\.(?P<place>.*?))?: (?P<text>.*)",
    re.DOTALL,
)
_PART: Final = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def of_preset(file: File, problems: Iterable[str]) -> list[str]:
    """Tell each of `problems` at its place in the preset `file`; those that are not of its source, as they are."""
    positions = read_document(file).positions
    return [text for _, text in sorted(_of_preset(file, positions, each) for each in problems)]


def _of_preset(file: File, positions: Mapping[Path, Position], problem: str) -> tuple[Position, str]:
    found = _MADE_UP.fullmatch(problem)
    at = Position(str(file), 0, 0)
    if found is None:
        return at, problem
    path: Path = tuple(int(n) if n else name for n, name in _PART.findall(found["place"] or ""))
    if path[:1] not in positions and ("source", *path[:1]) in positions:
        path = ("source", *path)
    known = next((path[:end] for end in range(len(path), 0, -1) if path[:end] in positions), ())
    at = positions.get(known, at)
    return at, str(Problem(at, path, found["text"]))
