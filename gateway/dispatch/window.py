"""A target's window: how many deliveries, and how many bytes of them, this process holds in memory at once.

Reserved slots of fresh events and claimed old ones count alike, but neither can take it all: old work leaves a
quarter free, so that a fresh event never has to queue behind a backlog in the store; fresh events get half while
older work waits, and those of sources that hold little of it three quarters. Of what fresh events may hold, one source
leaves a quarter to the others; and the last eighth of the window, however it was filled, is for sources that hold
little: a flood that filled it would send the events of all others to the end of its own backlog.
"""

from typing import Final

BYTES: Final = 8 * 1024 * 1024
"""Payload bytes that one target may hold unless its `bytes` says otherwise; a single larger payload still fits an empty
window."""


class Window:
    """Plain counting; synchronous, so that no state is half-changed over an await."""

    def __init__(self, slots: int, size: int = BYTES) -> None:
        self.slots = slots
        self.size = size
        self.held = 0
        self.held_bytes = 0
        self.fresh = 0
        """Slots held by events that came straight from `accept`."""
        self._by_source: dict[str, int] = {}
        """Of these, how many of each source."""
        self.older_waiting = False

    def reserve(self, size: int, source: str) -> bool:
        """Take a slot for a fresh event of `size` bytes from `source` if there is room."""
        limit = self.slots // 2 if self.older_waiting else self.slots
        own = self._by_source.get(source, 0)
        has_little = own < max(limit // 4, 1)
        most = limit + self.slots // 4 if has_little and self.older_waiting else limit
        if self.held >= self.slots or (self.older_waiting and self.fresh >= most):
            return False
        if self.held and self.held_bytes + size > self.size:
            return False
        if own >= limit - limit // 4:
            return False
        scarce = self.held >= self.slots - self.slots // 8 or self.held_bytes + size > self.size - self.size // 8
        if scarce and not has_little:
            return False
        self._by_source[source] = own + 1
        self.fresh += 1
        self._take(size)
        return True

    def take(self, size: int) -> None:
        """Take a slot for a delivery that was claimed from the store; room for it was asked of `room` before."""
        self._take(size)

    def release(self, size: int) -> None:
        """Give back the slot of a delivery that was claimed from the store, once its new state is durable."""
        self.held -= 1
        self.held_bytes -= size

    def release_fresh(self, size: int, source: str) -> None:
        """Give back what `reserve` took."""
        self.release(size)
        self.fresh -= 1
        self._by_source[source] -= 1
        if not self._by_source[source]:
            del self._by_source[source]

    def room(self) -> tuple[int, int]:
        """Give slots and bytes that may be claimed from the store now."""
        slots = min(self.slots - self.slots // 4 - (self.held - self.fresh), self.slots - self.slots // 8 - self.held)
        return max(slots, 0), max(self.size - self.size // 4 - self.held_bytes, 0)

    def _take(self, size: int) -> None:
        self.held += 1
        self.held_bytes += size
