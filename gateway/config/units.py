"""Durations, sizes and rates as operators write them: "30s", "2h", "1MiB"."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from gateway.core.units import (
    DURATION,
    RATE,
    SHARE,
    SIZE,
    duration_text,
    parse_duration,
    parse_rate,
    parse_share,
    parse_size,
    size_text,
)

__all__ = [
    "ByteCount",
    "Duration",
    "PerSecond",
    "Share",
    "duration_between",
    "duration_text",
    "parse_duration",
    "parse_size",
    "size_between",
    "size_text",
]

Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": rf"^{DURATION.pattern}$", "examples": ["30s", "2m", "1.5h", "3d"]}),
]
"""Seconds; written as text."""

ByteCount = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"type": "string", "pattern": rf"^{SIZE.pattern}$", "examples": ["64KiB", "1MiB"]}),
]
"""Bytes; written as text."""

PerSecond = Annotated[
    float,
    BeforeValidator(parse_rate),
    WithJsonSchema({"type": "string", "pattern": rf"^{RATE.pattern}$", "examples": ["50/s", "100/m", "1000/h"]}),
]
"""A number a second; written as text."""

Share = Annotated[
    float,
    BeforeValidator(parse_share),
    WithJsonSchema({"type": "string", "pattern": rf"^{SHARE.pattern}$", "examples": ["80%"]}),
]
"""Above 0, at most 1; written as a percentage."""


def duration_between(low: str, high: str) -> AfterValidator:
    """Give a validator that refuses durations below `low` or above `high`, both written as durations."""
    least, most = parse_duration(low), parse_duration(high)

    def check(seconds: float) -> float:
        if not least <= seconds <= most:
            raise ValueError(f'expected a duration from "{low}" to "{high}", found "{duration_text(seconds)}"')
        return seconds

    return AfterValidator(check)


def size_between(low: str, high: str) -> AfterValidator:
    """Give a validator that refuses sizes below `low` or above `high`, both written as sizes."""
    least, most = parse_size(low), parse_size(high)

    def check(count: int) -> int:
        if not least <= count <= most:
            raise ValueError(f'expected a size from "{low}" to "{high}", found "{size_text(count)}"')
        return count

    return AfterValidator(check)
