"""Mints event ids: milliseconds, then the node, then a sequence number; always rising.

Ids sort by acceptance whatever the clock does: after a step back they go on from the last one. Milliseconds count from
2020, so that a signed 64-bit integer lasts until 2089. Retention and paging are ranges of ids.
"""

from typing import Final

ORIGIN_MS: Final = 1_577_836_800_000
"""2020-01-01 UTC."""
NODE_BITS: Final = 8
SEQUENCE_BITS: Final = 14
SHIFT: Final = NODE_BITS + SEQUENCE_BITS
ID_MAX: Final = 2**63 - 1


class IdMint:
    """Gives ids for one node; not thread-safe."""

    def __init__(self, last: int = 0, node: int = 0) -> None:
        self._ms = last >> SHIFT
        self._sequence = last & ((1 << SEQUENCE_BITS) - 1)
        self._node = node << SEQUENCE_BITS

    def mint(self, now: int) -> int:
        """Give the next id at `now` (milliseconds since 1970); by a clock beyond what ids can tell, the next after all.

        A clock that is broken for a moment, as far as 2106, would else leave ids behind that no table takes.
        """
        ms = now - ORIGIN_MS
        if self._ms < ms <= ID_MAX >> SHIFT:
            self._ms, self._sequence = ms, 0
        elif self._sequence + 1 >> SEQUENCE_BITS:
            self._ms, self._sequence = self._ms + 1, 0
        else:
            self._sequence += 1
        return self._ms << SHIFT | self._node | self._sequence


def first_id(at: int) -> int:
    """Give the lowest id that an event accepted at `at` (ms since 1970) can have; the last id if there is none."""
    return min(max(at - ORIGIN_MS, 0) << SHIFT, ID_MAX)
