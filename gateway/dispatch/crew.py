"""The workers of one target: as many as there is work for, as its concurrency allows, and no faster than its pace.

They take from the line; what is done with it is the runner's. A suspect is tried with no other beside it. What the pace
holds back costs one timer for all of it, none for each delivery.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeAlias

import trio

from gateway.core.pace import Pace
from gateway.dispatch.line import Line, Slot
from gateway.runtime import Runtime

BATCH_MAX: Final = 256
SUSPECT_AFTER: Final = 100
"""Tries of others after which a waiting suspect gets its turn, also where the target is never idle."""

Try: TypeAlias = Callable[[Sequence[Slot]], Awaitable[None]]
"""Tries deliveries once; raises nothing but Cancelled."""


class Crew:
    """Works on a line in a nursery, between `start` and `stop`."""

    def __init__(
        self, pace: Pace, runtime: Runtime, most: int, try_slots: Try, *, batches: bool, gathers: bool = False
    ) -> None:
        """`most` workers at once; with `batches` each takes up to `BATCH_MAX` deliveries together.

        What `gathers` takes all there is together, and that is one try.
        """
        self._pace = pace
        self._runtime = runtime
        self._most = most
        self._try = try_slots
        self._batches = batches
        self._gathers = gathers
        self._line = Line()
        self._workers = 0
        self._alone = False
        self._waking = False
        self._since_suspect = 0
        self._idle = trio.Event()
        self._nursery: trio.Nursery | None = None

    @property
    def waiting(self) -> int:
        """How many wait for a worker, suspects aside."""
        return len(self._line)

    def start(self, nursery: trio.Nursery) -> None:
        """Begin to work; nothing may have been added before."""
        self._nursery = nursery

    def stop(self) -> list[Slot]:
        """Begin nothing any more; give what waits. What is under way goes on: see `wait_idle`."""
        self._nursery = None
        return self.clear()

    def add(self, slots: Iterable[Slot]) -> None:
        """Have these tried when their turn comes."""
        for slot in slots:
            self._line.add(slot)
        self._pump()

    def clear(self) -> list[Slot]:
        """Take back what waits."""
        return self._line.clear()

    async def wait_idle(self) -> None:
        """Return once nothing is under way."""
        while self._workers:
            self._idle = trio.Event()
            await self._idle.wait()

    def _ready(self) -> int:
        """How many deliveries may begin now; if none, somebody looks again when one may."""
        if self._pace.is_free:
            return BATCH_MAX
        ready = int(min(self._pace.ready(self._runtime.monotonic()), BATCH_MAX))
        if not ready and not self._waking and self._nursery is not None:
            self._waking = True
            self._nursery.start_soon(self._wake)
        return ready

    async def _wake(self) -> None:
        await trio.sleep(self._pace.wait(self._runtime.monotonic()))
        self._waking = False
        self._pump()

    def _pump(self) -> None:
        """Start as many workers as there is work for; a suspect only when nothing else runs."""
        if self._nursery is None or self._alone:
            return
        waiting = 0 if self._makes_way else len(self._line)
        if not (waiting or self._line.suspects) or not (ready := self._ready()):
            return
        allowed = int(min(self._most, self._pace.at_once()))
        new = min(allowed - self._workers, waiting, ready)
        for _ in range(new):
            self._workers += 1
            self._nursery.start_soon(self._work)
        if not waiting and not self._workers and (suspect := self._line.next_suspect()):
            self._alone = True
            self._since_suspect = 0
            self._workers += 1
            self._nursery.start_soon(self._work_alone, suspect)

    @property
    def _makes_way(self) -> bool:
        """True if the others wait until a suspect has had its turn."""
        return self._since_suspect >= SUSPECT_AFTER and self._line.suspects > 0

    async def _work(self) -> None:
        try:
            while self._line and self._nursery is not None and not self._makes_way and self._may_go_on():
                if not (ready := self._ready()):
                    break
                count = min(BATCH_MAX if self._gathers else ready, len(self._line)) if self._batches else 1
                self._since_suspect += count
                await self._try([self._line.next() for _ in range(count)])
        finally:
            self._worker_ends()

    def _may_go_on(self) -> bool:
        """Tell whether there are no more workers than the pace allows; there may be more of them by now."""
        if self._pace.is_free:
            return True
        self._pump()
        return self._workers <= self._pace.at_once()

    async def _work_alone(self, suspect: Slot) -> None:
        try:
            await self._try([suspect])
        finally:
            self._alone = False
            self._worker_ends()

    def _worker_ends(self) -> None:
        self._workers -= 1
        if not self._workers:
            self._idle.set()
        self._pump()
