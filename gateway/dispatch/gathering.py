"""When a target that gathers takes what waits: enough is there, or the first of it has waited long enough.

All that waits is in the store. Here is only counted what was tried and is due again later, so that it does not pass for
something that is there; after a restart that is not known, and a mail may go early.
"""

from collections.abc import Sequence
from heapq import heappop, heappush

from gateway.plugin import Gather
from gateway.store.contract import Record


class Gathering:
    """Decides for one target. Times are milliseconds since 1970."""

    def __init__(self, gather: Gather) -> None:
        self.count = gather.count
        self._wait_ms = int(gather.seconds * 1000)
        self._put_off: list[tuple[int, int]] = []
        """A heap: when deliveries of one try are due again, and how many they are."""
        self._absent = 0

    def tried(self, records: Sequence[Record]) -> None:
        """Take note of what came of one try."""
        dues = [record.due for record in records if record.due is not None]
        if dues:
            heappush(self._put_off, (min(dues), len(dues)))
            self._absent += len(dues)

    def wait_ms(self, ready: int, now: int) -> int:
        """How long after the first was due the target rather waits, with `ready` in the store."""
        while self._put_off and self._put_off[0][0] <= now:
            self._absent -= heappop(self._put_off)[1]
        return 0 if ready - self._absent >= self.count else self._wait_ms
