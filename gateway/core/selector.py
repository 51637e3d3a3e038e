"""Selectors: the one small language that points at a value of a request or event, and short templates made of them.

`header.x-env`, `query.hub`, `body.data.state`, `body.items[].id`, `claims.events[].id`, `event.type`, `source`. A piece
with odd characters is quoted: `body."a.b"`. `[]` stands for every item of a list. Nothing here reads anything but the
`Scope` it is given, and what a payload holds is only ever a value: it is never parsed as a selector, template or format
string (row D6).

Selectors are compiled once into closures, because several run for each request.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Final, Literal, NamedTuple, TypeAlias
from urllib.parse import unquote_plus

import orjson

from gateway.core.model import Event, Json, Message, Request, StoredEvent, event_text

SELECTOR_CHARACTERS_MAX: Final = 256
SELECTOR_PIECES_MAX: Final = 32
TEMPLATE_CHARACTERS_MAX: Final = 4096

Root: TypeAlias = Literal["header", "query", "body", "claims", "event", "source", "field"]
"""`field`: a name of ours, `event.state`, that is no fact of an event; see `core.fields`."""
ROOTS: Final[tuple[Root, ...]] = ("header", "query", "body", "claims", "event", "source")
EVENT_FIELDS: Final = ("type", "version", "id", "source", "key", "occurred_at")

Path: TypeAlias = tuple[tuple[str, ...], ...]
"""Keys to follow, cut at each `[]`: `body.a[].b` is (("a",), ("b",))."""


class _Absent(Enum):
    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent.ABSENT
"""What a selector gives where there is nothing; JSON's null is a value and is not this."""


class Scope(NamedTuple):
    """All that a selector may look at."""

    request: Request | None
    body: Json
    """The parsed payload: of a split request the event's own part."""
    claims: Json
    event: Event | StoredEvent | Message | None
    source: str


Reader: TypeAlias = Callable[[Scope], Json]
ListReader: TypeAlias = Callable[[Scope], list[Json]]


class Selector:
    """A compiled selector. `value` and `values` take a `Scope`, are pure and never raise."""

    __slots__ = ("path", "root", "text", "value", "values")

    def __init__(self, text: str, root: Root, path: Path, value: Reader, values: ListReader) -> None:
        self.text = text
        self.root = root
        self.path = path
        """For body and claims: the keys that are read; else empty."""
        self.value = value
        """Gives the first value or ABSENT.

        Of a header or parameter that was sent twice it gives ABSENT, as nobody can tell which one counts.
        """
        self.values = values
        """Gives every value, in order."""

    def __repr__(self) -> str:
        return f"Selector({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selector) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


class TemplateError(ValueError):
    """A template names a value that the event does not have; the message names the selector, never a value."""


class Template:
    """A short text with `{selector}` in it; `{{` and `}}` stand for the braces themselves."""

    __slots__ = ("_pieces", "selectors", "text")

    def __init__(self, text: str, pieces: Sequence[str | Selector]) -> None:
        self.text = text
        self._pieces = tuple(pieces)
        self.selectors = tuple(piece for piece in self._pieces if isinstance(piece, Selector))

    @property
    def fixed_text(self) -> str:
        """What stands between the values."""
        return "".join(piece for piece in self._pieces if isinstance(piece, str))

    def render(self, scope: Scope, quote: Callable[[str], str] | None = None) -> str:
        """Fill the template from `scope`; `quote` is applied to each value, not to the fixed text.

        Strings go in as they are, numbers, booleans, lists and tables as JSON. Raises TemplateError where a value is
        absent or null.
        """
        written = []
        for piece in self._pieces:
            if isinstance(piece, str):
                written.append(piece)
            else:
                text = _written(piece, scope)
                written.append(quote(text) if quote else text)
        return "".join(written)

    def __repr__(self) -> str:
        return f"Template({self.text!r})"


FindField: TypeAlias = Callable[[str], Selector]
"""Gives the selector of `event.NAME` for a name that is no fact of an event. Raises ValueError for an unknown one."""


def parse_selector(text: str, field: FindField | None = None) -> Selector:
    """Compile a selector. Raises ValueError that tells what is wrong with it."""
    if not isinstance(text, str):
        raise ValueError(f"a selector is text such as body.data.state, found {text!r}")  # noqa: TRY004 - one kind of error for the operator
    if len(text) > SELECTOR_CHARACTERS_MAX:
        raise ValueError(f"selector {text[:40]!r}… is longer than {SELECTOR_CHARACTERS_MAX} characters")
    root, path = _parse(text)
    if root in ("body", "claims"):
        return _document_selector(text, root, path)
    if root == "source":
        if path != ((),):
            raise ValueError(f"selector {text!r}: source has no parts")
        return Selector(text, root, (), lambda scope: scope.source, lambda scope: [scope.source])
    if len(path) != 1 or len(path[0]) != 1:
        raise ValueError(
            f'selector {text!r}: expected one name after {root!r}; quote a name that holds a dot: {root}."a.b"'
        )
    name = path[0][0]
    if root == "header":
        return _header_selector(text, name)
    if root == "event" and field is not None and name not in EVENT_FIELDS:
        return field(name)
    return _query_selector(text, name) if root == "query" else _event_selector(text, name)


def parse_template(text: str, field: FindField | None = None) -> Template:
    """Compile a short template. Raises ValueError that tells what is wrong with it."""
    if len(text) > TEMPLATE_CHARACTERS_MAX:
        raise ValueError(f"template {text[:40]!r}… is longer than {TEMPLATE_CHARACTERS_MAX} characters")
    return Template(text, list(_template_pieces(text, field)))


_ROOT: Final = re.compile(r"[a-z]+")
_PIECE: Final = re.compile(
    r'\.(?:(?P<bare>[^.\[\]"{}\s\x00-\x1f\x7f]+)|"(?P<quoted>(?:[^"\\]|\\["\\])+)")|(?P<each>\[\])'
)
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TEMPLATE_TOKEN: Final = re.compile(r'\{\{|\}\}|\{((?:[^{}"]|"(?:[^"\\]|\\.)*")+)\}|[^{}]+')


def _parse(text: str) -> tuple[Root, Path]:
    found = _ROOT.match(text)
    root = next((root for root in ROOTS if found and root == found[0]), None)
    if root is None:
        raise ValueError(
            f"selector {text!r}: expected it to begin with one of {', '.join(ROOTS)}, for example body.data.state"
        )
    groups: list[list[str]] = [[]]
    position = len(root)
    while position < len(text):
        piece = _PIECE.match(text, position)
        if not piece:
            raise ValueError(f'selector {text!r}: cannot read {text[position:]!r}; expected .name, ."odd name" or []')
        if piece["each"]:
            groups.append([])
        else:
            groups[-1].append(piece["bare"] or re.sub(r"\\(.)", r"\1", piece["quoted"]))
        position = piece.end()
    if sum(map(len, groups)) + len(groups) > SELECTOR_PIECES_MAX:
        raise ValueError(f"selector {text!r} has more than {SELECTOR_PIECES_MAX} pieces")
    return root, tuple(tuple(group) for group in groups)


def _document_selector(text: str, root: Root, path: Path) -> Selector:
    field = Scope._fields.index(root)
    if len(path) > 1:

        def values(scope: Scope) -> list[Json]:
            return follow(scope[field], path)

        def first(scope: Scope) -> Json:
            return next(iter(follow(scope[field], path)), ABSENT)

        return Selector(text, root, path, first, values)
    keys = path[0]

    def value(scope: Scope) -> Json:
        found: Json = scope[field]
        try:
            for key in keys:
                found = found[key]
        except (KeyError, TypeError):  # no such key, or what holds it is no table
            return ABSENT
        return found

    return Selector(text, root, path, value, lambda scope: _listed(value(scope)))


def follow(document: Json, path: Path) -> list[Json]:
    """Give every value of `document` that `path` leads to, in order."""
    found = [document]
    for index, keys in enumerate(path):
        if index:
            found = [item for items in found if type(items) is list for item in items]
        for key in keys:
            found = [table[key] for table in found if type(table) is dict and key in table]
    return found


def _header_selector(text: str, name: str) -> Selector:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"selector {text!r}: {name!r} is no header name")
    wanted = name.lower().encode("ascii")

    def values(scope: Scope) -> list[Json]:
        headers = scope.request.headers if scope.request else ()
        return [value.decode("latin-1") for key, value in headers if key == wanted]

    return Selector(text, "header", (), lambda scope: _only(values(scope)), values)


def _query_selector(text: str, name: str) -> Selector:
    def values(scope: Scope) -> list[Json]:
        pairs = [piece.partition("=") for piece in scope.request.query.split("&")] if scope.request else []
        return [unquote_plus(value) for key, _, value in pairs if unquote_plus(key) == name]

    return Selector(text, "query", (), lambda scope: _only(values(scope)), values)


def _event_selector(text: str, name: str) -> Selector:
    if name not in EVENT_FIELDS:
        raise ValueError(f"selector {text!r}: an event has no {name!r}; expected one of {', '.join(EVENT_FIELDS)}")

    def value(scope: Scope) -> Json:
        found = getattr(scope.event, name, None)
        if found is None:
            return ABSENT
        if name == "key":
            return found.hex()
        return event_text(found) if name == "id" and isinstance(found, int) else found

    return Selector(text, "event", (), value, lambda scope: _listed(value(scope)))


def _only(values: list[Json]) -> Json:
    return values[0] if len(values) == 1 else ABSENT


def _listed(value: Json) -> list[Json]:
    return [] if value is ABSENT else [value]


def _template_pieces(text: str, field: FindField | None) -> Iterator[str | Selector]:
    position = 0
    while position < len(text):
        token = _TEMPLATE_TOKEN.match(text, position)
        if not token:
            raise ValueError(
                f"template {text!r}: the brace at character {position + 1} has no partner; {{{{ and }}}} write braces"
            )
        position = token.end()
        if token[1] is not None:
            yield parse_selector(token[1], field)
        else:
            yield {"{{": "{", "}}": "}"}.get(token[0], token[0])


def _written(selector: Selector, scope: Scope) -> str:
    value = selector.value(scope)
    if type(value) is str:
        return value
    if value is ABSENT or value is None:
        raise TemplateError(f"there is nothing at {selector.text}")
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:  # claims from elsewhere may hold what JSON cannot
        raise TemplateError(f"the value at {selector.text} cannot be written as JSON") from error
