"""The base of every table of the configuration, and the small types that several tables share.

Attribute docstrings are the documentation: the JSON Schema, the reference and editors show them.
"""

import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema

from gateway.config.described import Described
from gateway.core.pattern import Pattern

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class Table(Described):
    """A table of the configuration: immutable, unknown keys refused, nothing converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)


def written(value: Any, **more: Any) -> Any:  # noqa: ANN401 - the field's own type is made of it
    """Give a field's default in the form of the file: converted like any value, shown by schema and reference."""
    return Field(default=value, **more)


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f'expected a name of letters, digits, "-" and "_", at most 64, found "{name[:80]}": rename it')
    return name


Name = Annotated[str, AfterValidator(_check_name)]
"""The name of a source, credential, route, target or policy."""


def _globs(value: Any) -> Any:  # noqa: ANN401 - whatever the operator wrote
    globs = [value] if isinstance(value, str) else value
    if not isinstance(globs, (list, tuple)):
        raise ValueError('expected a text such as "order.*" or a list of them')  # noqa: TRY004 - pydantic wants it
    Pattern(globs)
    return tuple(globs)


Globs = Annotated[
    tuple[str, ...],
    BeforeValidator(_globs),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
            ],
            "examples": ["order.*", ["order.completed", "order.cancelled"]],
        }
    ),
]
"""One text or glob, or a list of which any may fit; `*` crosses dots."""
