"""Durations, sizes and rates as operators write them: "30s", "2h", "1MiB"."""

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, WithJsonSchema

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
