"""The total-queue checker, after Jepsen's: what goes in must come out.

It compares three collections of names (attempted, acknowledged, delivered) and knows nothing of HTTP or of the gateway.
The law: nothing acknowledged is lost and nothing comes out that never went in. Repeats are counted, not forbidden:
delivery is at least once.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Account:
    """What a run did with its events."""

    attempted: int
    acknowledged: int
    delivered: int
    """Distinct ones."""
    lost: frozenset[str]
    """Acknowledged and never delivered: must be empty."""
    unexpected: frozenset[str]
    """Delivered and never attempted: must be empty."""
    recovered: frozenset[str]
    """Delivered though the sender never saw the acknowledgement: allowed."""
    duplicated: int
    """Deliveries beyond the first of each."""

    @property
    def holds(self) -> bool:
        """True if nothing was lost and nothing appeared from nowhere."""
        return not self.lost and not self.unexpected

    def __str__(self) -> str:
        return (
            f"attempted {self.attempted}, acknowledged {self.acknowledged}, delivered {self.delivered}; "
            f"lost {len(self.lost)}, unexpected {len(self.unexpected)}, recovered {len(self.recovered)}, "
            f"duplicated {self.duplicated}"
            + self._names("lost", self.lost)
            + self._names("unexpected", self.unexpected)
        )

    @staticmethod
    def _names(title: str, names: frozenset[str]) -> str:
        return f"; {title}: {', '.join(sorted(names)[:5])}" if names else ""


@dataclass(slots=True)
class Ledger:
    """What senders write down while a run goes on."""

    attempted: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)

    def account(self, delivered: Iterable[str]) -> Account:
        """Compare with what came out; `delivered` has one entry per delivery, repeats included."""
        return check(self.attempted, self.acknowledged, delivered)


def check(attempted: Iterable[str], acknowledged: Iterable[str], delivered: Iterable[str]) -> Account:
    """Give the account of a run. Raises ValueError for an acknowledgement without an attempt: the test is wrong."""
    tried, acked, counts = frozenset(attempted), frozenset(acknowledged), Counter(delivered)
    if not acked <= tried:
        raise ValueError(f"acknowledged but never attempted: {sorted(acked - tried)[:5]}")
    came = frozenset(counts)
    return Account(
        attempted=len(tried),
        acknowledged=len(acked),
        delivered=len(came),
        lost=acked - came,
        unexpected=came - tried,
        recovered=(came & tried) - acked,
        duplicated=counts.total() - len(came),
    )
