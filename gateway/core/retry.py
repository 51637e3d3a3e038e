"""Retry policies: when a delivery that failed is tried again, and when it is dead.

Every policy is a list of waits, then perhaps one wait again and again, and always an end. Jitter only ever makes a
wait longer, so nothing is tried before its time (promise P11). The draw of the jitter is an argument.

`give_up` is the age of the event at which the waiting ends. An event that is already that old when it first fails (it
was parked behind a gate, or replayed) still gets the written list of waits once, as it could not use them before.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.core.problems import Findings, Problem, ProblemsError, unknown
from gateway.core.units import duration_text, parse_duration

RETRY_AFTER_MAX: Final = 86_400.0
DELAYS_MAX: Final = 100
DELAY_MAX: Final = 30 * 86_400.0
ATTEMPTS_MAX: Final = 10_000
GIVE_UP_MAX: Final = 365 * 86_400.0
FACTOR_MAX: Final = 100.0
LAST_WAIT_MIN: Final = 1.0
"""Seconds: how close before `give_up` the last try may come, so that a clock that steps cannot make many of it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When to try again. All durations are seconds. Use `parse_policy`, which sees to the bounds."""

    delays: tuple[float, ...]
    """The waits before the second try, the third, and so on."""
    then: float | None = None
    """The wait between all further tries; None: there are none."""
    give_up: float | None = None
    jitter: float = 0.0
    """Each wait grows by up to this part of it."""
    attempts: int | None = None
    """Tries in all, the first included."""

    @property
    def attempts_max(self) -> int:
        """Tries in all after which a delivery is dead, whatever its age."""
        return min(self.attempts or ATTEMPTS_MAX, self._scheduled, ATTEMPTS_MAX)

    @property
    def _scheduled(self) -> int:
        """How many tries fit in if each fails at once: one, and one after each wait begun before `give_up`."""
        end = math.inf if self.give_up is None else self.give_up
        elapsed = 0.0
        for tries, delay in enumerate(self.delays, start=1):
            if elapsed >= end:
                return tries
            elapsed += delay
        listed = 1 + len(self.delays)
        if self.then is None or elapsed >= end:
            return listed
        return ATTEMPTS_MAX if end == math.inf else listed + math.ceil((end - elapsed) / self.then)

    def next_delay(
        self, attempts_so_far: int, age_seconds: float, jitter: float, retry_after: float | None = None
    ) -> float | None:
        """Give the seconds to wait after `attempts_so_far` tries (at least 1) that failed; None: it is dead.

        `jitter` is a draw from [0, 1); `retry_after` is what the target asked for: the wait is never shorter, but it
        counts for 24 hours at most.
        """
        listed = attempts_so_far <= len(self.delays)
        too_old = self.give_up is not None and age_seconds >= self.give_up
        if attempts_so_far >= self.attempts_max or (too_old and self._has_waited(attempts_so_far)):
            return None
        base = self.delays[attempts_so_far - 1] if listed else self.then
        if base is None:
            return None
        wait = base * (1 + self.jitter * jitter)
        if self.give_up is not None and not too_old:
            wait = min(wait, max(self.give_up - age_seconds, LAST_WAIT_MIN))
        return max(wait, _asked(retry_after))

    def _has_waited(self, attempts_so_far: int) -> bool:
        """Tell whether an event as old as `give_up` has had its waits, and not spent its age behind a gate."""
        waited = sum(self.delays[: attempts_so_far - 1]) * (1 + self.jitter)
        return attempts_so_far > len(self.delays) or waited >= (self.give_up or 0)


def _asked(retry_after: float | None) -> float:
    if retry_after is None or not retry_after > 0:  # NaN is not
        return 0.0
    return min(retry_after, RETRY_AFTER_MAX)


_HOUR: Final = 3600.0
DEFAULT_POLICY: Final = Policy((5, 30, 120, 480, 1920, 2 * _HOUR), then=6 * _HOUR, give_up=72 * _HOUR, jitter=0.1)
"""Spans three days, and tries again soon at first: most outages are restarts."""

NAMED_POLICIES: Final[Mapping[str, Policy]] = {
    "default": DEFAULT_POLICY,
    # The steps of the provider's hooks page: 5 retries.
    "truora": Policy((30, 120, 480, 1920, 7680)),
    # The provider's page promises 48 hours of retries and no steps.
    "truework": Policy((60, 300, 900, _HOUR, 3 * _HOUR), then=6 * _HOUR, give_up=48 * _HOUR, jitter=0.1),
}

KEYS: Final = ("delays", "then", "first", "factor", "max", "attempts", "give_up", "jitter")


def parse_policy(written: Mapping[str, Any] | str) -> Policy:
    """Make the policy that `written` names or describes; durations as text ("30s") or in seconds, None = not written.

    Either `delays` (with `then`) or `first` (with `factor` and `max`); with `then` or `first` an end must be written:
    `give_up` or `attempts`. Raises ProblemsError with everything that is wrong, by key path.
    """
    if isinstance(written, str):
        if written not in NAMED_POLICIES:
            raise ProblemsError([Problem((), unknown(written, NAMED_POLICIES, "policy"))])
        return NAMED_POLICIES[written]
    reader = _Reader({key: value for key, value in written.items() if value is not None})
    policy = reader.policy()
    reader.findings.check()
    return policy


class _Reader:
    """Reads one table; what is wrong goes into `findings`, and reading goes on."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.findings = Findings()
        self._table = table

    def policy(self) -> Policy:
        for key in self._table:
            if key not in KEYS:
                self.findings.add((key,), unknown(key, KEYS, "key"))
        delays, then = self._growing() if "first" in self._table else self._listed()
        give_up = self._seconds("give_up", LAST_WAIT_MIN, GIVE_UP_MAX)
        attempts = self._number("attempts", 1, ATTEMPTS_MAX)
        if then is not None and give_up is None and attempts is None:
            self.findings.add((), "expected an end: write give_up or attempts")
        jitter = self._number("jitter", 0, 1)
        whole = None if attempts is None else int(attempts)
        return Policy(delays, then, give_up, 0.0 if jitter is None else jitter, whole)

    def _listed(self) -> tuple[tuple[float, ...], float | None]:
        for key in ("factor", "max"):
            if key in self._table:
                self.findings.add((key,), "has a meaning only with first")
        written = self._table.get("delays")
        if not isinstance(written, (list, tuple)) or not 0 < len(written) <= DELAYS_MAX:
            self.findings.add(
                ("delays",), f'expected a list of 1 to {DELAYS_MAX} waits such as ["30s", "2m"], or first'
            )
            written = ()
        delays = tuple(self._duration(wait, ("delays", place), 0, DELAY_MAX) for place, wait in enumerate(written))
        return delays, self._seconds("then", LAST_WAIT_MIN, DELAY_MAX)

    def _growing(self) -> tuple[tuple[float, ...], float | None]:
        """Write growing waits as a list: the growth, then the longest again and again."""
        for key in ("delays", "then"):
            if key in self._table:
                self.findings.add((key,), "cannot stand beside first: write one form of policy")
        first = self._seconds("first", LAST_WAIT_MIN, DELAY_MAX) or LAST_WAIT_MIN
        longest = self._seconds("max", LAST_WAIT_MIN, DELAY_MAX) or DELAY_MAX
        factor = self._number("factor", 1, FACTOR_MAX)
        delays = [min(first, longest)]
        grows = 2.0 if factor is None else factor
        while grows > 1 and delays[-1] < longest and len(delays) < DELAYS_MAX:
            delays.append(min(delays[-1] * grows, longest))
        return tuple(delays), delays[-1]

    def _seconds(self, key: str, low: float, high: float) -> float | None:
        return self._duration(self._table[key], (key,), low, high) if key in self._table else None

    def _duration(self, written: Any, path: tuple[str | int, ...], low: float, high: float) -> float:  # noqa: ANN401 - as written
        try:
            number = isinstance(written, (int, float)) and not isinstance(written, bool)
            seconds = float(written) if number else parse_duration(written)
        except ValueError as error:
            self.findings.add(path, str(error))
            return low
        if not low <= seconds <= high:
            self.findings.add(path, f"expected {duration_text(low)} to {duration_text(high)}, found {written}")
            return low
        return seconds

    def _number(self, key: str, low: int, high: float) -> float | None:
        written = self._table.get(key)
        kinds = (int,) if key == "attempts" else (int, float)
        if written is None:
            return None
        if not isinstance(written, kinds) or isinstance(written, bool) or not low <= written <= high:
            self.findings.add((key,), f"expected a number from {low} to {high:g}, found {written!r}")
            return None
        return written
