"""Where in a request a value stands: `header.x-name`, `query.name` or `body.a.b`; read strictly, exactly once.

A value that is absent, empty or sent twice is refused, since two readers of one request could take different ones.
Names of query parameters are compared as sent, never decoded: what is found here is also what the store leaves out.
Bodies are parsed only by those schemes whose provider put the value there.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from urllib.parse import quote_from_bytes, unquote_to_bytes

import orjson

from gateway.plugin import (
    Json,
    Request,
    RequestError,
    VerificationError,
    parse_document,
    parse_selector,
    refuse_repeated_keys,
)

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_QUERY_NAME: Final = re.compile(r"[!$'()*,./0-9:;?@A-Z_a-z~%-]+")

Path: TypeAlias = tuple[tuple[str, ...], ...]
"""Keys to follow in a JSON body, cut at each `[]`."""


@dataclass(frozen=True, slots=True)
class Place:
    """One place of a value; `text` is how the operator wrote it."""

    kind: Literal["header", "query", "body"]
    name: str
    """A header's name in lower case, a query parameter's name as sent, or the path of a field of the JSON body."""
    path: Path = ()
    """The keys of that path."""

    @property
    def text(self) -> str:
        """The place as it is written in options and messages."""
        return f"{self.kind}.{self.name}"

    def read(self, request: Request) -> bytes:
        """Give the value. Raises VerificationError if it is absent, empty or not the only one."""
        found = self.read_all(request)
        if len(found) != 1:
            raise VerificationError("repeated", f"{self.text} stands {len(found)} times, expected once")
        return found[0]

    def read_all(self, request: Request) -> list[bytes]:
        """Give every value of a `body` path with `[]`, at least one; elsewhere the only value, as `read` does."""
        if self.kind == "header":
            found = [only_header(request, self.name.encode())]
        elif self.kind == "query":
            found = [_only_parameter(request, self.name)]
        else:
            found = [_scalar(value, self.text) for value in _fields(request.body, self.path, self.text)]
        if not all(found):
            raise VerificationError("empty", f"{self.text} is empty")
        return found

    def write(self, request: Request, value: bytes) -> Request:
        """Give `request` with `value` standing here and nowhere else, for signing."""
        if self.kind == "header":
            return with_header(request, self.name.encode(), value)
        if self.kind == "query":
            kept = [piece for piece in request.query.split("&") if piece and piece.partition("=")[0] != self.name]
            return request._replace(query="&".join([*kept, f"{self.name}={quote_from_bytes(value, safe='')}"]))
        document = read_json(request.body, [self.path]) if request.body else {}
        return request._replace(body=orjson.dumps(_with_field(document, self.path, value.decode())))


def parse_place(text: str) -> Place:
    """Read `header.x-name`, `query.name` or `body.a.b`. Raises ValueError for anything else."""
    kind, _, name = text.partition(".")
    if kind == "header" and _HEADER_NAME.fullmatch(name):
        return Place("header", name.lower())
    if kind == "query" and _QUERY_NAME.fullmatch(name):
        return Place("query", name)
    if kind == "body" and name:
        return Place("body", name, parse_selector(text).path)
    raise ValueError(f'{text!r} is no place in a request: expected "header.x-name", "query.name" or "body.a.b"')


def header_name(text: str) -> bytes:
    """Give a header's name as requests hold it. Raises ValueError if it is none."""
    if not _HEADER_NAME.fullmatch(text):
        raise ValueError(f'{text!r} is no header name: expected letters, digits and dashes, for example "X-Signature"')
    return text.lower().encode()


def only_header(request: Request, name: bytes) -> bytes:
    """Give the only, not empty value of the header `name`. Raises VerificationError otherwise."""
    value = request.header(name)
    if value:
        return value
    if value is not None:
        raise VerificationError("empty", f"header {name.decode()} is empty")
    if any(key == name for key, _ in request.headers):
        raise VerificationError("repeated", f"header {name.decode()} was sent more than once")
    raise VerificationError("missing", f"header {name.decode()} is missing")


def with_header(request: Request, name: bytes, value: bytes) -> Request:
    """Give `request` with `value` as its only header `name`."""
    return request._replace(headers=(*(pair for pair in request.headers if pair[0] != name), (name, value)))


def read_json(raw: bytes, paths: Iterable[Path]) -> Json:
    """Parse a JSON text within the gateway's bounds.

    Raises VerificationError if it is none, or if a key on one of `paths` is written twice: readers could disagree.
    """
    try:
        document = parse_document(raw)
        refuse_repeated_keys(raw, document, paths)
    except RequestError as error:
        raise VerificationError("document", error.detail) from None
    return document


def _only_parameter(request: Request, name: str) -> bytes:
    pieces = [piece.partition("=")[2] for piece in request.query.split("&") if piece.partition("=")[0] == name]
    if len(pieces) != 1:
        raise VerificationError(
            "repeated" if pieces else "missing", f"query.{name} stands {len(pieces)} times, expected once"
        )
    return unquote_to_bytes(pieces[0].replace("+", " "))


def _fields(body: bytes, path: Path, text: str) -> list[Json]:
    """Follow `path`; every item of a list must hold the rest, or one forged item could hide behind a good one."""
    found = [read_json(body, [path])]
    for index, keys in enumerate(path):
        if index:
            if not all(isinstance(value, list) and value for value in found):
                raise VerificationError("missing", f"{text} is missing: no list before [], or an empty one")
            found = [item for value in found for item in value]
        for key in keys:
            if not all(isinstance(value, dict) and key in value for value in found):
                raise VerificationError("missing", f"{text} is missing")
            found = [value[key] for value in found]
    return found


def _scalar(value: Json, text: str) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, int) and not isinstance(value, bool):
        return b"%d" % value
    raise VerificationError("type", f"{text} is {type(value).__name__}, expected text or a whole number")


def _with_field(document: Json, path: Path, value: str) -> Json:
    if not path[0]:
        if len(path) == 1:
            return int(value) if type(document) is int and value.isdecimal() else value
        items = document if isinstance(document, list) and document else [{}]
        return [_with_field(item, path[1:], value) for item in items]
    table = document if isinstance(document, dict) else {}
    key, rest = path[0][0], (path[0][1:], *path[1:])
    return {**table, key: _with_field(table.get(key), rest, value)}
