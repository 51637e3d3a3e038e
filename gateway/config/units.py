"""Durations, sizes and rates as operators write them: "30s", "2h", "1MiB"."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES: Final = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)")
_SIZE: Final = re.compile(r"(\d{1,12})(B|KiB|MiB|GiB|kB|MB|GB)")


def parse_duration(value: object) -> float:
    """Read "500ms", "30s", "2m", "1.5h" or "3d" as seconds. Raises ValueError, also for a bare number."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise ValueError(f'expected a duration like "30s", "2m", "1.5h" or "3d", found {value!r}')
    return float(found[1]) * _SECONDS[found[2]]


def parse_size(value: object) -> int:
    """Read "512B", "64KiB" or "1MiB" as bytes. Raises ValueError, also for a bare number."""
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise ValueError(f'expected a size like "64KiB" or "1MiB", found {value!r}')
    return int(found[1]) * _BYTES[found[2]]


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": rf"^{_DURATION.pattern}$", "examples": ["30s", "2m", "1.5h", "3d"]}),
]
"""Seconds; written as text."""

ByteCount = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"type": "string", "pattern": rf"^{_SIZE.pattern}$", "examples": ["64KiB", "1MiB"]}),
]
"""Bytes; written as text."""


def duration_text(seconds: float) -> str:
    """Write `seconds` as an operator would: the biggest unit that leaves no fraction, `2h` for 7200."""
    for unit in ("d", "h", "m", "s"):
        count = seconds / _SECONDS[unit]
        if count >= 1 and count == int(count):
            return f"{int(count)}{unit}"
    return f"{round(seconds * 1000)}ms"


def size_text(count: int) -> str:
    """Write `count` bytes as an operator would: the biggest binary unit that leaves no fraction, `1MiB` for 1048576."""
    for unit in ("GiB", "MiB", "KiB"):
        if count and count % _BYTES[unit] == 0:
            return f"{count // _BYTES[unit]}{unit}"
    return f"{count}B"


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
