"""What the reply of an HTTP endpoint, or its absence, means for a delivery: one table, the same for every HTTP target.

Pure. Reasons name the status or the cause and, where the operator can do something, what; they quote nothing of the
reply's body, which may repeat the payload.
"""

from collections.abc import Mapping
from typing import Final

from gateway.plugin import Delivered, HttpReply, NotTried, Outcome, Rejected, Retry, TargetDown, WireError
from gateway.targets.retry_after import retry_after
from gateway.targets.statuses import StatusVerdict

_BUSY: Final = frozenset({429, 502, 504})
"""The endpoint, or what stands before it, has too much to do: it is given less for a while (Standard Webhooks)."""
_NEVER: Final = frozenset({400, 413, 415, 422})
_TARGET: Final = {
    401: "the endpoint wants other credentials: check the target's headers",
    403: "the endpoint forbids it: check the target's headers and the endpoint's rules",
    404: "there is nothing at the target's url: check its path",
    405: "the endpoint does not take the target's method",
    407: "a proxy in between wants credentials: check user and password of proxy",
}
_DOWN: Final = frozenset({"dns", "denied-address", "refused", "unreachable", "tls", "timeout", "proxy", "token"})
"""Causes that come before anything of the message is sent, and concern every message alike."""


def judge_reply(
    reply: HttpReply, took_ms: int, now_ms: int, statuses: Mapping[int, StatusVerdict] | None = None
) -> Outcome:
    """Give the outcome of a reply that took `took_ms`; `now_ms` is for a Retry-After that holds a date.

    `statuses` is what the operator says of single ones. A status of the 400s that no table knows may pass (409, 423,
    451, …): it is tried again.
    """
    status = reply.status
    if statuses and (verdict := statuses.get(status)):
        return _overridden(verdict, reply, took_ms, now_ms)
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
    return Retry(f"HTTP {status}", after, throttle=_is_busy(status, after))


def _overridden(verdict: StatusVerdict, reply: HttpReply, took_ms: int, now_ms: int) -> Outcome:
    text = f"HTTP {reply.status}, by the target's statuses"
    match verdict:
        case "delivered":
            return Delivered(f"{text}, in {took_ms} ms")
        case "reject":
            return Rejected(text)
        case "close":
            return TargetDown(f"{text}; enable the target once its endpoint is right", disable=True)
    after = retry_after(reply.header(b"retry-after"), now_ms)
    return TargetDown(text, after) if verdict == "down" else Retry(text, after, throttle=_is_busy(reply.status, after))


def _is_busy(status: int, after: float | None) -> bool:
    """Tell whether it is the service that is busy: 503 without a time may be a single message's trouble."""
    return status in _BUSY or (status == 503 and after is not None)


def judge_failure(error: WireError) -> Outcome:
    """Give the outcome of a request that got no reply."""
    text = f"{error.reason}: {error}"[:500]
    if error.reason in _DOWN:
        return TargetDown(text, getattr(error, "after", None))
    return NotTried(text) if error.reason == "exhausted" else Retry(text)
