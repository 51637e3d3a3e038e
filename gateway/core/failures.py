"""When a target fails so often that it is closed until a person opens it: the rule `disable` of a target.

Counted in a sliding window of buckets, so that a million tries cost no more to remember than ten. What is counted, and
when, is the caller's: tries that ended, and deliveries that came while none could be made. The clock is an argument.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

BUCKETS: Final = 60
"""The window moves on by a sixtieth at a time."""


@dataclass(frozen=True, slots=True)
class DisableRule:
    """Close a target when of at least `at_least` deliveries within `within_ms` this share, or more, failed."""

    share: float
    within_ms: int
    at_least: int

    @property
    def bucket_ms(self) -> int:
        """How long one bucket counts."""
        return max(self.within_ms // BUCKETS, 1)


class FailureWindow:
    """Counts what went well and what failed within the time of a rule. All times are milliseconds since 1970."""

    def __init__(self, rule: DisableRule, kept: Sequence[Sequence[int]] = ()) -> None:
        """Begin, with what `rows` gave before a restart."""
        self.rule = rule
        self._buckets: dict[int, tuple[int, int]] = {}
        for at, total, failed in kept:
            self.add(at, total, failed)

    def add(self, now: int, total: int, failed: int) -> None:
        """Count `total` deliveries of which `failed` failed."""
        bucket = now // self.rule.bucket_ms
        before = self._buckets.get(bucket, (0, 0))
        self._buckets[bucket] = (before[0] + total, before[1] + failed)
        if len(self._buckets) > BUCKETS + 1:
            self._forget(now)

    def reached(self, now: int) -> bool:
        """Tell whether the rule says to close the target."""
        total, failed = self.counts(now)
        return total >= self.rule.at_least and failed >= self.rule.share * total

    def counts(self, now: int) -> tuple[int, int]:
        """Give how many were counted within the window, and how many of them failed."""
        self._forget(now)
        return sum(total for total, _ in self._buckets.values()), sum(failed for _, failed in self._buckets.values())

    def clear(self) -> None:
        """Begin anew."""
        self._buckets.clear()

    def rows(self) -> list[tuple[int, int, int]]:
        """Give all counts for the next start: when a bucket began, how many it counted, how many of them failed."""
        return [(bucket * self.rule.bucket_ms, *counts) for bucket, counts in self._buckets.items()]

    def step_back(self, by_ms: int) -> None:
        """The clock went back by `by_ms`: what was counted is as old as before."""
        moved = [(at - by_ms, total, failed) for at, total, failed in self.rows()]
        self.clear()
        for each in moved:
            self.add(*each)

    def _forget(self, now: int) -> None:
        oldest = (now - self.rule.within_ms) // self.rule.bucket_ms
        for bucket in [each for each in self._buckets if each <= oldest]:
            del self._buckets[bucket]
