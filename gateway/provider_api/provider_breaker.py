"""The breaker of a provider's API, for one target that fetches from it: what it keeps in the target's memory.

Decides nothing itself (`core.breaker` does); after a restart a provider that was down is asked by a probe, too, and not
by everything that waits.
"""

from typing import Final

import orjson
import structlog

from gateway.core.breaker import OPEN_MAX_MS, Breaker
from gateway.core.model import Outcome
from gateway.errors import StoreError
from gateway.plugin import Context

KEY: Final = "fetch"
"""Under this name it is in the target's memory."""
PROBE_WAIT_MS: Final = 1000

log = structlog.get_logger()


class ProviderBreaker:
    """Says whether a provider may be asked."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._runtime = context.runtime
        self._breaker = Breaker()
        self._kept = b""

    @property
    def is_down(self) -> bool:
        """True while the provider is asked by probes only."""
        return self._breaker.state != "closed"

    def wait_ms(self) -> int:
        """Give how long nothing may be asked; 0: now. Asking then is the probe."""
        if self._breaker.state == "open":
            return max((self._breaker.until or 0) - self._runtime.now_ms(), 0)
        return PROBE_WAIT_MS if self._breaker.state == "probing" else 0

    def begin(self) -> None:
        """The provider is about to be asked."""
        self._breaker = self._breaker.probe(self._runtime.now_ms()) or self._breaker

    def note(self, outcome: Outcome) -> None:
        """Take note of what an answer tells of the provider."""
        was_down = self.is_down
        self._breaker, moves = self._breaker.after(outcome, self._runtime.now_ms(), self._runtime.random())
        if moves and not was_down:
            log.warning("fetch.down", target=self._context.name, reason=self._breaker.reason)
        elif was_down and not self.is_down:
            log.info("fetch.up", target=self._context.name)

    def step_back(self, by_ms: int, now: int) -> None:
        """The wall clock went back by `by_ms` to `now`: the probe waits no longer than before."""
        self._breaker = self._breaker.step_back(by_ms, now)

    async def recall(self) -> None:
        """Go on where another process left it. Raises nothing but Cancelled."""
        if self._context.memory is None:
            return
        try:
            self._kept = await self._context.memory.recall(KEY) or b""
        except StoreError as error:  # only one more try of a provider that is down
            log.debug("store.postponed", target=self._context.name, problem=str(error))
        self._breaker = _read(self._kept, self._runtime.now_ms())

    async def save(self) -> None:
        """Keep for another process what changed. Raises nothing but Cancelled."""
        it = self._breaker
        kept = orjson.dumps([it.until, it.openings, it.reason]) if it.state == "open" else b""
        if kept == self._kept or it.state == "probing" or self._context.memory is None:
            return
        try:
            await self._context.memory.keep(KEY, kept)
            self._kept = kept
        except StoreError as error:
            log.debug("store.postponed", target=self._context.name, problem=str(error))


def _read(kept: bytes, now_ms: int) -> Breaker:
    """Give the breaker that was kept; the clock may have stepped since, so it waits for no longer than is usual."""
    try:
        until, openings, reason = orjson.loads(kept)
        return Breaker("open", int(openings), min(int(until), now_ms + OPEN_MAX_MS), str(reason))
    except (ValueError, TypeError):
        return Breaker()
