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


class Refusals(NamedTuple):
    """What was found of one source."""

    source: str
    refused: int
    requests: int
    reason: str
    """The most frequent."""


class RefusalWatch:
    """Compares what is counted now with what was counted before. Bounded: `LOOKS` + 1 looks."""

    def __init__(self) -> None:
        self._looks: deque[tuple[int, dict[str, Seen]]] = deque()

    def look(self, counts: Mapping[str, Seen], rule: RefusingRule, now: int) -> list[Refusals]:
        """Take note of the counters and give the sources that refuse too much."""
        if self._looks and now < self._looks[-1][0]:
            self._looks.clear()  # the clock went back
        self._looks.append((now, {name: Seen(dict(seen.refused), seen.answered) for name, seen in counts.items()}))
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
    return Refusals(source, refused, refused + seen.answered - before.answered, reason)
