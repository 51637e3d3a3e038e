"""The Retry-After header: how long an endpoint asks us to wait (RFC 9110, section 10.2.3).

Pure. Seconds, or a date in any of the three forms that a recipient must read (section 5.6.7). What is in no form, or a
date that there is none of, is as good as no header.
"""

import re
from datetime import UTC, datetime
from typing import Final

ASKED_MAX: Final = 86_400.0
"""Seconds: an endpoint that asks for more has its clock or its header wrong."""

_SECONDS: Final = re.compile(rb"[0-9]+")
_DAY: Final = rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG_DAY: Final = rb"(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"
_MONTH: Final = rb"(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK: Final = rb"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_DATES: Final = (
    re.compile(_DAY + rb", (?P<day>[0-9]{2}) " + _MONTH + rb" (?P<year>[0-9]{4}) " + _CLOCK + rb" GMT"),
    re.compile(_LONG_DAY + rb", (?P<day>[0-9]{2})-" + _MONTH + rb"-(?P<year>[0-9]{2}) " + _CLOCK + rb" GMT"),
    re.compile(_DAY + rb" " + _MONTH + rb" (?P<day>[0-9]{2}| [0-9]) " + _CLOCK + rb" (?P<year>[0-9]{4})"),
)
"""IMF-fixdate, RFC 850 and asctime."""
_MONTHS: Final = b"JanFebMarAprMayJunJulAugSepOctNovDec"
_CENTURY: Final = 100
_FUTURE_YEARS_MAX: Final = 50


def retry_after(value: bytes | None, now_ms: int) -> float | None:
    """Give the seconds from now, 0 to `ASKED_MAX`; None if the header is absent or says nothing."""
    if value is None:
        return None
    if _SECONDS.fullmatch(value):
        return min(float(value), ASKED_MAX)
    found = next((match for form in _DATES if (match := form.fullmatch(value))), None)
    moment = None if found is None else _moment(found, now_ms)
    return None if moment is None else min(max(moment - now_ms / 1000, 0.0), ASKED_MAX)


def _moment(found: re.Match[bytes], now_ms: int) -> float | None:
    month = _MONTHS.index(found["month"]) // 3 + 1
    day, hour, minute, second = (int(found[name]) for name in ("day", "hour", "minute", "second"))
    leap = second == 60  # which a date may hold, and `datetime` cannot
    try:
        date = datetime(_year(found["year"], now_ms), month, day, hour, minute, second - leap, tzinfo=UTC)
    except ValueError:  # 31 February, hour 25
        return None
    return date.timestamp() + leap


def _year(digits: bytes, now_ms: int) -> int:
    """Read a year; one of two digits is never more than 50 years ahead."""
    if len(digits) > 2:
        return int(digits)
    this_year = datetime.fromtimestamp(now_ms / 1000, UTC).year
    year = this_year - this_year % _CENTURY + int(digits)
    return year - _CENTURY if year > this_year + _FUTURE_YEARS_MAX else year
