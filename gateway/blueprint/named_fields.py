"""Which `event.NAME` of the sources' own a target uses: unknown ones are told, known ones read for its messages."""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from pydantic import BaseModel

from gateway.blueprint.shapes import shape
from gateway.blueprint.values import Source
from gateway.config.lines import Path
from gateway.config.problems import Report
from gateway.config.references import TemplateFile
from gateway.core.fields import RESERVED, FieldsOfSources
from gateway.core.identify import named_fields
from gateway.core.render import FieldsOf
from gateway.core.selector import Selector, parse_selector
from gateway.core.templates import fields_named

_IN_TEXT: Final = re.compile(r"(?<!\{)\{event\.([^{}\s]+)\}")


class NamedFields:
    """The fields of all sources, and what targets want of them."""

    def __init__(self, sources: Mapping[str, Source], report: Report) -> None:
        self.all = FieldsOfSources({name: source.identify.fields for name, source in sources.items()})
        self._rules = {name: source.identify for name, source in sources.items()}
        self._written = {name: source.rule.get("fields", {}) for name, source in sources.items()}
        self._read_by = {name: source.rule for name, source in sources.items()}
        self._shapes: dict[str, str] = {}
        """What `shapes` gave, by the selector's text: many targets may be ordered by one."""
        self._report = report

    def reader(self, used: Mapping[str, Path], *, foreign: bool) -> FieldsOf | None:
        """Give what reads the fields `used`, each named at its path; None if there are none.

        One that no source has is reported; of a plugin's options, which may mean something else, as a warning.
        """
        for name, path in used.items():
            try:
                self.all.find(name)
            except ValueError as error:
                (self._report.warn if foreign else self._report.add)(path, str(error))
        return partial(named_fields, self._rules) if used else None

    def meaning(self, name: str) -> str:
        """Write what a field stands for, source by source."""
        return "; ".join(f"{source}: {table[name]}" for source, table in sorted(self._written.items()) if name in table)

    def shapes(self, selector: Selector) -> str:
        """Write how the sources' rules change what `selector`, of a stored event, reads; empty if none does."""
        if selector.text not in self._shapes:
            found = ((name, shape(rule, self._ways(selector, name))) for name, rule in sorted(self._read_by.items()))
            self._shapes[selector.text] = "; ".join(f"{source} read by {digest}" for source, digest in found if digest)
        return self._shapes[selector.text]

    def _ways(self, selector: Selector, source: str) -> list[Selector]:
        """Give what a selector stands for in a source: itself, or the ways of a field."""
        if selector.root != "field":
            return [selector]
        ways = self._written[source].get(selector.text.removeprefix("event."), ())
        return [parse_selector(way) for way in (ways if isinstance(ways, (list, tuple)) else [ways])]


def used_fields(written: Mapping[str, Any], options: object, path: Path) -> dict[str, Path]:
    """Give the names after `event.` in a target's texts and template files, that are no facts of an event."""
    found = {name: at for text, at in _texts(written, path) for name in _IN_TEXT.findall(text)}
    if isinstance(options, BaseModel):
        for key, value in options:
            if isinstance(value, TemplateFile):
                found |= dict.fromkeys(fields_named(value.text), (*path, key))
    return {name: at for name, at in found.items() if name not in RESERVED}


def _texts(value: Any, path: Path) -> Iterator[tuple[str, Path]]:  # noqa: ANN401 - whatever was written
    if isinstance(value, str):
        yield value, path
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _texts(each, (*path, key))
    elif isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            yield from _texts(each, (*path, index))
