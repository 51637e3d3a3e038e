"""A cheap look at a TOML text before it is parsed: refuses shapes whose parsing costs seconds and gigabytes.

A dotted key of 20,000 parts (39 KiB) costs a TOML parser 8 s and 1.5 GiB. This scan is linear, steps over strings and
comments exactly as TOML reads them, and judges nothing else: whatever it lets pass is the parser's to judge.
"""

import re
from typing import Final, NamedTuple

KEY_PARTS_MAX: Final = 32
NESTING_MAX: Final = 64

_OPAQUE: Final = re.compile(
    r"""
      \#[^\n]*+
    | \"{3}(?:[^"\\]++|\\.|"{1,2}(?!"))*+"{3,5}
    | '{3}(?:[^']++|'{1,2}(?!'))*+'{3,5}
    | "(?:[^"\\\n]++|\\.)*+"
    | '[^'\n]*+'
    | (?P<open>["'])
    """,
    re.VERBOSE | re.DOTALL,
)
_NOT_NEWLINE: Final = re.compile(r"[^\n]")
_DOTTED: Final = re.compile(r"[\w-]++(?:[ \t]*+\.[ \t]*+[\w-]++)*+")
_BRACKET: Final = re.compile(r"[\[\]{}]")


class ScanProblem(NamedTuple):
    """What is too big to be parsed, and the line (from 1) where it stands."""

    line: int
    message: str


def scan(text: str) -> ScanProblem | None:
    """Give the first key with too many parts or value nested too deep in `text`; None if there is none."""
    plain = without_strings(text)
    for found in _DOTTED.finditer(plain):
        parts = found[0].count(".") + 1
        if parts > KEY_PARTS_MAX:
            line = plain.count("\n", 0, found.start()) + 1
            return ScanProblem(
                line, f"expected a key of at most {KEY_PARTS_MAX} parts, found one of {parts}: shorten it"
            )
    return _nesting(plain)


def without_strings(text: str) -> str:
    """Blank comments, turn strings into bare words of the same length; end at a string that is never closed."""
    pieces, end = [], 0
    for found in _OPAQUE.finditer(text):
        pieces.append(text[end : found.start()])
        if found["open"]:
            return "".join(pieces)
        pieces.append(_NOT_NEWLINE.sub(" " if found[0][0] == "#" else "x", found[0]))
        end = found.end()
    pieces.append(text[end:])
    return "".join(pieces)


def _nesting(plain: str) -> ScanProblem | None:
    depth = 0
    for found in _BRACKET.finditer(plain):
        depth = depth + 1 if found[0] in "[{" else max(depth - 1, 0)
        if depth > NESTING_MAX:
            line = plain.count("\n", 0, found.start()) + 1
            return ScanProblem(
                line, f"expected values nested at most {NESTING_MAX} deep, found deeper ones: flatten them"
            )
    return None
