"""What the reply of an HTTP endpoint, or its absence, means for a delivery: one table, the same for every HTTP target.

Pure. Reasons name the status or the cause and, where the operator can do something, what; they quote nothing of the
reply's body, which may repeat the payload.
"""

import re
from datetime import UTC, datetime
from typing import Final

from gateway.plugin import Delivered, HttpReply, NotTried, Outcome, Rejected, Retry, TargetDown, WireError

_LATER: Final = frozenset({408, 425, 429})
_NEVER: Final = frozenset({400, 413, 415, 422})
_TARGET: Final = {
    401: "the endpoint wants other credentials: check the target's headers",
    403: "the endpoint forbids it: check the target's headers and the endpoint's rules",
    404: "there is nothing at the target's url: check its path",
    405: "the endpoint does not take the target's method",
    407: "a proxy stands in between: write the url of the service itself",
}
_DOWN: Final = frozenset({"dns", "denied-address", "refused", "unreachable", "tls", "timeout"})
"""Causes that come before anything of the message is sent, and concern every message alike."""

_SECONDS: Final = re.compile(rb"[0-9]{1,9}")
_DATE: Final = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4} "
    rb"[0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
)
_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"


def judge_reply(reply: HttpReply, took_ms: int, now_ms: int) -> Outcome:
    """Give the outcome of a reply that took `took_ms`; `now_ms` is for a Retry-After that holds a date.

    A status of the 400s that the table does not know may pass (409, 423, 451, …): it is tried again.
    """
    status = reply.status
    if status < 300:
        cut = ", its body was cut short" if reply.truncated else ""
        return Delivered(f"{status} in {took_ms} ms{cut}")
    if status in _NEVER:
        return Rejected(f"HTTP {status}")
    if status == 410:
        return TargetDown(
            "HTTP 410: the endpoint is gone for good; enable the target once its url is right", disable=True
        )
    after = retry_after(reply.header(b"retry-after"), now_ms)
    if status < 400:
        return TargetDown(f"HTTP {status}: redirects are not followed; write the final address as url", after)
    if status in _TARGET:
        return TargetDown(f"HTTP {status}: {_TARGET[status]}", after)
    return Retry(f"HTTP {status}", after)


def judge_failure(error: WireError) -> Outcome:
    """Give the outcome of a request that got no reply."""
    text = f"{error.reason}: {error}"[:500]
    if error.reason in _DOWN:
        return TargetDown(text)
    return NotTried(text) if error.reason == "exhausted" else Retry(text)


def retry_after(value: bytes | None, now_ms: int) -> float | None:
    """Read a Retry-After header as seconds from now, none below 0; None if it is absent or in no form of RFC 9110.

    Of the three forms of a date only the one that servers may still send is read (IMF-fixdate, section 5.6.7).
    """
    if value is None:
        return None
    if _SECONDS.fullmatch(value):
        return float(value)
    if not _DATE.fullmatch(value):
        return None
    _, day, month, year, clock, _ = value.decode("ascii").split(" ")
    try:
        hour, minute, second = (int(part) for part in clock.split(":"))
        date = datetime(int(year), _MONTHS.index(month) // 3 + 1, int(day), hour, minute, second, tzinfo=UTC)
    except ValueError:  # 31 February, hour 25
        return None
    return max(0.0, date.timestamp() - now_ms / 1000)
