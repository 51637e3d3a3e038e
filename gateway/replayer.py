"""Carries replays out: each in small steps at its pace, until it has seen the last event there was when it began.

A step reads some events, plans them by the configuration of that moment, and writes their deliveries together with how
far the replay has come, in one transaction: after a crash it goes on from there by itself. It waits while one of its
targets has much to do already, so that a replay is never the backlog that live events wait behind.
"""

from contextlib import suppress
from typing import Final

import structlog
import trio

from gateway.blueprint import Blueprint
from gateway.errors import StoreBrokenError, StoreError
from gateway.intake import Admission, Intake
from gateway.replay_plan import ReplayPlan, read_plan
from gateway.runtime import Runtime
from gateway.store.contract import NewDelivery, Store
from gateway.store.operator import Advance, EventFilter, Note, Planned, Replay, Replayable, source_of_plan

BACKLOG_MAX: Final = 1000
"""Deliveries that may wait for a target before its replays wait too."""
WAIT_SECONDS: Final = 1.0
REASON_MAX: Final = 200

log = structlog.get_logger()


class _Run:
    """One replay under way."""

    def __init__(self) -> None:
        self.ended = trio.Event()
        self.scope = trio.CancelScope()


class Replayer:
    """Runs what the store says is running; one per daemon."""

    def __init__(self, store: Store, intake: Intake, admission: Admission, runtime: Runtime) -> None:
        self._store = store
        self._intake = intake
        self._admission = admission
        self._runtime = runtime
        self._nursery: trio.Nursery | None = None
        self._running: dict[str, _Run] = {}
        self.waits: dict[str, str] = {}
        """Why a running replay does not go on just now, by its id."""

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Go on with what an earlier process left, then with what `begin` brings, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                await self._go_on()
            finally:
                self._nursery = None  # before it is closed: from then on it would refuse what `begin` brings

    async def _go_on(self) -> None:
        for replay in await self._left_over():
            log.info("replay.continued", replay=replay.id, who=replay.who, events=replay.events, added=replay.added)
            self.begin(replay)
        await trio.sleep_forever()

    @property
    def running(self) -> int:
        """How many run."""
        return len(self._running)

    def begin(self, replay: Replay) -> None:
        """Carry out a replay that the store keeps; before or after `run`, leave it to the next `run`."""
        if self._nursery is not None and replay.id not in self._running:
            run = self._running[replay.id] = _Run()
            self._nursery.start_soon(self._carry_out, replay, run)

    async def wait(self, replay_id: str, seconds: float) -> None:
        """Return once the replay does not run any more, or after `seconds`."""
        if (run := self._running.get(replay_id)) is not None:
            with trio.move_on_after(seconds):
                await run.ended.wait()

    def stop(self, replay_id: str) -> None:
        """Stop working on a replay, for one that was cancelled in the store."""
        if (run := self._running.get(replay_id)) is not None:
            run.scope.cancel()

    def plan(self, plan: ReplayPlan, replayable: Replayable) -> tuple[list[NewDelivery], list[str]]:
        """Plan one event again by the configuration of now; also give the targets left out by their `replay` key.

        Both are empty if no route takes it, or its payload is gone.
        """
        blueprint = self._intake.blueprint
        if replayable.event.payload is None:
            return [], []
        if plan.targets or plan.same:
            wanted = _today(blueprint, plan.targets or replayable.targets)
            planned = self._intake.plan_again(replayable.event, [each for each in wanted if each in blueprint.targets])
        else:
            planned = self._intake.plan_again(replayable.event, None)
        named = set(_today(blueprint, (*plan.targets, *plan.also)))
        return (
            [each for each in planned if _may(blueprint, each.target, named)],
            [each.target for each in planned if not _may(blueprint, each.target, named)],
        )

    async def _left_over(self) -> list[Replay]:
        while True:
            try:
                return await self._store.operator.replays(1000, "running")
            except StoreBrokenError:
                return []
            except StoreError as error:
                log.debug("replay.postponed", replay="", problem=str(error))
                await trio.sleep(WAIT_SECONDS)

    async def _carry_out(self, replay: Replay, run: _Run) -> None:
        try:
            with run.scope:
                await self._walk(replay, read_plan(replay.plan))
        except StoreBrokenError:
            return  # the daemon ends; the next one goes on
        except Exception as error:  # noqa: BLE001 - another version's plan, or a bug: no replay may end every start
            log.error("replay.failed", replay=replay.id, who=replay.who, problem=repr(error)[:REASON_MAX])
            with suppress(StoreError):
                note = Note("the gateway", replay.id, f"it cannot go on: {error!r}"[:REASON_MAX])
                await self._store.operator.cancel_replay(replay.id, note)
        finally:
            self.waits.pop(replay.id, None)
            del self._running[replay.id]
            run.ended.set()

    async def _walk(self, replay: Replay, plan: ReplayPlan) -> None:
        """Take step after step; `used` are the targets of the last one."""
        position, used = replay.position, set[str]()
        size, pause = plan.step()
        while True:
            begun = self._runtime.monotonic()
            if hindrance := self._hindrance(plan, used):
                self.waits[replay.id] = hindrance
                await trio.sleep(WAIT_SECONDS)
                continue
            self.waits.pop(replay.id, None)
            try:
                step, used = await self._step(replay, plan, position, size)
            except StoreBrokenError:
                raise
            except StoreError as error:  # a full disk passes
                self.waits[replay.id] = str(error)
                log.debug("replay.postponed", replay=replay.id, problem=str(error))
                await trio.sleep(WAIT_SECONDS)
                continue
            if step is None or step.done:
                await self._tell_end(replay.id)
                return
            position = step.position
            taken = len(step.planned) + step.passed_over
            await trio.sleep(max(pause * taken / size - (self._runtime.monotonic() - begun), 0))

    def _hindrance(self, plan: ReplayPlan, used: set[str]) -> str:
        """Say why the next step must wait; empty if it need not."""
        blueprint = self._intake.blueprint
        for target in _today(blueprint, plan.targets):
            if target not in blueprint.targets:
                return f"the configuration does not name the target {target}"
        for target in sorted(used):
            if (pending := self._store.backlog(target).pending) >= BACKLOG_MAX:
                return f"{pending} deliveries wait for {target} already"
        return ""

    async def _step(
        self, replay: Replay, plan: ReplayPlan, position: int, size: int
    ) -> tuple[Advance | None, set[str]]:
        """Take one step; None if the replay was cancelled."""
        planned: list[Planned] = []
        left_out = passed_over = 0
        async with self._intake.steady():  # from the reading on: events are known by the names of their sources
            chosen = await self._chosen(replay.id, plan)
            selected = await self._store.operator.select_events(chosen, position, replay.last, size)
            for replayable in selected.found:
                deliveries, omitted = self.plan(plan, replayable)
                left_out += len(omitted)
                if deliveries:
                    planned.append(Planned(replayable.event.id, deliveries))
                elif not omitted:
                    passed_over += 1
                await trio.lowlevel.checkpoint()
            done = selected.position is None
            step = Advance(planned, left_out, passed_over, selected.position or replay.last, done, chosen.hold)
            written = await self._store.operator.advance_replay(replay.id, step)
        used = {each.target for one in planned for each in one.deliveries}
        for target in used:
            self._admission.hint(target)
        return (None if written is None else step), used

    async def _chosen(self, replay_id: str, plan: ReplayPlan) -> EventFilter:
        """Give what selects the events, by the name that their source has now; for a block that is `steady`.

        What was asked for by a former name goes by `formerly`; a rename since then is in the store's copy of the plan,
        so that the configuration may forget it.
        """
        asked = plan.chosen.source
        if asked is None:
            return plan.chosen
        kept = await self._store.operator.replay(replay_id)
        now = None if kept is None else source_of_plan(kept.plan)
        return plan.chosen._replace(
            source=_source_today(self._intake.blueprint, asked) if now in {None, asked} else now
        )

    async def _tell_end(self, replay_id: str) -> None:
        ended = await self._store.operator.replay(replay_id)
        if ended is not None and ended.state == "done":
            log.info(
                "replay.done",
                replay=ended.id,
                who=ended.who,
                events=ended.events,
                added=ended.added,
                left_out=ended.left_out,
                passed_over=ended.passed_over,
            )


def _today(blueprint: Blueprint, targets: tuple[str, ...]) -> list[str]:
    """Give the names that targets have today."""
    renamed = {each.formerly: each.name for each in blueprint.targets.values() if each.formerly is not None}
    return [name if name in blueprint.targets else renamed.get(name, name) for name in targets]


def _source_today(blueprint: Blueprint, source: str | None) -> str | None:
    """Give the name that a source has today."""
    renamed = {each.formerly: each.name for each in blueprint.sources.values() if each.formerly is not None}
    return renamed.get(source, source) if source is not None else None


def _may(blueprint: Blueprint, target: str, named: set[str]) -> bool:
    policy = blueprint.targets[target].replay
    return policy == "yes" or (policy == "ask" and target in named)
