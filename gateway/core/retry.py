"""Retry policies: when a delivery that failed is tried again, and when it is dead.

Every policy is a list of waits, then perhaps one wait again and again, and always an end. What it says is made of
numbers only: the tries so far, the time waited so far, a draw for the jitter. No clock is asked, so no clock that steps
can end a delivery early or late.

`give_up` bounds the time that a delivery has waited between its tries. Time behind a gate, in a line, or while the
gateway was stopped is no such time (its cause is not this delivery), nor is the age that an event had when it was
replayed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from gateway.core.problems import Findings, Problem, ProblemsError, unknown
from gateway.core.units import duration_text, parse_duration

RETRY_AFTER_MAX: Final = 86_400.0
DELAYS_MAX: Final = 100
DELAY_MAX: Final = 30 * 86_400.0
ATTEMPTS_MAX: Final = 10_000
GIVE_UP_MAX: Final = 365 * 86_400.0
FACTOR_MAX: Final = 100.0
LAST_WAIT_MIN: Final = 1.0
"""Seconds: how close before `give_up` the last try may come, and how short full jitter may make a wait."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When to try again. All durations are seconds. Use `parse_policy`, which sees to the bounds."""

    delays: tuple[float, ...]
    """The waits before the second try, the third, and so on."""
    then: float | None = None
    """The wait between all further tries; None: there are none."""
    give_up: float | None = None
    """Time waited between tries after which there is no further one; the last wait is cut to end there."""
    jitter: float | Literal["full"] = 0.0
    """Each wait grows by up to this part of it; "full": it is anything from 1 s (or itself, if less) up to itself."""
    attempts: int | None = None
    """Tries in all, the first included."""
    pause: float = 300.0
    """How long a target that has too much to do, and asks for time, is left alone as a whole, at most."""
    expires: float | None = None
    """Time after which the delivery is of no use. Counted from when it was planned, by whoever plans it."""

    def next_delay(
        self, attempts_so_far: int, waited_seconds: float, jitter: float, retry_after: float | None = None
    ) -> float | None:
        """Give the seconds to wait after `attempts_so_far` tries (at least 1) that failed; None: it is dead.

        `waited_seconds` is the sum of what was given before, `jitter` a draw from [0, 1). `retry_after` is what the
        target asked for: the wait is never shorter, but it counts for 24 hours at most, and may go beyond `give_up`.
        """
        base = self._base(attempts_so_far)
        left = math.inf if self.give_up is None else self.give_up - waited_seconds
        if base is None or left <= 0:
            return None
        wait = min(self._jittered(base, jitter), max(left, LAST_WAIT_MIN))
        return max(wait, _asked(retry_after))

    def _base(self, attempts_so_far: int) -> float | None:
        if attempts_so_far >= min(self.attempts or ATTEMPTS_MAX, ATTEMPTS_MAX):
            return None
        return self.delays[attempts_so_far - 1] if attempts_so_far <= len(self.delays) else self.then

    def _jittered(self, base: float, draw: float) -> float:
        if self.jitter == "full":
            return max(base * draw, min(base, LAST_WAIT_MIN))
        return base * (1 + self.jitter * draw)


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

KEYS: Final = ("delays", "then", "first", "factor", "max", "attempts", "give_up", "jitter", "pause", "expires")


def parse_policy(written: Mapping[str, Any] | str) -> Policy:
    """Make the policy that `written` names or describes; durations as text ("30s") or in seconds, None = not written.

    Either `delays` (with `then`) or `first` (with `factor` and `max`); with `then` or `first` an end must be written:
    `give_up`, `attempts` or `expires`. With neither, it is the default policy but for what is written. Raises
    ProblemsError with everything that is wrong, by key path.
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
        written: dict[str, Any] = {
            "give_up": self._seconds("give_up", LAST_WAIT_MIN, GIVE_UP_MAX),
            "attempts": self._number("attempts", 1, ATTEMPTS_MAX),
            "jitter": self._jitter(),
            "pause": self._seconds("pause", 0, RETRY_AFTER_MAX),
            "expires": self._seconds("expires", LAST_WAIT_MIN, GIVE_UP_MAX),
        }
        given = {key: value for key, value in written.items() if value is not None}
        if "delays" not in self._table and "first" not in self._table:
            return replace(DEFAULT_POLICY, **self._without_schedule(given))
        delays, then = self._growing() if "first" in self._table else self._listed()
        if then is not None and not {"give_up", "attempts", "expires"} & given.keys():
            self.findings.add((), "expected an end: write give_up, attempts or expires")
        return Policy(delays, then, **given)

    def _without_schedule(self, given: dict[str, Any]) -> dict[str, Any]:
        for key in ("then", "factor", "max"):
            if key in self._table:
                self.findings.add((key,), "has a meaning only with " + ("delays" if key == "then" else "first"))
        if not self._table:
            self.findings.add((), 'expected delays such as ["30s", "2m"], first, or what differs from the default')
        return given

    def _jitter(self) -> float | str | None:
        if self._table.get("jitter") == "full":
            return "full"
        if isinstance(self._table.get("jitter"), str):
            self.findings.add(("jitter",), f'expected a number from 0 to 1, or "full", found {self._table["jitter"]!r}')
            return None
        return self._number("jitter", 0, 1)

    def _listed(self) -> tuple[tuple[float, ...], float | None]:
        for key in ("factor", "max"):
            if key in self._table:
                self.findings.add((key,), "has a meaning only with first")
        written = self._table.get("delays")
        if not isinstance(written, (list, tuple)) or not 0 < len(written) <= DELAYS_MAX:
            self.findings.add(("delays",), f'expected a list of 1 to {DELAYS_MAX} waits such as ["30s", "2m"]')
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
            seconds = written if number else parse_duration(written)
        except ValueError as error:
            self.findings.add(path, str(error))
            return low
        if not low <= seconds <= high:
            found = f"{written!s:.80}"
            self.findings.add(path, f"expected {duration_text(low)} to {duration_text(high)}, found {found}")
            return low
        return float(seconds)

    def _number(self, key: str, low: int, high: float) -> float | None:
        written = self._table.get(key)
        kinds = (int,) if key == "attempts" else (int, float)
        if written is None:
            return None
        if not isinstance(written, kinds) or isinstance(written, bool) or not low <= written <= high:
            self.findings.add((key,), f"expected a number from {low} to {high:g}, found {written!r:.80}")
            return None
        return written
