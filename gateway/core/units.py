"""Durations, sizes, rates and shares as operators write them: "30s", "1MiB", "50/s", "80%".

The types for the schema are in `config.units`.
"""

import re
from typing import Final

SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
BYTES: Final = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)")
SIZE: Final = re.compile(r"(\d{1,12})(B|KiB|MiB|GiB|kB|MB|GB)")
RATE: Final = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)/(s|m|h)")
SHARE: Final = re.compile(r"(\d{1,3}(?:\.\d{1,2})?)%")


def parse_duration(value: object) -> float:
    """Read "500ms", "30s", "2m", "1.5h" or "3d" as seconds. Raises ValueError, also for a bare number."""
    found = DURATION.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise ValueError(f'expected a duration like "30s", "2m", "1.5h" or "3d", found {value!r}')
    return float(found[1]) * SECONDS[found[2]]


def parse_size(value: object) -> int:
    """Read "512B", "64KiB" or "1MiB" as bytes. Raises ValueError, also for a bare number."""
    found = SIZE.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise ValueError(f'expected a size like "64KiB" or "1MiB", found {value!r}')
    return int(found[1]) * BYTES[found[2]]


def parse_rate(value: object) -> float:
    """Read "50/s", "100/m" or "1000/h" as a number a second, above 0. Raises ValueError."""
    found = RATE.fullmatch(value) if isinstance(value, str) else None
    if not found or not float(found[1]):
        raise ValueError(f'expected a rate like "50/s", "100/m" or "1000/h", found {value!r}')
    return float(found[1]) / SECONDS[found[2]]


def parse_share(value: object) -> float:
    """Read "80%" as 0.8; above 0 and at most 1. Raises ValueError."""
    found = SHARE.fullmatch(value) if isinstance(value, str) else None
    if not found or not 0 < float(found[1]) <= 100:
        raise ValueError(f'expected a share like "80%", found {value!r}')
    return float(found[1]) / 100


def duration_text(seconds: float) -> str:
    """Write `seconds` as an operator would: the biggest unit that leaves no fraction, `2h` for 7200."""
    for unit in ("d", "h", "m", "s"):
        count = seconds / SECONDS[unit]
        if count >= 1 and count == int(count):
            return f"{int(count)}{unit}"
    return f"{round(seconds * 1000)}ms"


def size_text(count: int) -> str:
    """Write `count` bytes as an operator would: the biggest binary unit that leaves no fraction, `1MiB` for 1048576."""
    for unit in ("GiB", "MiB", "KiB"):
        if count and count % BYTES[unit] == 0:
            return f"{count // BYTES[unit]}{unit}"
    return f"{count}B"
