"""The last refused requests, for the operator: bounded, in memory, without bodies, headers or secrets."""

from collections import deque
from typing import Final, NamedTuple

KEPT: Final = 200
LOGGED_PER_SECOND: Final = 10


class Refusal(NamedTuple):
    """One request that was not taken, and why."""

    at: int
    """Milliseconds since 1970."""
    source: str
    client: str
    status: int
    reason: str
    detail: str
    """For the operator, at most 300 characters; never part of the request's secrets or body."""


class Refusals:
    """A ring of the newest refusals; says which may be logged, so that a flood cannot fill the disk.

    Beside it the newest of each source and reason with their number, which a burst of others does not drive out.
    """

    def __init__(self) -> None:
        self._ring: deque[Refusal] = deque(maxlen=KEPT)
        self._folded: dict[tuple[str, str], tuple[Refusal, int]] = {}
        """By source and reason, the newest last."""
        self._second = 0
        self._logged = 0

    def add(self, refusal: Refusal) -> bool:
        """Keep `refusal`; True if it should be logged too (at most ten in a second)."""
        self._ring.append(refusal)
        self.fold(refusal)
        second = refusal.at // 1000
        if second != self._second:
            self._second, self._logged = second, 0
        self._logged += 1
        return self._logged <= LOGGED_PER_SECOND

    def fold(self, refusal: Refusal) -> None:
        """Keep it as the newest of its source and reason alone: of what strangers send all day, one is enough."""
        kind = (refusal.source, refusal.reason)
        _, count = self._folded.pop(kind, (None, 0))
        self._folded[kind] = (refusal, count + 1)
        if len(self._folded) > KEPT:
            del self._folded[next(iter(self._folded))]

    def newest(self, limit: int) -> list[Refusal]:
        """Give the newest refusals, newest first."""
        return list(self._ring)[: -limit - 1 : -1]

    def folded(self, limit: int) -> list[tuple[Refusal, int]]:
        """Give the newest refusal of each source and reason with how many there were, newest first."""
        return list(self._folded.values())[: -limit - 1 : -1]
