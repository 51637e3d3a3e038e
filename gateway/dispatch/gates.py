"""The gates of one target: its breaker, the operator's hold, a restored backup.

Rows in the store, mirrored in memory.

A closed gate costs nothing per delivery: nothing is claimed while it is closed. Memory changes first and
synchronously, so that no delivery slips through while the row is being written; a crash in between costs at most one
more try.
"""

from collections.abc import Collection, Iterable
from typing import Final, Protocol

import structlog

from gateway.core.breaker import Breaker, GateMove, restored
from gateway.core.model import Outcome
from gateway.errors import StoreError
from gateway.runtime import Runtime
from gateway.store.contract import Gate, GateKind, Store

FOREVER_MS: Final = 86_400_000
"""What `wait_ms` gives for a gate that only a person opens; whoever opens it hints."""


log = structlog.get_logger()


class GateObserver(Protocol):
    """Who is told when a gate moves."""

    def gate_closed(self, gate: Gate) -> None:
        """A gate was closed, or stays closed for longer."""
        ...

    def gate_opened(self, target: str) -> None:
        """The breaker's gate was opened: the target answers."""
        ...


class Gates:
    """All gates of one target; survives a change of its plan."""

    def __init__(
        self, target: str, store: Store, runtime: Runtime, observer: GateObserver, closed: Iterable[Gate]
    ) -> None:
        self._target = target
        self._store = store
        self._runtime = runtime
        self._observer = observer
        self._closed: dict[GateKind, Gate] = {gate.kind: gate for gate in closed}
        self._breaker = _restore(self._closed)

    @property
    def are_open(self) -> bool:
        """True if deliveries pass freely."""
        return not self._closed and self._breaker.state == "closed"

    @property
    def closed(self) -> list[Gate]:
        """The closed gates, for people."""
        return list(self._closed.values())

    def wait_ms(self, now: int) -> int:
        """Milliseconds until a delivery may pass, as a probe at least; 0 = now."""
        if self._closed.keys() & {"held", "restored", "disabled"}:
            return FOREVER_MS
        if self._breaker.state == "open":
            return max((self._breaker.until or 0) - now, 0)
        return 0

    def begin_probe(self, now: int) -> None:
        """A delivery is about to be claimed: behind an open breaker it is the probe."""
        self._breaker = self._breaker.probe(now) or self._breaker

    async def note(self, outcome: Outcome) -> bool:
        """Take note of an outcome; True if it moved a gate.

        The move is in memory at once, and durable on return if the store can write.
        """
        self._breaker, moves = self._breaker.after(outcome, self._runtime.now_ms(), self._runtime.random())
        try:
            await self._carry_out(moves)
        except StoreError as error:  # it holds in memory; a restart would only try the target once more
            log.debug("store.postponed", target=self._target, problem=str(error))
        return bool(moves)

    async def hold(self, reason: str) -> bool:
        """Close the operator's gate; False if it was closed already."""
        if "held" in self._closed:
            return False
        await self._close(Gate(self._target, "held", self._runtime.now_ms(), None, reason))
        return True

    async def open(self, kinds: Collection[GateKind]) -> bool:
        """Open the gates of these kinds because an operator says so; False if none of them was closed."""
        found = [kind for kind in kinds if kind in self._closed]
        if not {"breaker", "disabled"}.isdisjoint(found):
            self._breaker, _ = self._breaker.enable()
        for kind in found:
            del self._closed[kind]
        for kind in found:
            await self._store.open_gate(self._target, kind)
        return bool(found)

    def step_back(self, by_ms: int, now: int) -> None:
        """The clock went back: move what is in memory. The rows are the store's to move."""
        self._breaker = self._breaker.step_back(by_ms, now)
        for kind, gate in self._closed.items():
            if gate.until is not None and gate.until > now:
                self._closed[kind] = gate._replace(until=max(now, gate.until - by_ms))

    async def _carry_out(self, moves: Iterable[GateMove]) -> None:
        now = self._runtime.now_ms()
        for move in moves:
            if move.close:
                since = self._closed[move.kind].since if move.kind in self._closed else now
                await self._close(Gate(self._target, move.kind, since, move.until, move.reason))
            elif self._closed.pop(move.kind, None):
                await self._store.open_gate(self._target, move.kind)
                if move.kind == "breaker" and self._breaker.state == "closed":
                    self._observer.gate_opened(self._target)

    async def _close(self, gate: Gate) -> None:
        again = gate.kind in self._closed
        self._closed[gate.kind] = gate
        if not again:
            self._observer.gate_closed(gate)
        await self._store.close_gate(gate)


def _restore(closed: dict[GateKind, Gate]) -> Breaker:
    if gate := closed.get("disabled"):
        return restored("disabled", None, gate.reason)
    if gate := closed.get("breaker"):
        return restored("breaker", gate.until, gate.reason)
    return Breaker()
