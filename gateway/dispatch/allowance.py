"""How much of what waits for a target is worth claiming now: what its gates, window, pace and workers leave."""

import math

from gateway.dispatch.crew import BATCH_MAX, Crew
from gateway.dispatch.gates import Gates
from gateway.dispatch.gathering import Gathering
from gateway.dispatch.window import Window
from gateway.runtime import Runtime


class Allowance:
    """Looks at the parts of one runner; keeps nothing."""

    def __init__(self, gates: Gates, window: Window, crew: Crew, gathering: Gathering | None, runtime: Runtime) -> None:
        self._gates = gates
        self._window = window
        self._crew = crew
        self._gathering = gathering
        self._runtime = runtime

    def room(self) -> tuple[int, int]:
        """Give slots and bytes to claim now: one to probe behind a gate, else enough to be worth a transaction."""
        slots, size = self._window.room()
        if self._gathering is not None:  # one batch at a time, as a probe too
            return (0 if self._window.held else min(self._gathering.count, BATCH_MAX)), size
        if not self._gates.are_open:
            return (0 if self._window.held else 1), size
        ahead = self.ahead()
        slots = int(min(slots, ahead - (self._window.held - self._window.fresh)))
        worth = not self._crew.waiting or slots >= min(self._window.slots, ahead) // 4
        return (min(slots, BATCH_MAX) if worth else 0), size

    def ahead(self) -> float:
        """Give how many fresh or old deliveries are worth holding at the target's pace."""
        pace = self._gates.pace
        return math.inf if pace.is_free else pace.ahead(self._runtime.monotonic())
