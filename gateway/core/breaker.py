"""The breaker of one target: keeps deliveries from a target that is down, and finds out when it is back.

- `closed`: deliveries pass. `TargetDown` opens it at once: that outcome already says that the target, not the message,
  is broken. So do twenty `Retry` in a row, with nothing delivered or rejected between them.
  A target that has too much to do and asks for time opens it too, for as long as it asked.
- `open`: nothing passes until a moment; then one delivery goes through as a probe.
- `probing`: the probe is under way. If it is delivered, or refused as a message, the breaker closes; `TargetDown` and
  `Retry` open it again, for twice as long. A probe that was not made at all is made again soon.
- `disabled`: the target asked for it (HTTP 410), or failed too often (`core.failures`); only an operator opens the way
  again.

A breaker delays, it never drops (promise P13). It decides and tells which gate to close or open; it does neither.
"""

from typing import Final, Literal, NamedTuple, TypeAlias

from gateway.core.model import Delivered, NotTried, Outcome, Rejected, Retry, TargetDown

OPEN_FIRST_MS: Final = 5_000
OPEN_MAX_MS: Final = 300_000
"""A target that is back is found within five minutes."""
ASKED_MAX_MS: Final = 86_400_000
PROBE_AGAIN_MS: Final = 1_000
FAILURES_IN_A_ROW: Final = 20
"""So many `Retry` in a row are no matter of single messages."""

BreakerState: TypeAlias = Literal["closed", "open", "probing", "disabled"]


class GateMove(NamedTuple):
    """A gate of the target to close or open."""

    kind: Literal["breaker", "disabled"]
    close: bool
    """True: close it, or update what is told of it; False: open it."""
    until: int | None
    """Milliseconds since 1970 at which a probe may go through; None: until somebody opens it."""
    reason: str


class Breaker(NamedTuple):
    """The state of one target's breaker. Immutable: what happens gives a new one, and the gates to move."""

    state: BreakerState = "closed"
    openings: int = 0
    """How often in a row it opened."""
    until: int | None = None
    reason: str = ""
    failures: int = 0
    """How many `Retry` in a row there were while it was closed."""
    asked: bool = False
    """True while it is open only because the target asked for time: it is busy, not down."""

    def after(
        self, outcome: Outcome, now_ms: int, jitter: float, pause_ms: int = ASKED_MAX_MS
    ) -> "tuple[Breaker, tuple[GateMove, ...]]":
        """Take note of an outcome; `jitter` is a draw from [0, 1).

        A target that throttles and asks for 5 s or more is left alone for so long; `pause_ms` bounds what a single
        `Retry` may ask for. Outcomes of deliveries that were under way when it opened change nothing but that they can
        disable the target.
        """
        if self.state == "disabled":
            return self, ()
        if isinstance(outcome, TargetDown) and outcome.disable:
            return self.disable(outcome.reason)
        if self.state == "open":
            return self, ()
        if isinstance(outcome, TargetDown):
            return self._down(outcome.reason, now_ms, jitter, _asked_ms(outcome.after))
        if isinstance(outcome, Retry):
            return self._failed(outcome, now_ms, jitter, min(_asked_ms(outcome.after), pause_ms))
        if self.state == "probing":
            return self._answered(outcome, now_ms)
        return self._replace(failures=0) if self.failures and not isinstance(outcome, NotTried) else self, ()

    def probe(self, now_ms: int) -> "Breaker | None":
        """Give the breaker with its probe under way, if it is time for one."""
        if self.state == "open" and now_ms >= (self.until or 0):
            return self._replace(state="probing", until=None)
        return None

    def disable(self, reason: str) -> "tuple[Breaker, tuple[GateMove, ...]]":
        """Let nothing pass any more until an operator says so."""
        if self.state == "disabled":
            return self, ()
        moves: tuple[GateMove, ...] = (GateMove("disabled", close=True, until=None, reason=reason),)
        if self.state != "closed":
            moves += (GateMove("breaker", close=False, until=None, reason="disabled instead"),)
        return Breaker("disabled", self.openings, None, reason), moves

    def enable(self) -> "tuple[Breaker, tuple[GateMove, ...]]":
        """Let deliveries pass again because an operator says so."""
        if self.state == "closed":
            return self, ()
        kind: Literal["breaker", "disabled"] = "disabled" if self.state == "disabled" else "breaker"
        return Breaker(), (GateMove(kind, close=False, until=None, reason="enabled"),)

    def step_back(self, by_ms: int, now_ms: int) -> "Breaker":
        """Give it as it is after the clock went back by `by_ms` to `now_ms`: its probe waits no longer than before."""
        return self if self.until is None else self._replace(until=min(self.until, max(now_ms, self.until - by_ms)))

    def _failed(
        self, outcome: Retry, now_ms: int, jitter: float, asked_ms: int
    ) -> "tuple[Breaker, tuple[GateMove, ...]]":
        if outcome.throttle and asked_ms >= OPEN_FIRST_MS:
            return self._open(f"it asks for time: {outcome.reason}", now_ms + asked_ms, self.openings, asked=True)
        if self.state == "probing":
            return self._down(outcome.reason, now_ms, jitter, asked_ms)
        if self.failures + 1 < FAILURES_IN_A_ROW:
            return self._replace(failures=self.failures + 1), ()
        reason = f"{FAILURES_IN_A_ROW} failures in a row, the last: {outcome.reason}"
        return self._down(reason, now_ms, jitter, asked_ms)

    def _answered(
        self, outcome: Delivered | Rejected | NotTried, now_ms: int
    ) -> "tuple[Breaker, tuple[GateMove, ...]]":
        if isinstance(outcome, NotTried):
            again = self._replace(state="open", until=now_ms + PROBE_AGAIN_MS)
            return again, (GateMove("breaker", close=True, until=again.until, reason=self.reason),)
        return Breaker(), (GateMove("breaker", close=False, until=None, reason="the target answers"),)

    def _down(self, reason: str, now_ms: int, jitter: float, asked_ms: int) -> "tuple[Breaker, tuple[GateMove, ...]]":
        openings = self.openings + 1
        return self._open(reason, now_ms + max(_open_ms(openings, jitter), asked_ms), openings, asked=False)

    def _open(self, reason: str, until: int, openings: int, *, asked: bool) -> "tuple[Breaker, tuple[GateMove, ...]]":
        opened = Breaker("open", openings, until, reason, asked=asked)
        return opened, (GateMove("breaker", close=True, until=until, reason=reason),)


def restored(kind: Literal["breaker", "disabled"], until: int | None, reason: str, *, asked: bool = False) -> Breaker:
    """Give the breaker that left a closed gate behind, after a restart; `asked` as it was."""
    if kind == "disabled":
        return Breaker("disabled", 0, None, reason)
    return Breaker("open", 0 if asked else 1, until, reason, asked=asked)


def _open_ms(openings: int, jitter: float) -> int:
    base = min(OPEN_FIRST_MS << min(openings - 1, 20), OPEN_MAX_MS)
    return base + int(base * jitter / 10)


def _asked_ms(after: float | None) -> int:
    return 0 if after is None or not after > 0 else int(min(after * 1000, ASKED_MAX_MS))
