"""All targets' runners under one roof: starts them, swaps them on a reload, drains them at the end.

A target that the configuration no longer names has no runner: its deliveries stay in the store, parked, until it is
back.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import structlog
import trio

from gateway.blueprint import Blueprint, TargetPlan
from gateway.core.model import Delivery, Outcome, StoredEvent
from gateway.dispatch.clock import DueClock
from gateway.dispatch.gates import Gates
from gateway.dispatch.memo import NOTE
from gateway.dispatch.memory import TargetMemory
from gateway.dispatch.observer import Observer
from gateway.dispatch.overlooked import overlooked
from gateway.dispatch.runner import Runner
from gateway.errors import StoppingError, StoreError
from gateway.plugin import Context
from gateway.runtime import Runtime
from gateway.store.contract import Claim, Gate, GateKind, Ordering, Store
from gateway.wire.guard import Guard, Own

MEMO_SECONDS: Final = 60.0
"""A crash forgets no more of the counted failures than came in this time."""
ORDER_AGAIN_SECONDS: Final = 1.0
"""How soon a store that could not be told a target's order is asked again."""

Heirs: TypeAlias = Mapping[str, str]
"""Renamed targets: their names by their former ones."""

log = structlog.get_logger()


async def _nobody_renames() -> Heirs:
    return {}


class Dispatcher:
    """Delivers what the store holds, and what intake hands over; one per daemon."""

    def __init__(
        self, store: Store, runtime: Runtime, observer: Observer, state_folder: Path, own: Sequence[Own] = ()
    ) -> None:
        """Prepare; `own` is what the gateway itself listens on: no target leads there."""
        self._store = store
        self._runtime = runtime
        self._observer = observer
        self._state_folder = state_folder
        self.clock = DueClock(runtime)
        """What time it is for what waits; whoever minds the clock tells it of steps."""
        self._guard = Guard(own=tuple(own))
        self._runners: dict[str, Runner] = {}
        self._ending: dict[str, Runner] = {}
        """Those that ran when `drain` was called."""
        self._nursery: trio.Nursery | None = None
        self._blueprint: Blueprint | None = None
        self._running = 0
        self._ordering: dict[Runner, trio.CancelScope] = {}
        """Runners that do not run yet: what waits for them is still put in order."""
        self.draining = False
        """True once `drain` was called: nothing new begins any more."""
        self._all_done = trio.Event()

    @property
    def runners(self) -> Mapping[str, Runner]:
        """The running targets by name."""
        return self._runners

    async def run(self, blueprint: Blueprint, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Deliver until `drain` has ended every runner, or until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            await self.use(blueprint)
            nursery.start_soon(self._keep_memos)
            task_status.started()
            await self._all_done.wait()
            nursery.cancel_scope.cancel()

    async def use(self, blueprint: Blueprint, rename: Callable[[], Awaitable[Heirs]] = _nobody_renames) -> None:
        """Deliver by `blueprint` from now on: unchanged targets go on, changed ones finish what they try.

        `rename` has the store give targets their names; gates that move meanwhile go along. Raises StoreError, and
        what `rename` raises: then nothing changed.
        """
        closed, memos = _by_target(await self._store.gates()), await self._store.notes(NOTE)
        heirs = await self._rename(blueprint, rename)
        if self.draining:
            return
        self._blueprint = blueprint
        left, former = self._end_outdated(heirs), {name: formerly for formerly, name in heirs.items()}
        for name, plan in blueprint.targets.items():
            if name in left:  # what the store said may be older: a gate may have moved since
                self._start(plan, left[name].hand_over(plan), blueprint)
            elif name not in self._runners:
                was = former.get(name, name)
                kept = closed.get(was, ()), memos.get(NOTE + was, b"")
                self._start(plan, Gates(plan, self._store, self._runtime, self._observer, *kept), blueprint)

    def _end_outdated(self, heirs: Heirs) -> dict[str, Gates]:
        """End the runners whose plans are not those of today; give their gates by the names that they go by now."""
        left: dict[str, Gates] = {}
        targets = {} if self._blueprint is None else self._blueprint.targets
        for name, runner in list(self._runners.items()):
            plan, takes_over = targets.get(name), name in heirs.values()
            if plan is None or takes_over or plan.fingerprint != runner.plan.fingerprint:
                del self._runners[name]
                self._drain(runner, partial(self.hint, heirs.get(name, name)))
                runner.gates.retire()
                if not takes_over:  # else it had nothing in the store, and has what the former one left
                    left[heirs.get(name, name)] = runner.gates
        return left

    def drain(self) -> None:
        """Take nothing new; `run` returns when the last try has ended."""
        self.draining = True
        for runner in self._runners.values():
            self._drain(runner)
        self._ending, self._runners = self._runners, {}
        self._look_whether_done()

    def reserve(self, target: str, size: int, source: str) -> Runner | None:
        """Reserve a slot in the target's window; None: the delivery waits in the store."""
        runner = self._runners.get(target)
        return runner if runner is not None and runner.reserve(size, source) else None

    def hint(self, target: str) -> None:
        """Tell that something waits in the store for the target."""
        if runner := self._runners.get(target):
            runner.hint()

    def hint_all(self) -> None:
        """Tell every target that something may wait in the store."""
        for runner in self._runners.values():
            runner.hint()

    async def deliver_directly(self, target: str, event: StoredEvent) -> Outcome | None:
        """Try an event once that no store holds; None: the target is not to be used now. An open breaker is no reason.

        Never raises but Cancelled.
        """
        runner = self._runners.get(target)
        if runner is None or any(gate.kind != "breaker" for gate in runner.gates.closed):
            return None
        delivery = Delivery(event.id, 0, target, "alerts", 1, 0, 0, None, event.accepted_at)
        return await runner.deliver_directly(Claim(delivery, event))

    async def step_back(self, by_ms: int) -> int:
        """The wall clock went back by `by_ms`: what waits, waits no longer than before. Give how many deliveries moved.

        Raises StoreError; what was moved by then stays moved, and all of it may be asked for again.
        """
        now = self._runtime.now_ms()
        try:
            moved = await self._store.step_back(by_ms, now)
            for runner in self._runners.values():
                runner.step_back(by_ms, now)
        finally:
            self.hint_all()
        return moved

    async def step_forward(self, by_ms: int, since_ms: int) -> int:
        """The wall clock went forward by `by_ms`, at most `since_ms` ago: what waits, waits as long as before.

        Gates stay: a probe may come early. Give how many deliveries moved. Raises StoreError.
        """
        return await self._store.step_forward(by_ms, self._runtime.now_ms(), since_ms)

    def gates(self) -> list[Gate]:
        """Give all closed gates of running targets, for people."""
        return [gate for runner in self._runners.values() for gate in runner.gates.closed]

    def overlooked(self) -> list[str]:
        """Tell of each target whose deliveries are due while nobody looks at them; empty = all is well."""
        now, monotonic = self.clock.now_ms(), self._runtime.monotonic()
        told = (
            overlooked(name, self._store.backlog(name), runner.looked_at, now, monotonic)
            for name, runner in self._runners.items()
        )
        return [one for one in told if one is not None]

    def slow_targets(self) -> set[str]:
        """Name the running targets that are in a slow start, for people."""
        return {name for name, runner in self._runners.items() if runner.gates.pace.is_starting}

    def gathering(self) -> dict[str, float]:
        """Tell of running targets that gather how many seconds they wait for more, for people."""
        return {name: wait for name, runner in self._runners.items() if (wait := runner.gathers_seconds) is not None}

    async def hold(self, target: str, reason: str) -> bool:
        """Close the operator's gate on a target; False if it was. Durable on return. StoppingError after `drain`."""
        return await self._runner(target).hold(reason)

    async def open(self, target: str, kinds: Collection[GateKind]) -> bool:
        """Open gates of a target because an operator says so; False if none was closed. Durable on return.

        One that was disabled is opened anew and remembers nothing: who is there now may be somebody else.
        Raises StoppingError after `drain`.
        """
        runner = self._runner(target)
        if "disabled" not in kinds or all(gate.kind != "disabled" for gate in runner.gates.closed):
            opened = await runner.gates.open(kinds)
            successor = self._runners.get(target, runner)
            if successor is not runner:  # a reload came in between, and took the gates over as they were
                opened = await successor.gates.open(kinds) or opened
        else:
            opened = await self._open_anew(target, runner, kinds)
        self.hint(target)
        return opened

    async def _open_anew(self, target: str, runner: Runner, kinds: Collection[GateKind]) -> bool:
        await TargetMemory(self._store, target).forget()
        self._drain(runner, partial(self.hint, target))  # first, so that nothing goes out by the old one
        try:
            return await runner.gates.open(kinds)
        finally:
            successor = self._runners.get(target)
            if successor is runner and self._blueprint is not None:
                self._start(runner.plan, runner.gates.hand_over(runner.plan), self._blueprint)
            elif successor is not None:  # a reload came in between
                await successor.gates.open(kinds)

    async def wait_drained(self) -> None:
        """Return once every runner has ended, after `drain`."""
        await self._all_done.wait()

    def _runner(self, target: str) -> Runner:
        if self.draining:
            raise StoppingError(f"target {target}: the gateway is stopping; give the order again once it has started")
        return self._runners[target]

    def _drain(self, runner: Runner, given_back: Callable[[], None] = lambda: None) -> None:
        runner.drain(given_back)
        if scope := self._ordering.get(runner):
            scope.cancel()

    def _start(self, plan: TargetPlan, gates: Gates, blueprint: Blueprint) -> None:
        if self._nursery is None:
            raise RuntimeError("the dispatcher is not running")
        context = Context(
            plan.name,
            self._runtime,
            plan.concurrency,
            state_folder=self._state_folder,
            timeout_seconds=plan.timeout_seconds,
            guard=self._guard,
            memory=TargetMemory(self._store, plan.name),
        )
        runner = Runner(plan, self._store, context, self._observer, gates, self.clock)
        self._runners[plan.name] = runner
        self._running += 1
        self._nursery.start_soon(self._run, runner, blueprint)

    async def _run(self, runner: Runner, blueprint: Blueprint) -> None:
        try:
            with trio.CancelScope() as self._ordering[runner]:
                if not runner.draining:
                    await self._put_in_order(runner, blueprint)
            del self._ordering[runner]
            await runner.run()
            if self.draining:
                await self._save(runner)
        finally:
            self._running -= 1
            self._look_whether_done()

    async def _rename(self, blueprint: Blueprint, rename: Callable[[], Awaitable[Heirs]]) -> Heirs:
        former = {plan.formerly for plan in blueprint.targets.values()}
        gates = {name: runner.gates for name, runner in (self._ending | self._runners).items() if name in former}
        for each in gates.values():
            each.wait_for_name()
        heirs: Heirs = {}
        try:
            heirs = await rename()
        finally:
            for name, each in gates.items():
                await each.go_by(heirs.get(name, name))
        return heirs

    async def _keep_memos(self) -> None:
        """Have the store remember, once a minute, what a restart must not forget."""
        while True:
            await trio.sleep(MEMO_SECONDS)
            for runner in list(self._runners.values()):
                await self._save(runner)

    async def _save(self, runner: Runner) -> None:
        try:
            await runner.gates.save()
        except StoreError as error:
            log.debug("store.postponed", target=runner.plan.name, problem=str(error))

    async def _put_in_order(self, runner: Runner, blueprint: Blueprint) -> None:
        """Tell the store how the target is ordered; where that has changed, wait until what it holds is in order."""
        plan, order = runner.plan, runner.plan.order
        ordering = None if order is None else Ordering(order.rule, order.on_dead, order.keep)
        while True:
            try:
                if (name := runner.gates.name) is not None:
                    count = await self._store.set_ordering(
                        name, ordering, lambda stored: blueprint.order_key(plan.name, stored)
                    )
                    break
            except StoreError as error:  # a full disk passes, a broken store ends the daemon from another task
                log.debug("store.postponed", target=plan.name, problem=str(error))
            await trio.sleep(ORDER_AGAIN_SECONDS)
        if count:
            log.info("target.reordered", target=plan.name, deliveries=count, order_by=ordering and ordering.rule)

    def _look_whether_done(self) -> None:
        if self.draining and not self._running:
            self._all_done.set()


def _by_target(gates: list[Gate]) -> dict[str, tuple[Gate, ...]]:
    found: dict[str, tuple[Gate, ...]] = {}
    for gate in gates:
        found[gate.target] = (*found.get(gate.target, ()), gate)
    return found
