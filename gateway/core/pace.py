"""How fast one target may be tried: its rate limit, and a slow start after it was down.

A token bucket on a monotonic clock that the caller reads: one token a try. The slow start begins with one try at a
time, ten a second; both double every two seconds in which a try succeeded (or none was asked for), each failure goes
back one step, and after ten steps only the target's own limits hold. A target that comes back with a million
deliveries waiting is not knocked over by them (promise P11).
"""

import math
from dataclasses import dataclass
from typing import Final

STEPS: Final = 10
STEP_SECONDS: Final = 2.0
START_PER_SECOND: Final = 10.0
BACK_SECONDS: Final = 0.2
"""Failures closer together than this are one step back: they were under way together."""
TICK_SECONDS: Final = 0.02
"""What is held back is looked at this often, at most: no timer for each delivery."""
AHEAD_SECONDS: Final = 2.0
"""Deliveries are claimed this far ahead of their turn; what a crash interrupts is no more than that."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A written limit. In any second at most `per_second + burst` tries begin."""

    per_second: float
    burst: int


class Pace:
    """Says how many tries may begin now. All times are seconds on one monotonic clock."""

    def __init__(self, rate: Rate | None) -> None:
        self._rate = rate
        self._step: int | None = None
        self._since = 0.0
        self._begun = self._running = self._succeeded = 0
        self._tokens = 0.0 if rate is None else float(rate.burst)
        self._filled: float | None = None

    @property
    def is_free(self) -> bool:
        """True if nothing is held back at all."""
        return self._rate is None and self._step is None

    @property
    def is_starting(self) -> bool:
        """True while the slow start lasts."""
        return self._step is not None

    def start_slowly(self, now: float) -> None:
        """Begin anew with one try at a time."""
        self._fill(now)
        self._step, self._since = 0, now
        self._begun = self._running = self._succeeded = 0
        self._tokens = 1.0 if self._rate is None else min(self._tokens, 1.0)

    def throttle(self, now: float) -> None:
        """The target has too much to do: go on with half of what runs now, then grow again."""
        if self._step is None:
            self._fill(now)
            self._tokens = 0.0
            self._go_to(max(min(self._running.bit_length(), STEPS) - 2, 0), now)
        else:
            self._go_back(now)

    def at_once(self) -> float:
        """Give how many tries may run at the same time."""
        return math.inf if self._step is None else 1 << self._step

    def ready(self, now: float) -> float:
        """Give how many tries may begin now."""
        self._advance(now)
        self._fill(now)
        return math.inf if self._rate is None and self._step is None else int(self._tokens + 1e-9)

    def wait(self, now: float) -> float:
        """Give the seconds until at least one may begin, a tick at least."""
        self._fill(now)
        return max((1.0 - self._tokens) / self._per_second, TICK_SECONDS)

    def ahead(self, now: float) -> float:
        """Give how many deliveries are worth holding in memory: what may begin within the next seconds."""
        self._advance(now)
        if self.is_free:
            return math.inf
        return max(1, math.ceil(self._per_second * AHEAD_SECONDS))

    def begin(self, count: int) -> None:
        """`count` tries begin, no more than `ready` said."""
        self._tokens -= count
        self._begun += count
        self._running += count

    def end(self, count: int, succeeded: bool | None, now: float) -> None:
        """`count` tries ended; `succeeded` is None if they tell nothing of the target."""
        self._running = max(self._running - count, 0)
        if self._step is None or succeeded is None:
            return
        if succeeded:
            self._succeeded += count
        else:
            self._go_back(now)

    @property
    def _per_second(self) -> float:
        ramp = math.inf if self._step is None else START_PER_SECOND * (1 << self._step)
        return ramp if self._rate is None else min(ramp, self._rate.per_second)

    @property
    def _capacity(self) -> float:
        """Tokens that may be saved up; never less than what comes in between two looks."""
        saved = 1.0 if self._rate is None or self._step is not None else float(self._rate.burst)
        return max(saved, self._per_second * TICK_SECONDS * 2)

    def _fill(self, now: float) -> None:
        if not self.is_free and self._filled is not None:
            self._tokens = min(self._tokens + (now - self._filled) * self._per_second, self._capacity)
        self._filled = now

    def _advance(self, now: float) -> None:
        """Go a step up if its time is over and the target did well; several if nobody asked for anything."""
        if self._step is None or now - self._since < STEP_SECONDS:
            return
        idle = not self._begun
        if idle or self._succeeded:
            self._fill(now)
            self._go_to(self._step + (int((now - self._since) / STEP_SECONDS) if idle else 1), now)

    def _go_back(self, now: float) -> None:
        if self._step is not None and now - self._since >= BACK_SECONDS:
            self._fill(now)
            self._go_to(max(self._step - 1, 0), now)

    def _go_to(self, step: int, now: float) -> None:
        self._step = step if step < STEPS else None
        self._since = now
        self._begun, self._succeeded = self._running, 0
