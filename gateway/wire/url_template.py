"""A URL with `{selectors}` in its path or query: each value becomes one percent-encoded piece, whatever is in it.

Scheme, host, port and socket are fixed text, so nothing of a payload can choose where a request goes; nor can it change
the path's structure (row R13): a value that would be, or could be taken for, a border between pieces is refused, not
repaired. Where a server decodes more than once, that is its own reading: a `%` goes out as `%25`.
"""

import re
from typing import Final
from urllib.parse import quote

from gateway.core.fields import message_field
from gateway.core.selector import Scope, Selector, parse_template
from gateway.wire.url import Url, parse_url

VALUE_BYTES_MAX: Final = 1024
"""Of one value, before it is encoded."""
TARGET_CHARACTERS_MAX: Final = 8000
"""Path and query together, encoded: RFC 9110 section 4.1 has every server take so much."""

_SELECTOR: Final = re.compile(r'\{(?:[^{}"]|"(?:[^"\\]|\\.)*")+\}')
_FIXED: Final = re.compile(r"(?:https?://[^/?#{}]+|unix:/[^:{}]+:)(?=[/?])")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BORDER: Final = re.compile(r"[/\\]")
_DOTS: Final = frozenset({".", ".."})


class UnfitUrlError(ValueError):
    """A message has no URL; names the cause, never a value."""


class UrlTemplate:
    """A URL, compiled: where to connect, and what to ask for there."""

    def __init__(self, text: str) -> None:
        """Read a URL as `parse_url` does, selectors aside. Raises ValueError that tells what is wrong."""
        self.url: Url = parse_url(_SELECTOR.sub("x", text))
        """Where to connect. Its `target` is what is asked for, if `fixed`."""
        self.selectors: tuple[Selector, ...] = ()
        if not _SELECTOR.search(text):
            return
        fixed = _FIXED.match(text)
        if not fixed:
            raise ValueError(
                "a value can stand in path or query only: write scheme, host, port and the first / yourself"
            )
        path, query = _cut(text[fixed.end() :])
        if not path.startswith("/"):
            path = f"/{path}"
        _check_path(_SELECTOR.sub("x", path))
        self._path, self._query = parse_template(path, message_field), parse_template(query, message_field)
        self.selectors = (*self._path.selectors, *self._query.selectors)

    @property
    def fixed(self) -> bool:
        """True if nothing of a message stands in it."""
        return not self.selectors

    def target(self, scope: Scope) -> str:
        """Give path and query for a message; only for a URL that is not `fixed`. Raises UnfitUrlError."""
        try:
            path = self._path.render(scope, _path_piece)
            _check_path(path)
            target = path + self._query.render(scope, _query_piece)
        except ValueError as error:
            raise UnfitUrlError(f"url: {error}") from None
        if len(target) > TARGET_CHARACTERS_MAX:
            raise UnfitUrlError(f"url: path and query are longer than {TARGET_CHARACTERS_MAX} characters")
        return target


def _cut(text: str) -> tuple[str, str]:
    """Cut at the first `?` that is no part of a selector."""
    blind = _SELECTOR.sub(lambda found: "x" * len(found[0]), text)
    at = blind.find("?")
    return (text, "") if at < 0 else (text[:at], text[at:])


def _check_path(path: str) -> None:
    if not _DOTS.isdisjoint(path.split("/")):
        raise ValueError("a part of the path is . or .., which servers resolve to another place")


def _path_piece(value: str) -> str:
    if _BORDER.search(value):
        raise ValueError("a value for the path holds a slash or backslash, which would be a border of it")
    return _query_piece(value)


def _query_piece(value: str) -> str:
    if not value:
        raise ValueError("a value is empty")
    if _CONTROL.search(value):
        raise ValueError("a value holds a control character")
    try:
        raw = value.encode()
    except UnicodeEncodeError:
        raise ValueError("a value holds half a character (a lone surrogate)") from None
    if len(raw) > VALUE_BYTES_MAX:
        raise ValueError(f"a value is longer than {VALUE_BYTES_MAX} bytes")
    return quote(raw, safe="")
