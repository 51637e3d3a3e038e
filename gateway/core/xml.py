"""XML from strangers, read into the same kind of value as JSON: tables, lists and texts, within bounds.

expat reads it; what makes XML dangerous is refused before expat acts on it: a document type, and with it every entity,
default attribute and outside reference. What is wrong is told as RequestError, never with a piece of the payload.

An element without attributes and children is its text. Else it is a table of its children by name; attributes are
`@name`, text beside them is `#text`. Prefixes of names are left out, and what they stand for. What stands there several
times is a list, and so is what `lists` names.
"""

import re
from collections.abc import Collection
from typing import Final, NoReturn
from xml.parsers.expat import ExpatError, ParserCreate

from gateway.core.model import Json
from gateway.errors import RequestError

BYTES_MAX: Final = 4 * 1024 * 1024
DEPTH_MAX: Final = 64
NODES_MAX: Final = 20_000
"""Elements and attributes, some microseconds each."""
TEXT: Final = "#text"
_OTHER_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
"""Byte order marks, by which expat would read another encoding than it was told."""
_DECLARES: Final = re.compile(r"xmlns(?::|\Z)")
"""Attributes that only say what a prefix stands for."""


def parse_xml(raw: bytes, lists: Collection[str] = ()) -> Json:
    """Parse `raw`, which is UTF-8: a table of one entry, the outermost element. Elements of `lists` are always lists.

    Raises RequestError: 413 over `BYTES_MAX`, 400 for what is no XML, has a document type, or is over `DEPTH_MAX` or
    `NODES_MAX`.
    """
    if len(raw) > BYTES_MAX:
        raise RequestError(413, "body_too_large", f"{len(raw)} bytes of XML, at most {BYTES_MAX} are parsed")
    if b"\0" in raw or raw[:2] in _OTHER_MARKS:
        raise RequestError(400, "xml_invalid", "no UTF-8")
    builder = _Builder(frozenset(lists))
    # This encoding counts, whatever the document says of itself: else one body could be read as two texts.
    # Names stay as they are written: expat would put what a prefix stands for before each of them, a megabyte perhaps.
    parser = ParserCreate("utf-8")
    parser.buffer_text = True
    parser.buffer_size = 65_536
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(raw, True)
    except ExpatError as error:
        raise RequestError(400, "xml_invalid", f"no XML at line {error.lineno}, column {error.offset}") from None
    return builder.document


def _refuse_doctype(*_declared: object) -> NoReturn:
    raise RequestError(400, "xml_doctype", "a document type, which may define entities, is not taken")


class _Builder:
    """Makes tables of elements as expat comes by them."""

    def __init__(self, lists: frozenset[str]) -> None:
        self.document: dict[str, Json] = {}
        self._lists = lists
        self._open: list[dict[str, Json]] = [self.document]
        self._texts: list[list[str]] = [[]]
        self._nodes = 0

    def start(self, _name: str, attributes: dict[str, str]) -> None:
        self._nodes += 1 + len(attributes)
        if self._nodes > NODES_MAX:
            raise RequestError(400, "xml_too_big", f"more than {NODES_MAX} elements and attributes")
        if len(self._open) > DEPTH_MAX:
            raise RequestError(400, "xml_too_deep", f"elements more than {DEPTH_MAX} deep")
        told = {key: value for key, value in attributes.items() if not _DECLARES.match(key)}
        table = {f"@{_local(key)}": value for key, value in told.items()}
        if len(table) < len(told):
            raise RequestError(400, "xml_repeated_name", "two attributes of an element differ in their prefix only")
        self._open.append(table)
        self._texts.append([])

    def text(self, text: str) -> None:
        self._texts[-1].append(text)

    def end(self, name: str) -> None:
        table, text = self._open.pop(), "".join(self._texts.pop())
        value: Json = table or text
        if table and text.strip():
            table[TEXT] = text.strip()
        _put(self._open[-1], _local(name), value, in_list=_local(name) in self._lists)


def _put(holder: dict[str, Json], name: str, value: Json, *, in_list: bool) -> None:
    if name not in holder:
        holder[name] = [value] if in_list else value
    elif type(holder[name]) is list:
        holder[name].append(value)
    else:
        holder[name] = [holder[name], value]


def _local(name: str) -> str:
    """Give a name without its prefix, which says of which vocabulary it is."""
    return name.rpartition(":")[2]
