"""Counters of the hot path: plain integers that the code adds to and a scrape reads.

Adding costs no library call, no label look-up and no lock; `gateway.admin.exposition` turns the numbers into Prometheus
text when somebody asks. Labels are names of sources and targets and codes of our own, never a sender's text, and their
number is bounded. Names and meanings of the metrics: docs/metrics.md.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final, Generic, Literal, TypeVar

from gateway.core.model import Event, HoldReason
from gateway.store.contract import Verdict

LABELS_MAX: Final = 2000
"""Sources, and targets, that get numbers of their own; a configuration with more shares the rest under `OVERFLOW`."""
CODES_MAX: Final = 256
"""Reasons, outcomes or credentials in one table; the code base and real configurations have fewer."""
OVERFLOW: Final = "_other"

ACCEPT_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5)
ATTEMPT_SECONDS: Final = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 30.0)


class Tally(dict[str, int]):
    """Numbers by code: `tally.add("expired")`. Bounded: after `CODES_MAX` codes new ones count as `OVERFLOW`."""

    def add(self, code: str, count: int = 1) -> None:
        """Count `code`."""
        if code not in self and len(self) >= CODES_MAX:
            code = OVERFLOW
        self[code] = self.get(code, 0) + count


class Histogram:
    """How often a value fell into each bucket; `counts` ends with one entry for what is above all `bounds`."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class SourceCounts:
    """What one source sent."""

    __slots__ = (
        "answered",
        "conflicts",
        "duplicates",
        "held",
        "last_event_at",
        "learned",
        "new",
        "refused",
        "shaken",
        "used",
        "used_alone",
    )

    def __init__(self) -> None:
        self.answered = 0
        """Requests answered 2xx."""
        self.new = 0
        """Events, as are `duplicates` and `conflicts`; a request may bring several."""
        self.duplicates = 0
        self.conflicts = 0
        self.held = Tally()
        """New events kept without deliveries, by hold reason."""
        self.refused = Tally()
        """Requests, by reason code."""
        self.shaken = Tally()
        """Handshakes that were answered, by name."""
        self.learned = 0
        """Secrets that the provider said at set-up, and that were kept."""
        self.used = Tally()
        """Requests that a credential proved, by its name."""
        self.used_alone = Tally()
        """Requests that only this credential proved: what would be lost without it."""
        self.last_event_at: int | None = None
        """Milliseconds since 1970."""


class TargetCounts:
    """What became of one target's deliveries."""

    __slots__ = (
        "attempt_seconds",
        "attempts",
        "fetches",
        "gates_closed",
        "last_delivered_at",
        "last_error",
        "last_error_at",
        "settled",
    )

    def __init__(self) -> None:
        self.attempts = Tally()
        """Tries, by outcome name."""
        self.settled = Tally()
        """Deliveries, by the state they ended in: delivered, dead, cancelled."""
        self.gates_closed = Tally()
        """Closings of a gate, by its kind."""
        self.fetches = Tally()
        """Resources that a provider was asked for, by what came of it."""
        self.attempt_seconds = Histogram(ATTEMPT_SECONDS)
        self.last_delivered_at: int | None = None
        self.last_error = ""
        self.last_error_at: int | None = None

    def attempted(self, outcome: str, seconds: float) -> None:
        """Count one try and how long it took."""
        self.attempts.add(outcome)
        self.attempt_seconds.observe(seconds)

    def failed(self, reason: str, at: int) -> None:
        """Remember the newest trouble for `status`; `at` in milliseconds since 1970."""
        self.last_error = reason[:200]
        self.last_error_at = at


class PollerCounts:
    """What one poller found."""

    __slots__ = ("items", "polls")

    def __init__(self) -> None:
        self.polls = Tally()
        """Polls, by what came of them: `done`, `cut`, `failed`."""
        self.items = Tally()
        """Items that were offered to the store: `missed` (their webhook never came), `known`."""


CountsT = TypeVar("CountsT")


class Family(dict[str, CountsT], Generic[CountsT]):
    """Counts by name, made on first use; bounded by `LABELS_MAX` names, then `OVERFLOW` takes the rest."""

    def __init__(self, make: Callable[[], CountsT]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, name: str) -> CountsT:
        if len(self) >= LABELS_MAX:
            name = OVERFLOW
        found = self.get(name)
        if found is None:
            found = self[name] = self._make()
        return found


class Counters:
    """All numbers of the process; made once by the daemon, passed down. Every method belongs to the trio thread."""

    __slots__ = ("accept_seconds", "last_accepted_at", "pollers", "sources", "targets")

    def __init__(self) -> None:
        self.sources: Family[SourceCounts] = Family(SourceCounts)
        self.targets: Family[TargetCounts] = Family(TargetCounts)
        self.pollers: Family[PollerCounts] = Family(PollerCounts)
        self.accept_seconds = Histogram(ACCEPT_SECONDS)
        """From a request's last byte to its durable answer."""
        self.last_accepted_at: int | None = None

    def refused(self, source: str, reason: str) -> None:
        """Count a request that got no 2xx; `source` is empty if its path belongs to none."""
        self.sources[source].refused.add(reason)

    def shaken(self, source: str, handshake: str) -> None:
        """Count a handshake that was answered."""
        self.sources[source].shaken.add(handshake)

    def credential_used(self, source: str, credential: str, alone: bool) -> None:
        """Count a request that `credential` proved; `alone` if no other credential did."""
        counts = self.sources[source]
        counts.used.add(credential)
        if alone:
            counts.used_alone.add(credential)

    def judged(self, event: Event, hold: HoldReason | None, verdict: Verdict) -> None:
        """Count what became of one event (`gateway.intake.Witness`)."""
        counts = self.sources[event.source]
        if verdict.kind == "new":
            counts.new += 1
            if hold is not None:
                counts.held.add(hold)
        elif verdict.kind == "duplicate":
            counts.duplicates += 1
        else:
            counts.conflicts += 1

    def answered(self, source: str, seconds: float, at: int) -> None:
        """Count a request answered 2xx after `seconds`; `at` in milliseconds since 1970."""
        counts = self.sources[source]
        counts.answered += 1
        counts.last_event_at = self.last_accepted_at = at
        self.accept_seconds.observe(seconds)

    def gate_closed(self, target: str, kind: Literal["breaker", "disabled", "held", "restored"]) -> None:
        """Count the closing of a gate."""
        self.targets[target].gates_closed.add(kind)
