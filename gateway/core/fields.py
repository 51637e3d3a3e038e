"""Fields: what a source's events have under a name of ours, so that a route reads `event.state`, whoever sends it.

A name stands for a selector, or for a list of them, of which the first that finds something counts. Fields are read
of what routes see: of a split request its part. They are no facts of an event, and stored nowhere. Pure.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from gateway.core.model import Json, Message
from gateway.core.problems import unknown
from gateway.core.selector import ABSENT, EVENT_FIELDS, Scope, Selector, parse_selector

FIELDS_MAX: Final = 64
WAYS_MAX: Final = 16
"""Selectors of one field."""
RESERVED: Final = frozenset({*EVENT_FIELDS, "accepted_at", "credential", "part", "payload", "target", "route"})
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_NOTHING: Final = (ABSENT, None, "")


class Fields:
    """The fields of one source. Immutable."""

    __slots__ = ("_by_name",)

    def __init__(self, written: Any = None) -> None:  # noqa: ANN401 - whatever was written
        """Compile a table of names and selectors. Raises ValueError that names what is wrong."""
        written = {} if written is None else written
        if not isinstance(written, Mapping) or len(written) > FIELDS_MAX:
            raise ValueError(f"expected a table of at most {FIELDS_MAX} names and selectors")
        self._by_name = {name: _field(name, ways) for name, ways in written.items()}

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def find(self, name: str) -> Selector:
        """Give the selector of `event.name`. Raises ValueError for an unknown one."""
        return self._by_name.get(name) or _refuse(name, self._by_name)

    def read(self, scope: Scope) -> dict[str, Json]:
        """Give the fields that the event of `scope` has."""
        found = ((name, selector.value(scope)) for name, selector in self._by_name.items())
        return {name: value for name, value in found if value is not ABSENT}


class FieldsOfSources:
    """The fields of all sources, for what gets events of several."""

    def __init__(self, sources: Mapping[str, Fields]) -> None:
        self._sources = sources
        self.names = tuple(sorted({name for fields in sources.values() for name in fields}))

    def find(self, name: str) -> Selector:
        """Give a selector of `event.name` that asks the source of an event. Raises ValueError if no source knows it."""
        readers = {source: fields.find(name).value for source, fields in self._sources.items() if name in fields}
        if not readers:
            return _refuse(name, self.names)

        def value(scope: Scope) -> Json:
            read = readers.get(scope.source)
            return ABSENT if read is None else read(scope)

        return _selector(name, value)


def message_field(name: str) -> Selector:
    """Give a selector of `event.name` that asks the message. Raises ValueError for what is no name."""
    if not NAME.fullmatch(name):
        return _refuse(name, ())

    def value(scope: Scope) -> Json:
        return scope.event.fields.get(name, ABSENT) if isinstance(scope.event, Message) else ABSENT

    return _selector(name, value)


def _field(name: str, written: Any) -> Selector:  # noqa: ANN401 - whatever was written
    if not NAME.fullmatch(name) or name in RESERVED:
        taken = ", ".join(sorted(RESERVED))
        raise ValueError(f"{name[:60]!r} is no name of a field: expected small letters, digits and _, none of {taken}")
    ways = written if isinstance(written, (list, tuple)) else [written]
    if not 0 < len(ways) <= WAYS_MAX:
        raise ValueError(f"{name}: expected 1 to {WAYS_MAX} selectors, found {len(ways)}")
    selectors = [parse_selector(way) for way in ways]
    if unfit := next((each.text for each in selectors if each.root in ("event", "source", "claims")), ""):
        raise ValueError(f"{name}: expected selectors of body, header or query, found {unfit!r}")
    if len(selectors) == 1:
        (only,) = selectors
        return Selector(f"event.{name}", only.root, only.path, only.value, only.values)
    readers = [each.value for each in selectors]
    return _selector(name, lambda scope: _first(readers, scope))


def _first(readers: list[Callable[[Scope], Json]], scope: Scope) -> Json:
    return next((found for read in readers if (found := read(scope)) not in _NOTHING), ABSENT)


def _selector(name: str, value: Callable[[Scope], Json]) -> Selector:
    def values(scope: Scope) -> list[Json]:
        found = value(scope)
        return [] if found is ABSENT else [found]

    return Selector(f"event.{name}", "field", (), value, values)


def _refuse(name: str, known: Any) -> Selector:  # noqa: ANN401 - names
    raise ValueError(unknown(name, (*EVENT_FIELDS, *known), "field of an event"))
