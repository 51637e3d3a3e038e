"""Template files for messages, on minijinja: written by operators, filled with what strangers sent.

A payload is only ever a value (row D6): nothing in it is compiled, and where the content type is JSON or HTML each
value is escaped for it. Undefined names are errors, steps and output are bounded (row D7). Not bounded is what only the
template itself can do, such as a string that doubles itself: templates are the operator's own.
"""

from dataclasses import dataclass
from typing import Any, Final

import minijinja
import orjson

SOURCE_CHARACTERS_MAX: Final = 64 * 1024
OUTPUT_MAX: Final = 1024 * 1024
"""Bytes."""
FUEL_MAX: Final = 500_000
"""Steps of the engine: some 10 ms."""
FUEL_MIN: Final = 20_000
FIXED_TEXT_MAX: Final = 256 * 1024 * 1024
"""Steps times length of the template: bounds what a loop can write of the template's own text before it is measured."""


@dataclass(frozen=True, slots=True)
class TemplateSource:
    """A template as it was read."""

    name: str
    """The file's name, for messages."""
    text: str
    content_type: str = "application/json"
    """Of what it writes; JSON and HTML escape each value accordingly, and JSON is checked before it goes out."""


class TemplateUnfitError(ValueError):
    """A template could not be filled with the values of this event; tells place and kind, never a value."""


class CompiledTemplate:
    """A template, compiled. Not reentrant: fill it from one thread."""

    def __init__(self, source: TemplateSource) -> None:
        """Compile. Raises ValueError that names file and line."""
        if len(source.text) > SOURCE_CHARACTERS_MAX:
            raise ValueError(f"template {source.name} is longer than {SOURCE_CHARACTERS_MAX} characters")
        self.content_type = source.content_type
        self._name = source.name
        self._written = 0
        kind = source.content_type.partition(";")[0].strip().lower()
        self._is_json = kind == "application/json" or kind.endswith("+json")
        escape = "json" if self._is_json else "html" if kind.endswith(("html", "xml")) else None
        steps = FIXED_TEXT_MAX // max(len(source.text), 1)
        self._environment = minijinja.Environment(
            undefined_behavior="strict",
            fuel=max(FUEL_MIN, min(FUEL_MAX, steps)),
            debug=False,  # else errors quote values
            auto_escape_callback=lambda _name: escape,
            finalizer=self._count,
            pycompat=False,
        )
        try:
            self._environment.add_template(source.name, source.text)
        except minijinja.TemplateError as error:
            raise ValueError(_first_line(error)) from None

    def fill(self, values: dict[str, Any]) -> bytes:
        """Give the output for `values`. Raises TemplateUnfitError."""
        self._written = 0
        try:
            output = self._environment.render_template(self._name, **values).encode("utf-8", "replace")
        except minijinja.TemplateError as error:
            raise TemplateUnfitError(_first_line(error)) from None
        except TemplateUnfitError:
            raise
        except BaseException as error:  # noqa: BLE001 - a panic of the engine is no Exception
            raise TemplateUnfitError(f"the engine failed: {type(error).__name__} (in {self._name})") from None
        if len(output) > OUTPUT_MAX:
            raise TemplateUnfitError(f"more than {OUTPUT_MAX} bytes (in {self._name})")
        if self._is_json:
            self._check_json(output)
        return output

    def _check_json(self, output: bytes) -> None:
        try:
            orjson.loads(output)
        except orjson.JSONDecodeError as error:
            raise TemplateUnfitError(f"wrote no JSON: {error.msg} at byte {error.pos} (in {self._name})") from None

    def _count(self, value: Any) -> Any:  # noqa: ANN401 - whatever the template writes
        """Stop a loop that writes a long value again and again before it has filled the memory."""
        text = orjson.dumps(value) if isinstance(value, (list, dict)) else value
        self._written += len(text) if isinstance(text, (str, bytes)) else 1
        if self._written > OUTPUT_MAX:
            raise TemplateUnfitError(f"more than {OUTPUT_MAX} bytes (in {self._name})")
        return value


def fields_named(text: str) -> set[str]:
    """Give the names after `event.` that a template uses; none for a template that cannot be compiled."""
    try:
        found = minijinja.Environment().undeclared_variables_in_str(text, nested=True)
    except minijinja.TemplateError:
        return set()
    return {name.split(".")[1] for name in found if name.startswith("event.")}


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
