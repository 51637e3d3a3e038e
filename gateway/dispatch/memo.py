"""What a target's gates remember over a restart, as the store keeps it: counted failures, and an unfinished slow start.

A memo is small JSON of our own making. One that cannot be read counts for nothing: it could only spare a slow start.
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

    def window(self, rule: DisableRule | None) -> FailureWindow | None:
        """Give the failures as they count by a rule, which may be another than before."""
        return None if rule is None else FailureWindow(rule, self.counts)


def write_memo(failures: FailureWindow | None, *, starting: bool) -> bytes:
    """Write what is to be remembered; empty if that is nothing."""
    counts = failures.rows() if failures else []
    return orjson.dumps({"failures": counts, "starting": starting}) if counts or starting else b""


def read_memo(kept: bytes) -> Memo:
    """Read what was remembered."""
    if not kept:
        return Memo()
    try:
        found = orjson.loads(kept)
        counts = [(int(at), int(total), int(failed)) for at, total, failed in found.get("failures", ())]
        return Memo(tuple(counts[-2 * BUCKETS :]), found.get("starting") is True)
    except (ValueError, TypeError, AttributeError):
        return Memo()
