"""When a source refuses so much that a person must look: a secret was changed on one side, a scheme, a clock.

Looks at counters from time to time instead of at requests, so that the hot path pays nothing. Pure; milliseconds since
1970 are an argument.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple

LOOKS: Final = 10
"""Looks within the time of a rule."""


class RefusingRule(NamedTuple):
    """Tell when within the time at least so many requests, and at least this share of all, were refused."""

    share: float = 0.5
    within_ms: int = 600_000
    at_least: int = 20


class Seen(NamedTuple):
    """One source's counters."""

    refused: Mapping[str, int]
    """By reason code."""
    answered: int
    used: Mapping[str, int] = {}
    """Requests that a credential proved, by its name: of all that the source has."""


class Refusals(NamedTuple):
    """What was found of one source."""

    source: str
    refused: int
    requests: int
    reason: str
    """The most frequent."""
    credentials: tuple[str, ...] = ()
    """Those that no request proved meanwhile: whose secret or scheme may be wrong."""


class RefusalWatch:
    """Compares what is counted now with what was counted before. Bounded: `LOOKS` + 1 looks."""

    def __init__(self) -> None:
        self._looks: deque[tuple[int, dict[str, Seen]]] = deque()

    def look(self, counts: Mapping[str, Seen], rule: RefusingRule, now: int) -> list[Refusals]:
        """Take note of the counters and give the sources that refuse too much."""
        if self._looks and now < self._looks[-1][0]:
            self._looks.clear()  # the clock went back
        kept = {name: Seen(dict(seen.refused), seen.answered, dict(seen.used)) for name, seen in counts.items()}
        self._looks.append((now, kept))
        while len(self._looks) > LOOKS + 1 or now - self._looks[0][0] > rule.within_ms:
            self._looks.popleft()
        before = self._looks[0][1]
        # A source that was not there before has counted from zero.
        found = (_since(name, seen, before.get(name, Seen({}, 0))) for name, seen in counts.items())
        return [each for each in found if each.refused >= rule.at_least and each.refused >= rule.share * each.requests]


def _since(source: str, seen: Seen, before: Seen) -> Refusals:
    risen = {reason: count - before.refused.get(reason, 0) for reason, count in seen.refused.items()}
    refused = sum(risen.values())
    reason = max(risen, key=risen.__getitem__, default="")
    unproven = tuple(name for name, uses in seen.used.items() if uses == before.used.get(name, 0))
    return Refusals(source, refused, refused + seen.answered - before.answered, reason, unproven)
