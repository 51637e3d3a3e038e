"""Documents: JSON from strangers, parsed strictly and within bounds that are checked before they cost anything.

orjson refuses NaN, Infinity, 1e999, a byte order mark, broken UTF-8 and lone surrogates (row D3). The bounds on bytes,
nodes and depth are ours (row D1). Keys written twice are refused only where a rule reads them (row D2); elsewhere the
bytes pass as they are. What is wrong is told as RequestError, never with a piece of the payload. Forms are read into
the same kind of value.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote_plus

import orjson

from gateway.core.model import Json
from gateway.core.selector import Path
from gateway.errors import RequestError

DEPTH_MAX: Final = 64
NODES_MAX: Final = 100_000
"""An empty object costs 64 bytes and 50 ns: this many stay near 5 ms and 10 MB."""
BYTES_MAX: Final = 16 * 1024 * 1024
FORM: Final = b"application/x-www-form-urlencoded"
FORM_FIELDS_MAX: Final = 1000

_STRINGS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""Also takes a string that never ends, so that no input makes the search start again and again."""


def parse_document(
    raw: bytes, *, max_depth: int = DEPTH_MAX, max_nodes: int = NODES_MAX, max_bytes: int = BYTES_MAX
) -> Json:
    """Parse `raw` as one JSON document. Of a key that is written twice the last value counts.

    Integers beyond 64 bits become floats. Raises RequestError: 413 over `max_bytes`, 400 for what is no JSON or is over
    `max_depth` (lists and tables inside each other) or `max_nodes` (values in all).
    """
    if len(raw) > max_bytes:
        raise RequestError(413, "body_too_large", f"{len(raw)} bytes of JSON, at most {max_bytes} are parsed")
    if len(raw) > max_nodes and _nodes(raw, max_nodes) > max_nodes:
        raise RequestError(400, "json_too_big", f"more than {max_nodes} values")
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, "json_invalid", f"{error.msg} at byte {error.pos}") from None
    # A document with fewer brackets cannot be that deep. `split` is the fastest way to count few of something.
    brackets = len(raw.split(b"{", max_depth + 1)) + len(raw.split(b"[", max_depth + 1)) - 2
    if brackets > max_depth and _deeper_than(document, max_depth):
        raise RequestError(400, "json_too_deep", f"lists and tables more than {max_depth} deep")
    return document


def parse_form(raw: bytes) -> Json:
    """Parse `raw` as the fields of a form: a table of texts, and a list for a name that is sent more than once.

    Raises RequestError: 400 for more than `FORM_FIELDS_MAX` fields, or for bytes that are no UTF-8.
    """
    pieces = [piece for piece in raw.split(b"&", FORM_FIELDS_MAX + 1) if piece]
    if len(pieces) > FORM_FIELDS_MAX:
        raise RequestError(400, "form_too_big", f"more than {FORM_FIELDS_MAX} fields")
    fields: dict[str, list[str]] = {}
    try:
        for piece in pieces:
            name, _, value = piece.decode().partition("=")
            fields.setdefault(unquote_plus(name, errors="strict"), []).append(unquote_plus(value, errors="strict"))
    except UnicodeDecodeError:
        raise RequestError(400, "form_invalid", "a field is not UTF-8") from None
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}


def is_form(content_type: bytes | None) -> bool:
    """Tell whether a body of that Content-Type is a form of names and values."""
    return (content_type or b"").partition(b";")[0].strip().lower() == FORM


def reads_as_form(content_type: bytes | None, raw: bytes) -> bool:
    """Tell whether to read `raw` as a form; never if it begins as JSON does, which a form writes as %7B.

    Hardly a signature covers the type, so whoever saw a signed document could have it read as fields that stand in one
    of its texts; and `curl -d` calls everything a form.
    """
    return is_form(content_type) and not raw.lstrip()[:1].startswith((b"{", b"["))


def refuse_repeated_keys(raw: bytes, document: Json, paths: Iterable[Path]) -> None:
    """Raise RequestError(400) if a key on one of `paths` is written twice in `raw`, of which `document` is the parse.

    Two readers of such a body could see two different events.
    """
    if _has_unique_keys(raw, document):
        return
    told = json.loads(raw, object_pairs_hook=_Table, parse_int=_skip, parse_float=_skip)
    for path in paths:
        if key := _repeated_on(told, path):
            raise RequestError(400, "json_repeated_key", f"the key {key!r} is written twice")


def _has_unique_keys(raw: bytes, document: Json) -> bool:
    r"""Tell whether no key at all is written twice; False may also mean that this quick look cannot tell.

    Most senders write compact JSON: written again it equals what went in, so nothing was dropped. Else a key that was
    dropped is missing together with its two quotes; nothing else changes the number of quotes but the escape \u0022.
    """
    again = orjson.dumps(document)
    if again == raw:
        return True
    same = raw.count(b'"') == again.count(b'"')
    return same and not (b"\\" in raw and b"u0022" in raw)


class _Table(dict[str, Json]):
    """A table that remembers which of its keys were written twice."""

    def __init__(self, pairs: list[tuple[str, Json]]) -> None:
        super().__init__(pairs)
        names = Counter(key for key, _ in pairs) if len(self) < len(pairs) else Counter[str]()
        self.repeated = {key for key, count in names.items() if count > 1}


def _skip(_number: str) -> int:
    return 0


def _repeated_on(document: Json, path: Path) -> str | None:
    level = [document]
    for index, keys in enumerate(path):
        if index:
            level = [item for items in level if type(items) is list for item in items]
        for key in keys:
            tables = [table for table in level if isinstance(table, _Table)]
            if any(key in table.repeated for table in tables):
                return key
            level = [table[key] for table in tables if key in table]
    return None


def _nodes(raw: bytes, enough: int) -> int:
    """Give an upper bound of the values in `raw`, exact if over `enough`: each follows a comma or a bracket."""
    bound = raw.count(b",") + raw.count(b"[") + raw.count(b"{")
    if bound <= enough:
        return bound
    bare = _STRINGS.sub(b"", raw)
    return bare.count(b",") + bare.count(b"[") + bare.count(b"{")


def _deeper_than(document: Json, limit: int) -> bool:
    level = [document] if type(document) in (dict, list) else []
    for _ in range(limit):
        below: list[Json] = []
        for node in level:
            for each in node.values() if type(node) is dict else node:
                if type(each) is dict or type(each) is list:
                    below.append(each)  # noqa: PERF401 - a generator for each node costs five times as much
        if not below:
            return False
        level = below
    return bool(level)
