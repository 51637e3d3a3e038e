"""The order of deliveries that have a key, in the memory store: the same rule as `gateway.store.order`, plainly."""

from collections.abc import Iterable
from typing import TypeAlias

from gateway.core.model import UNSETTLED, event_text
from gateway.store.contract import Ordering
from gateway.store.memory_delivery import MemoryDelivery

Key: TypeAlias = tuple[str, str, bytes]
"""Target, source, and the digest of the key."""
_BLOCK = Ordering("")


class MemoryLines:
    """The unsettled and dead deliveries of each key, and how targets are ordered."""

    def __init__(self) -> None:
        self.orderings: dict[str, Ordering] = {}
        self._lines: dict[Key, dict[tuple[int, int], MemoryDelivery]] = {}
        self._touched: set[Key] = set()

    def refile(self, one: MemoryDelivery) -> None:
        """Take notice of a delivery's new state."""
        if (key := _key(one)) is None:
            return
        line = self._lines.setdefault(key, {})
        line.pop((one.event_id, one.n), None)
        if one.state in UNSETTLED or one.state == "dead":
            line[one.event_id, one.n] = one
        elif not line:
            del self._lines[key]
        self._touched.add(key)

    def remove(self, one: MemoryDelivery) -> None:
        """Forget a delivery."""
        if (key := _key(one)) is not None and (line := self._lines.get(key)):
            line.pop((one.event_id, one.n), None)
            self._touched.add(key)

    def is_taken(self, one: MemoryDelivery) -> bool:
        """Tell whether a new delivery must wait for others of its key."""
        key = _key(one)
        others = self._lines.get(key, {}).values() if key else ()
        blocks = self.blocks(one.target)
        return any(other.state in UNSETTLED or blocks for other in others)

    def blocks(self, target: str) -> bool:
        """Tell whether what is dead stops what comes after it of its key."""
        return self._ordering(target).on_dead == "block"

    def rebuild(self, deliveries: Iterable[MemoryDelivery]) -> None:
        """Names or keys have changed."""
        self._lines.clear()
        for one in deliveries:
            self.refile(one)

    def relink(self, now: int, steady: int) -> list[MemoryDelivery]:
        """Give those a due time whose turn it is; give what was cancelled because only the latest is kept.

        `steady` is the time by the de-dup clock.
        """
        cancelled: list[MemoryDelivery] = []
        for key in self._touched:
            line = [one for _, one in sorted(self._lines.get(key, {}).items())]
            if self._ordering(key[0]).keep == "latest":
                cancelled += _supersede(line, now)
            self._assign(key[0], line, now, steady)
        for one in cancelled:
            self.refile(one)
        self._touched.clear()
        return cancelled

    def behind(self, one: MemoryDelivery) -> tuple[int, int] | None:
        """Give the delivery that this one waits for."""
        key = _key(one)
        if key is None or one.state != "pending" or one.due is not None:
            return None
        blocks = self.blocks(one.target)
        line = [(place, other) for place, other in sorted(self._lines.get(key, {}).items())]
        first = [place for place, other in line if blocks and other.state == "dead" and place < (one.event_id, one.n)]
        flying = [place for place, other in line if other.state == "in_flight"]
        due = [place for place, other in line if other.due is not None]
        return next(iter([*first, *flying, *due]), None)

    def holds_back(self, one: MemoryDelivery) -> bool:
        """Tell whether an event of its key that no replay brought waits its turn behind it."""
        line = self._lines.get(key, {}) if (key := _key(one)) else {}
        return any(other.state == "pending" and other.due is None and other.replay is None for other in line.values())

    def _ordering(self, target: str) -> Ordering:
        return self.orderings.get(target, _BLOCK)

    def _assign(self, target: str, line: list[MemoryDelivery], now: int, steady: int) -> None:
        head = None
        if not any(one.state == "in_flight" for one in line):
            blocks = self.blocks(target)
            head = next((one for one in line if one.state == "pending" or (blocks and one.state == "dead")), None)
        for one in line:
            if one.state == "pending" and one is head:
                one.take_turn(now, steady)
            elif one.state == "pending":
                one.let_go_first(now, steady)


def _supersede(line: list[MemoryDelivery], now: int) -> list[MemoryDelivery]:
    waiting = [one for one in line if one.state == "pending"]
    newest = max((one.event_id for one in waiting), default=0)
    old = [one for one in waiting if one.event_id < newest]
    for one in old:
        one.cancel(now, f"superseded by {event_text(newest)}")
        line.remove(one)
    return old


def _key(one: MemoryDelivery) -> Key | None:
    return None if one.okey is None else (one.target, *one.okey)
