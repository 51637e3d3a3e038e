"""Moments as providers write them and as we write them: ISO 8601, seconds or milliseconds since 1970.

Reading is tolerant, because a provider's odd date must not cost an event; what cannot be used is None.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from gateway.core.model import Json

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_SECONDS_MAX: Final = 100_000_000_000
"""Numbers below are seconds (until the year 5138), from here on milliseconds (from 1973)."""
MILLISECONDS_MAX: Final = 253_402_300_800_000
"""The year 10000."""
_CHARACTERS_MAX: Final = 40


def read_moment(value: Json) -> int | None:
    """Give milliseconds since 1970, or None for anything unusable. A date without a zone is taken as UTC."""
    if type(value) is str:
        return _from_text(value)
    return _from_number(value) if type(value) is int or type(value) is float else None


def write_moment(milliseconds: int) -> str:
    """Write milliseconds since 1970 as `2026-11-21T22:14:05.123Z`."""
    return f"{_whole_second(milliseconds // 1000)}.{milliseconds % 1000:03}Z"


@lru_cache(maxsize=1024)
def _whole_second(seconds: int) -> str:
    """Write the part that thousands of events of one second share."""
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:-6]


def _from_text(text: str) -> int | None:
    if not 0 < len(text) <= _CHARACTERS_MAX:
        return None
    try:
        if "-" not in text:  # no date has none; 20231030 would be read as one
            return _from_number(float(text))
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _bounded((moment - _EPOCH) // _MILLISECOND)


def _from_number(number: float) -> int | None:
    if not 0 < number < MILLISECONDS_MAX:
        return None  # also NaN
    return _bounded(round(number * 1000) if number < _SECONDS_MAX else round(number))


def _bounded(milliseconds: int) -> int | None:
    return milliseconds if 0 < milliseconds < MILLISECONDS_MAX else None
