"""Where texts and brackets of a TOML text begin and end, also in one that a parser refuses. Pure; judges nothing."""

import re
from typing import Final

from gateway.config.scan import without_strings

_STRING: Final = re.compile(
    r"""
      \#[^\n]*+
    | \"{3}(?:[^"\\]++|\\.|"{1,2}(?!"))*+"{3,5}
    | '{3}(?:[^']++|'{1,2}(?!'))*+'{3,5}
    | (?P<open>\"{3}|'{3})
    | "(?:[^"\\\n]++|\\.)*+"
    | '[^'\n]*+'
    | (?P<open_line>["'])
    """,
    re.VERBOSE | re.DOTALL,
)


def unclosed_string(text: str) -> int | None:
    """Give the place of the quotes that open a string which never ends; None if every one does."""
    for found in _STRING.finditer(text):
        if found["open"] or found["open_line"]:
            return found.start()
    return None


def is_in_string(text: str, at: int) -> bool:
    """Tell whether a place is within a string that began before it; one that never ends goes to the end."""
    for found in _STRING.finditer(text):
        if found.start() >= at:
            return False
        if found["open"] or found.end() > at:
            return True
    return False


def opened_brackets(text: str) -> list[int]:
    """Give the places of the brackets and braces that are open at the end of `text`, the outermost first."""
    opened: list[int] = []
    for found in re.finditer(r"[\[\]{}]", without_strings(text)):
        if found[0] in "[{":
            opened.append(found.start())
        elif opened:
            opened.pop()
    return opened
