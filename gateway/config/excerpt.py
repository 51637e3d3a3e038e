"""The line of a mistake with a caret below it, for the terminal of whoever wrote it.

What may be a secret is not shown. Pure.
"""

import re
from typing import Final

from gateway.config.strings import is_in_string, opened_brackets

WIDTH: Final = 100
"""Characters of a line that are shown, around the place."""
_SECRET: Final = re.compile(
    r"secret|passw|token|inline|auth|credential|cookie|dsn|private|headers|api.?key|@"
    r"|://[^/\s:]*:(?!\d{1,5}(?:[/\s]|$))",  # in an address: behind the colon stands no port
    re.IGNORECASE,
)
_QUOTES: Final = re.compile(r"[\"']")
_HEADER: Final = re.compile(r"^[ \t]*\[.*", re.MULTILINE)


def excerpt(text: str, at: int) -> tuple[str, ...]:
    """Give the line of the place `at` and, if that is shown, a caret below it; empty where all of it may be secret.

    Of a line that may hold a secret, by its own words, its table's or those of the value it is a part of, the key
    alone is shown.
    """
    start = text.rfind("\n", 0, at) + 1
    line, column = text[start:].partition("\n")[0], at - start
    if is_in_string(text, start):
        return ()
    opened = opened_brackets(text[:start])
    first = text.rfind("\n", 0, opened[0]) + 1 if opened else start
    headers = _HEADER.findall(text[:first])
    if _SECRET.search(_QUOTES.sub("", "\n".join([*headers[-1:], text[first:start], line]))):
        key, equals, _ = line.partition("=")
        if opened or not equals:
            return ()
        shown = _printable(f"{key}= …")
        return (shown, _caret(column)) if column <= len(key) else (shown,)
    low = max(0, min(column - WIDTH // 2, len(line) - WIDTH))
    return _printable(line[low : low + WIDTH]), _caret(column - low)


def _caret(column: int) -> str:
    return f"{' ' * column}^"


def _printable(line: str) -> str:
    """Give the line with one character for each of its own, so that the caret stands below its place."""
    return "".join(sign if sign.isprintable() else " " if sign == "\t" else "?" for sign in line)
