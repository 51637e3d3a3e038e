"""What is wrong with a table of the configuration, told all at once: each problem with the keys that lead to it.

The core does not know files and lines; whoever reads the file puts them in front.
"""

import difflib
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]


class Problem(NamedTuple):
    """One thing to change."""

    path: KeyPath
    """Keys (and positions in lists) below the table that was given."""
    text: str
    """What was expected, what was found, what to write."""

    def __str__(self) -> str:
        return f"{_path_text(self.path)}: {self.text}" if self.path else self.text


class ProblemsError(ValueError):
    """Everything that is wrong with one table."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Findings:
    """Collects the problems of one table while it is read."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, path: KeyPath, text: str) -> None:
        """Note one problem."""
        self.problems.append(Problem(path, text))

    def check(self) -> None:
        """Raise ProblemsError if anything was noted."""
        if self.problems:
            raise ProblemsError(self.problems)


def unknown(word: str, known: Iterable[str], what: str) -> str:
    """Say that `word` is no known `what`, with the nearest of `known` or all of them."""
    names = list(known)
    near = difflib.get_close_matches(word, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(names)}"
    return f"unknown {what} {word!r}; {hint}"


def _path_text(path: KeyPath) -> str:
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            piece = part if part.replace("_", "").replace("-", "").isalnum() else f'"{part}"'
            text += f".{piece}" if text else piece
    return text
