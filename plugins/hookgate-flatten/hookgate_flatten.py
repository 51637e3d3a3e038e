"""Transform `flatten`: nested JSON becomes one level, `{"a": {"b": 1}}` becomes `{"a.b": 1}`."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import Field

from gateway.plugin import Json, Message, Options, transform


class FlattenOptions(Options):
    """How names are joined."""

    separator: str = Field(default=".", min_length=1, max_length=4)
    """What stands between the names of two levels."""


@transform(FlattenOptions)
def flatten(message: Message, options: FlattenOptions) -> tuple[bytes, str]:
    """Flatten the payload. Raises ValueError if it is no JSON object."""
    if not isinstance(message.data, dict):
        raise ValueError("expected a JSON object")  # noqa: TRY004 - the payload's value, not an argument
    return json.dumps(dict(_leaves(message.data, "", options.separator))).encode(), "application/json"


def _leaves(value: Json, name: str, separator: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict | list) or not value:
        yield name, value
        return
    for key, below in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _leaves(below, f"{name}{separator}{key}" if name else str(key), separator)
