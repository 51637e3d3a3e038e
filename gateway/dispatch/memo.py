"""What a target's gates remember over a restart, as the store keeps it.

Counted failures, an unfinished slow start, and whether an open breaker only gives the target the time it asked for. A
memo is small JSON of our own making. One that cannot be read counts for nothing.
"""

from typing import Final, NamedTuple

import orjson

from gateway.core.failures import BUCKETS, DisableRule, FailureWindow

NOTE: Final = "gates/"
"""The store keeps a memo as the note of this name and the target's."""


class Memo(NamedTuple):
    """What was remembered."""

    counts: tuple[tuple[int, int, int], ...] = ()
    """See `FailureWindow.rows`."""
    starting: bool = False
    """True if the target was being started slowly."""
    asked: bool = False
    """True if its breaker was open only because it asked for time."""
    told: bool = True
    """False if nobody was told that it is down, although its breaker was open."""

    def window(self, rule: DisableRule | None) -> FailureWindow | None:
        """Give the failures as they count by a rule, which may be another than before."""
        return None if rule is None else FailureWindow(rule, self.counts)


def write_memo(failures: FailureWindow | None, *, starting: bool, asked: bool = False, told: bool = True) -> bytes:
    """Write what is to be remembered; empty if that is nothing. `told` counts only where the target asked for time."""
    counts = failures.rows() if failures else []
    pause = {"asked": True, "told": told} if asked else {}
    return orjson.dumps({"failures": counts, "starting": starting} | pause) if counts or starting or asked else b""


def read_memo(kept: bytes) -> Memo:
    """Read what was remembered."""
    if not kept:
        return Memo()
    try:
        found = orjson.loads(kept)
        counts = [(int(at), int(total), int(failed)) for at, total, failed in found.get("failures", ())]
        asked, told = found.get("asked") is True, found.get("told") is not False
        return Memo(tuple(counts[-2 * BUCKETS :]), found.get("starting") is True, asked, told)
    except (ValueError, TypeError, AttributeError):
        return Memo()
