"""What holds one target's deliveries back: its breaker, the operator's hold, a restored backup; then its pace.

Gates are rows in the store, mirrored in memory. A closed one costs nothing per delivery: nothing is claimed while it is
closed. Memory changes first and synchronously, so that no delivery slips through while the row is being written; a
crash in between costs at most one more try. When the last gate opens the target is started slowly, also by the next
process if this one ends meanwhile.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

import structlog

from gateway.blueprint import TargetPlan
from gateway.core.breaker import Breaker, GateMove, restored
from gateway.core.model import Delivered, NotTried, Outcome
from gateway.core.pace import Pace
from gateway.core.units import duration_text
from gateway.dispatch.gate_rows import GateRows
from gateway.dispatch.memo import Memo, read_memo, write_memo
from gateway.dispatch.observer import Observer
from gateway.errors import StoreError
from gateway.runtime import Runtime
from gateway.store.contract import Gate, GateKind, Store

FOREVER_MS: Final = 86_400_000
"""What `wait_ms` gives for a gate that only a person opens; whoever opens it hints."""


log = structlog.get_logger()


class Gates:
    """All gates of one target, and its pace once they are open."""

    def __init__(
        self,
        plan: TargetPlan,
        store: Store,
        runtime: Runtime,
        observer: Observer,
        closed: Iterable[Gate] = (),
        kept: bytes = b"",
    ) -> None:
        """Go on where `closed` gates and what `kept` remembers were left."""
        self._target = plan.name
        self._store = store
        self._runtime = runtime
        self._observer = observer
        self._closed: dict[GateKind, Gate] = {gate.kind: gate._replace(target=plan.name) for gate in closed}
        memo: Memo = read_memo(kept)
        self._breaker = _restore(self._closed, asked=memo.asked)
        self._pause_ms = int(plan.policy.pause * 1000)
        self._told = "breaker" in self._closed and memo.told
        """True if the observer was told that the target is down."""
        self._failures = memo.window(plan.disable)
        self._waiting: int | None = None
        """How many deliveries there were at the last look, while the breaker is not closed."""
        self._rows = GateRows(store, plan.name, self._closed, lambda: self.memo, kept)
        self.pace = Pace(plan.rate)
        if memo.starting:
            self.pace.start_slowly(runtime.monotonic())

    def hand_over(self, plan: TargetPlan) -> "Gates":
        """Retire, and give the gates by another plan of the target, which go on where these stand."""
        heir = Gates(plan, self._store, self._runtime, self._observer, self._closed.values(), self.memo)
        heir._rows = self._rows.succeeded_by(heir._closed, lambda: heir.memo)
        return heir

    def retire(self) -> None:
        """The target is nobody's, or another's: what its last tries tell moves nothing."""
        self._rows.retired = True

    @property
    def are_open(self) -> bool:
        """True if deliveries pass freely."""
        return not self._closed and self._breaker.state == "closed"

    @property
    def closed(self) -> list[Gate]:
        """The closed gates, for people."""
        return list(self._closed.values())

    @property
    def name(self) -> str | None:
        """The target's name in the store; None while that may be giving it another one."""
        return None if self._rows.nameless else self._target

    @property
    def memo(self) -> bytes:
        """What another process, or another plan of the target, needs to go on."""
        asked = self._breaker.asked
        return write_memo(self._failures, starting=self.pace.is_starting, asked=asked, told=self._told)

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

    def are_indifferent_to(self, outcomes: Sequence[Outcome]) -> bool:
        """True if `note` would change nothing: a healthy target delivers, and nobody counts."""
        return (
            self._failures is None
            and not self._breaker.failures
            and self.are_open
            and all(isinstance(outcome, Delivered) for outcome in outcomes)
        )

    def note(self, outcomes: Sequence[Outcome]) -> Sequence[GateMove]:
        """Take note of outcomes in their order; give the gates that moved by it, for `carry_out`."""
        now = self._runtime.now_ms()
        moves: tuple[GateMove, ...] = ()
        for outcome in outcomes:
            self._breaker, moved = self._breaker.after(outcome, now, self._runtime.random(), self._pause_ms)
            moves += moved
        told = [outcome for outcome in outcomes if not isinstance(outcome, NotTried)]
        failed = [outcome for outcome in told if not isinstance(outcome, Delivered)]
        if self._failures is not None and told:
            self._failures.add(now, len(told), len(failed))
            if failed:
                moves = self._disabled(now, failed[-1].reason) or moves
        return moves

    def wait_for_name(self) -> None:
        """The store may be giving the target another name: what moves now moves in memory until `go_by`."""
        self._rows.wait_for_name()

    async def go_by(self, name: str) -> None:
        """The target has this name, perhaps as before: have the store know what moved since `wait_for_name`."""
        self._target = name
        for kind, gate in self._closed.items():
            self._closed[kind] = gate._replace(target=name)
        self._rows.go_by(name)
        await self._write()

    async def carry_out(self, moves: Iterable[GateMove]) -> None:
        """Move gates, tell of it, and have the store know; durable on return if it can write."""
        if self._rows.retired:
            return
        if moved := [move.kind for move in moves if self._move(move)]:
            await self._write(moved)

    async def note_waiting(self, count: int) -> None:
        """`count` deliveries wait or run: while the target is down, each that came since counts as failed."""
        if self._failures is None or self._breaker.state not in ("open", "probing") or self._breaker.asked:
            self._waiting = None
            return
        came = 0 if self._waiting is None else count - self._waiting
        self._waiting = count
        if came > 0:
            now = self._runtime.now_ms()
            self._failures.add(now, came, came)
            await self.carry_out(self._disabled(now, self._breaker.reason))

    async def hold(self, reason: str) -> bool:
        """Close the operator's gate; False if it was closed already. Durable on return.

        Raises StoreError: then it is closed, and the store is told as soon as it can be, or when it is ordered again.
        """
        again = "held" in self._closed
        if again and not self._rows.owes("held"):
            return False
        if not again:
            self._close(Gate(self._target, "held", self._runtime.now_ms(), None, reason))
        await self._rows.write(["held"])
        return True

    async def open(self, kinds: Collection[GateKind]) -> bool:
        """Open the gates of these kinds because an operator says so; False if none of them was closed.

        Raises StoreError: then they stay closed, as the rows say, and may be opened again.
        """
        found = [kind for kind in kinds if kind in self._closed]
        for kind in found:
            await self._rows.open(kind)
        if not {"breaker", "disabled"}.isdisjoint(found):
            self._breaker, _ = self._breaker.enable()
            self._told = False
            if self._failures is not None:
                self._failures.clear()
        for kind in found:
            self._closed.pop(kind, None)
        if found:
            self._start_slowly()
            await self._write()
        if not {"breaker", "disabled"}.isdisjoint(found):
            self._observer.gate_opened(self._target, "an operator enabled it")
        return bool(found)

    def step_back(self, by_ms: int, now: int) -> None:
        """The clock went back: move what is in memory. The rows are the store's to move."""
        self._breaker = self._breaker.step_back(by_ms, now)
        for kind, gate in self._closed.items():
            if gate.until is not None and gate.until > now:
                self._closed[kind] = gate._replace(until=max(now, gate.until - by_ms))
        if self._failures is not None:
            self._failures.step_back(by_ms)

    async def save(self) -> None:
        """Have the store know what it does not know yet. Raises StoreError."""
        await self._rows.write()

    def _disabled(self, now: int, reason: str) -> tuple[GateMove, ...]:
        """Disable the target if its rule says so; give what then is to be moved instead of anything else."""
        if self._failures is None or self._breaker.state == "disabled" or not self._failures.reached(now):
            return ()
        total, failed = self._failures.counts(now)
        within = duration_text(self._failures.rule.within_ms / 1000)
        told = f"{failed} of {total} deliveries within {within} failed, the last: {reason}"
        self._breaker, moves = self._breaker.disable(told)
        return (*moves, GateMove("breaker", close=False, until=None, reason="disabled instead"))

    def _move(self, move: GateMove) -> bool:
        """Move a gate and tell of it; False if it is open already."""
        if move.close:
            since = self._closed[move.kind].since if move.kind in self._closed else self._runtime.now_ms()
            self._close(Gate(self._target, move.kind, since, move.until, move.reason))
            return True
        if self._closed.pop(move.kind, None) is None:
            return False
        self._start_slowly()
        if move.kind == "breaker" and self._breaker.state == "closed" and self._told:
            self._told = False
            self._observer.gate_opened(self._target, "it answers")
        return True

    def _close(self, gate: Gate) -> None:
        again = gate.kind in self._closed
        self._closed[gate.kind] = gate
        asked = gate.kind == "breaker" and self._breaker.asked
        if not again or (gate.kind == "breaker" and not asked and not self._told):
            self._observer.gate_closed(gate, asked=asked)
        if gate.kind == "breaker":
            self._told |= not asked

    def _start_slowly(self) -> None:
        if self.are_open:
            self.pace.start_slowly(self._runtime.monotonic())

    async def _write(self, moved: Iterable[GateKind] = ()) -> None:
        try:
            await self._rows.write(moved)
        except StoreError as error:  # it holds in memory; a restart would only try the target once more
            log.debug("store.postponed", target=self._target, problem=str(error))


def _restore(closed: dict[GateKind, Gate], *, asked: bool) -> Breaker:
    if gate := closed.get("disabled"):
        return restored("disabled", None, gate.reason)
    if gate := closed.get("breaker"):
        return restored("breaker", gate.until, gate.reason, asked=asked)
    return Breaker()
