"""What the answers to sent samples should be, and in words whether they are. No input or output."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from gateway.blueprint.values import Source
from gateway.core.model import Request
from gateway.core.published import NO_KEYS
from gateway.errors import KeyUnavailableError, VerificationError
from gateway.ingress.verify import verify_with


class Expectation(NamedTuple):
    """Whether requests must be refused, and why."""

    refused: bool
    why: str


def expectation(source: Source, request: Request, now_ms: int, wanted: Mapping[str, Any]) -> Expectation:
    """Tell what must become of `request` when it arrives at `now_ms`: the source's own verification is asked."""
    if wanted["bad_signature"]:
        return Expectation(True, "its signature is spoilt")
    if not wanted["old"]:
        return Expectation(False, "")
    try:
        verify_with(source, request._replace(received_at=now_ms), NO_KEYS)
    except (VerificationError, KeyUnavailableError):
        return Expectation(True, f"it is signed as {wanted['old']:g} seconds old")
    return Expectation(False, "no time is signed by this scheme, or that one is within its tolerance")


def in_words(expected: Expectation, answers: Mapping[int, int], wanted: Mapping[str, Any]) -> tuple[bool, str]:
    """Tell whether the answers are as expected, and say so."""
    statuses = "/".join(map(str, sorted(answers)))
    refused, taken = (_all(answers, range(400, 500)), _all(answers, range(200, 300)))
    fits = refused if expected.refused else taken
    because = f": {expected.why}" if expected.why else ""
    doubt = "does the daemon run this configuration?"
    if refused and expected.refused:
        return fits, f"refused with {statuses}, as it should be{because}"
    if taken and expected.refused:
        return (
            fits,
            f"taken with {statuses}, but it should be refused{because}; {doubt}",
        )
    if taken:
        return fits, f"taken with {statuses}, as it should be{because}{_how(wanted)}"
    should = "refused" if expected.refused else "taken"
    return fits, f"answered {statuses}, but it should be {should}{because}"


def _how(wanted: Mapping[str, Any]) -> str:
    twice = "; each was sent twice, and the second makes no event" if wanted["duplicate"] else ""
    burst = f"; {wanted['burst']} at once, each on a connection of its own" if wanted["burst"] > 1 else ""
    return twice + burst


def _all(answers: Iterable[int], statuses: range) -> bool:
    return all(status in statuses for status in answers)
