"""The wall clock as deliveries go by it: a step forward counts only once what waits was moved along with it.

Until then time goes on here as if the clock had not stepped, so that nothing is tried before its time. A step back
counts at once: what it delays is moved within seconds, and nothing comes early by it.
"""

from typing import Final

from gateway.runtime import Runtime

STEP_MS: Final = 5_000
"""How far the wall clock may step before what waits is moved along: so much, a try may come early or late."""


AHEAD_MS: Final = 250
"""How far it may be ahead of the time that went by since it agreed: a step shows by so much until it is minded."""


class DueClock:
    """What time it is for what waits in the store. One per daemon."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._agreed = self.lead()

    def now_ms(self) -> int:
        """Give milliseconds since 1970, never more than `AHEAD_MS` ahead of the time that went by since it agreed."""
        return min(self._runtime.now_ms(), self._steady_ms() + self._agreed + AHEAD_MS)

    def lead(self) -> int:
        """Give the milliseconds by which the wall clock is ahead of one that never steps."""
        return self._runtime.now_ms() - self._steady_ms()

    def stepped(self, lead: int) -> int:
        """Give by how many milliseconds the wall clock stepped since it agreed, if its lead is now `lead`."""
        return lead - self._agreed

    def agree(self, lead: int) -> None:
        """Go by the wall clock from now on: its lead is `lead`, and what waits was moved along."""
        self._agreed = lead

    def _steady_ms(self) -> int:
        """Milliseconds on a clock that never steps and goes on while the machine sleeps."""
        return int((self._runtime.monotonic() + self._runtime.slept()) * 1000)
