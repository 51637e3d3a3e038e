"""Timestamps that providers sign: strict reading, tolerance both ways against the request's arrival.

Numbers are ASCII digits only: `int()` and `float()` also take signs, spaces, underscores, exponents and other
scripts' digits, and whatever is read differently by two readers is a way around the tolerance.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.plugin import TimestampUnit, VerificationError

_SECONDS: Final = re.compile(rb"[0-9]{1,11}")
_MILLISECONDS: Final = re.compile(rb"[0-9]{1,14}")
_ISO: Final = re.compile(
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def read_timestamp(text: bytes, unit: TimestampUnit) -> int:
    """Give milliseconds since 1970. Raises VerificationError for anything but the one strict form of `unit`."""
    if unit == "s" and _SECONDS.fullmatch(text):
        return int(text) * 1000
    if unit == "ms" and _MILLISECONDS.fullmatch(text):
        return int(text)
    if unit == "iso8601" and _ISO.fullmatch(text):
        try:
            return (datetime.fromisoformat(text.decode()) - _EPOCH) // _MILLISECOND
        except (ValueError, OverflowError):
            raise VerificationError("timestamp", "the timestamp is no date that exists") from None
    raise VerificationError("timestamp", f"the timestamp is not written as {unit}: expected digits only or RFC 3339")


def write_timestamp(moment: int, unit: TimestampUnit) -> bytes:
    """Write milliseconds since 1970 as the provider would."""
    if unit == "s":
        return b"%d" % (moment // 1000)
    if unit == "ms":
        return b"%d" % moment
    return (_EPOCH + moment * _MILLISECOND).isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()


def check_fresh(moment: int, received_at: int, tolerance: float) -> None:
    """Refuse a moment more than `tolerance` seconds from `received_at` (both in ms); exactly that far is taken."""
    if abs(received_at - moment) > tolerance * 1000:
        side = "old" if moment < received_at else "in the future"
        raise VerificationError("stale", f"the timestamp is more than {tolerance:g} s {side}")
