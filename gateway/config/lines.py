"""Where each key of a TOML text stands, so that a problem can name file, line and column.

tomli gives values without places; tree-sitter gives places and is never asked for values. Its grammar is TOML 1.0: of
1.1 it is shown inline tables over several lines, with blanks for what it does not know; a text with other 1.1 syntax
has no places, and problems then name the file alone.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, TypeAlias

import tomli
import tree_sitter_toml
from tree_sitter import Language, Node, Parser

Path: TypeAlias = tuple[str | int, ...]
"""Keys and list positions from the top of a document down to one value."""


_LINE_BYTES_COUNTED: Final = 4096
_TOKEN: Final = re.compile(
    rb'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|[{},\n]', re.DOTALL
)
"""Strings and comments, whose signs mean nothing, and the signs that matter."""


class Position(NamedTuple):
    """A place in a file; line and column count from 1, 0 = unknown."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


def find_positions(text: str, file: str) -> dict[Path, Position]:
    """Map the path of every key and list item of `text` to its place; empty if the text cannot be read that way."""
    content = text.encode()
    parser = Parser(Language(tree_sitter_toml.language()))
    tree = parser.parse(content)
    if tree.root_node.has_error:
        tree = parser.parse(_on_one_line(content))
    if tree.root_node.has_error:
        return {}
    found: dict[Path, Position] = {}
    lines = content.split(b"\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    for path, node in _document(tree.root_node, {}):
        number = bisect_right(starts, node.start_byte) - 1
        found.setdefault(path, Position(file, number + 1, _column(lines[number], node.start_byte - starts[number])))
    return found


def _on_one_line(content: bytes) -> bytes:
    """Give a TOML 1.1 text with blanks for line ends, comments and last commas of inline tables: no byte moves."""
    shown = bytearray(content)
    depth, comma = 0, -1
    for token in _TOKEN.finditer(content):
        start, end = token.span()
        sign = content[start:end] if end - start == 1 else content[start : start + 1]
        if sign == b"{":
            depth += 1
        elif sign == b"}":
            if comma >= 0 and not shown[comma + 1 : start].strip():
                shown[comma:start] = b" " * (start - comma)
            depth, comma = max(depth - 1, 0), -1
        elif depth and sign == b",":
            comma = start
        elif depth and sign in b"#\n":
            shown[start:end] = b" " * (end - start)
    return bytes(shown)


def _column(line: bytes, byte: int) -> int:
    """Count characters, but bytes in a line so long that nobody counts: each item of a list asks."""
    return (byte if len(line) > _LINE_BYTES_COUNTED else len(line[:byte].decode())) + 1


def _document(root: Node, arrays: dict[Path, int]) -> Iterator[tuple[Path, Node]]:
    for node in root.named_children:
        if node.type == "pair":
            yield from _pair((), node)
        elif node.type in ("table", "table_array_element"):
            yield from _table(node, arrays)


def _table(node: Node, arrays: dict[Path, int]) -> Iterator[tuple[Path, Node]]:
    header = node.named_children[0]
    keys = _keys(header)
    path = _inside_arrays(keys, arrays)
    if node.type == "table_array_element":
        arrays[path] = arrays.get(path, -1) + 1
        path = (*path, arrays[path])
    yield from _prefixes(path, header)
    for pair in node.named_children[1:]:
        if pair.type == "pair":
            yield from _pair(path, pair)


def _inside_arrays(keys: list[str], arrays: dict[Path, int]) -> Path:
    path: Path = ()
    for number, key in enumerate(keys):
        path = (*path, key)
        if path in arrays and number < len(keys) - 1:
            path = (*path, arrays[path])
    return path


def _pair(above: Path, node: Node) -> Iterator[tuple[Path, Node]]:
    key, value = node.named_children[:2]  # a comment may follow
    path = (*above, *_keys(key))
    for end in range(len(above) + 1, len(path) + 1):
        yield path[:end], key
    yield from _value(path, value)


def _value(path: Path, node: Node) -> Iterator[tuple[Path, Node]]:
    if node.type == "inline_table":
        for pair in node.named_children:  # TOML 1.0 has no comments in there
            yield from _pair(path, pair)
    elif node.type == "array":
        items = [item for item in node.named_children if item.type != "comment"]
        for number, item in enumerate(items):
            yield (*path, number), item
            yield from _value((*path, number), item)


def _prefixes(path: Path, node: Node) -> Iterator[tuple[Path, Node]]:
    for end in range(1, len(path) + 1):
        yield path[:end], node


def _keys(node: Node) -> list[str]:
    if node.type == "dotted_key":
        return [key for part in node.named_children for key in _keys(part)]
    text = (node.text or b"").decode()
    return [text] if node.type == "bare_key" else [_unquoted(text)]


def _unquoted(text: str) -> str:
    value: Any = tomli.loads(f"key = {text}")["key"]
    return str(value)
