"""One target's deliveries that need a resource of the provider first: they wait here, the others pass by.

Few fetches run at a time, and what waits here never holds more than half of the target's window, so that a provider
which is slow or down delays neither what needs nothing of it nor another target. While the provider is down nothing
waits here: it goes back to the store until the next probe.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final, Protocol

import trio

from gateway.core.model import Outcome
from gateway.dispatch.line import Slot
from gateway.dispatch.window import Window
from gateway.provider_api.fetcher import AT_ONCE, Fetcher
from gateway.runtime import Runtime

PARK_MS: Final = 2000
"""How long a delivery that found no room goes back to the store, at least."""
SPREAD_MS: Final = 5000
"""Over so long deliveries come back after a probe was due, so that not all come at once."""


class FetchObserver(Protocol):
    """What becomes of deliveries after their fetch."""

    def fetched(self, slot: Slot) -> None:
        """The delivery has what it needs."""
        ...

    def parked(self, slots: Iterable[Slot], after_ms: int) -> None:
        """Deliveries that nothing was asked for go back to the store for so long."""
        ...

    async def not_fetched(self, slot: Slot, outcome: Outcome, began: tuple[int, float], after_ms: int) -> None:
        """A delivery's resource did not come; nothing is asked for the next `after_ms`."""
        ...


class FetchLane:
    """Fetches between `start` and `stop`."""

    def __init__(self, fetcher: Fetcher, window: Window, runtime: Runtime, observer: FetchObserver) -> None:
        self._fetcher = fetcher
        self._window = window
        self._runtime = runtime
        self._observer = observer
        self._waiting: deque[Slot] = deque()
        self._under_way: dict[trio.CancelScope, Slot] = {}
        self._bytes = 0
        self._workers = 0
        self._nursery: trio.Nursery | None = None

    async def start(self, nursery: trio.Nursery) -> None:
        """Begin to fetch, by a probe if the provider was down when another process left it."""
        await self._fetcher.breaker.recall()
        self._nursery = nursery

    def step_back(self, by_ms: int, now: int) -> None:
        """The wall clock went back by `by_ms` to `now`."""
        self._fetcher.breaker.step_back(by_ms, now)

    def stop(self) -> list[Slot]:
        """Fetch nothing any more; give what waits and what was under way."""
        self._nursery = None
        return self.clear()

    def close(self) -> None:
        """Close the kept connections."""
        self._fetcher.close()

    @property
    def is_crowded(self) -> bool:
        """True if more deliveries that need a fetch would only go back to the store."""
        return self._fetcher.breaker.is_down or not self._has_room(0)

    def sort(self, slots: Iterable[Slot]) -> list[Slot]:
        """Take the deliveries that need a fetch; give the others, and those whose resource is known, at once."""
        ready: list[Slot] = []
        refused: list[Slot] = []
        for slot in slots:
            event = slot.claim.event
            if event.payload is None or not self._fetcher.wants(event):
                ready.append(slot)
            elif (resource := self._fetcher.cached(event)) is not None:
                ready.append(slot._replace(resource=resource))
            elif self._nursery is None or not self._has_room(slot.size) or self._fetcher.breaker.wait_ms():
                refused.append(slot)
            else:
                self._waiting.append(slot)
                self._bytes += slot.size
        if refused:
            self._observer.parked(refused, self._pause_ms())
        self._pump()
        return ready

    def clear(self) -> list[Slot]:
        """Take back what waits and what is under way; the fetches of those end."""
        slots = [*self._waiting, *self._under_way.values()]
        self._waiting.clear()
        for scope in list(self._under_way):
            del self._under_way[scope]
            scope.cancel()
        self._bytes = 0
        return slots

    def _has_room(self, size: int) -> bool:
        held = len(self._waiting) + len(self._under_way)
        return not held or (held < self._window.slots // 2 and self._bytes + size <= self._window.size // 2)

    def _pump(self) -> None:
        while self._nursery is not None and self._waiting and self._workers < AT_ONCE:
            if self._workers >= len(self._waiting):
                return
            self._workers += 1
            self._nursery.start_soon(self._work)

    async def _work(self) -> None:
        try:
            while self._waiting:
                if self._fetcher.breaker.wait_ms():
                    self._park_all()
                    return
                await self._fetch(self._waiting.popleft())
        finally:
            self._workers -= 1

    async def _fetch(self, slot: Slot) -> None:
        began = (self._runtime.now_ms(), self._runtime.monotonic())
        with trio.CancelScope() as scope:
            self._under_way[scope] = slot
            event = slot.claim.event
            found = self._fetcher.cached(event) or await self._fetcher.fetch(event)
        if self._under_way.pop(scope, None) is None:
            return  # it was taken back
        self._bytes -= slot.size
        if isinstance(found, bytes):
            self._observer.fetched(slot._replace(resource=found))
        else:
            await self._observer.not_fetched(
                slot, found, began, self._pause_ms() if self._fetcher.breaker.is_down else 0
            )

    def _park_all(self) -> None:
        slots = list(self._waiting)
        self._waiting.clear()
        self._bytes -= sum(slot.size for slot in slots)
        self._observer.parked(slots, self._pause_ms())

    def _pause_ms(self) -> int:
        return max(self._fetcher.breaker.wait_ms(), PARK_MS) + int(SPREAD_MS * self._runtime.random())
