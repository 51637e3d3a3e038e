"""Patterns for event types and versions: exact texts and globs, of which any may fit.

`*` stands for any text, dots and the empty text included; every other character stands for itself, capitals included.
Cost is linear in the text whatever the glob, because there is nothing to try twice.
"""

from collections.abc import Callable, Sequence
from typing import Final

GLOB_CHARACTERS_MAX: Final = 200


class Pattern:
    """Which texts are meant. Immutable; exact texts are found by hash."""

    __slots__ = ("_endings", "_others", "everything", "exact", "globs", "only_exact")

    def __init__(self, globs: Sequence[str]) -> None:
        """Compile `globs`. Raises ValueError if there is none, or one is empty, too long, or no text."""
        if isinstance(globs, str):
            globs = (globs,)
        for glob in globs:
            _check(glob)
        if not globs:
            raise ValueError('expected at least one text or glob; write ["*"] for all')
        self.globs = tuple(globs)
        self.exact = frozenset(glob for glob in globs if "*" not in glob)
        self.everything = any(not glob.strip("*") for glob in globs)
        wild = [glob for glob in globs if "*" in glob]
        self.only_exact = not wild
        self._endings = tuple(glob[:-1] for glob in wild if glob.find("*") == len(glob) - 1)
        self._others = tuple(_compile(glob) for glob in wild if glob.find("*") < len(glob) - 1)

    def matches(self, text: str) -> bool:
        """Tell whether any of the globs fits the whole of `text`."""
        if self.everything or text in self.exact or text.startswith(self._endings):
            return True
        return any(fits(text) for fits in self._others)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self.globs == other.globs

    def __hash__(self) -> int:
        return hash(self.globs)

    def __repr__(self) -> str:
        return f"Pattern({list(self.globs)!r})"


def _check(glob: object) -> None:
    if not isinstance(glob, str) or not glob:
        raise ValueError(f"expected a text or glob such as order.*, found {glob!r}")
    if len(glob) > GLOB_CHARACTERS_MAX:
        raise ValueError(f"glob {glob[:40]!r}… is longer than {GLOB_CHARACTERS_MAX} characters")


def _compile(glob: str) -> Callable[[str], bool]:
    head, *inner, tail = glob.split("*")
    least = len(head) + len(tail)

    def fits(text: str) -> bool:
        if len(text) < least or not text.startswith(head) or not text.endswith(tail):
            return False
        position, end = len(head), len(text) - len(tail)
        for piece in inner:  # the first place that fits leaves the most room for the rest
            position = text.find(piece, position, end)
            if position < 0:
                return False
            position += len(piece)
        return True

    return fits
