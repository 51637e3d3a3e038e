"""Carries out what an operator orders: retry and cancel in shares of a second or so, replays by the replayer.

Every order is checked against the names there are, told in the log and written into the audit with who gave it.
"""

import pwd
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import structlog

from gateway.admin.desk import Asker, DeliveryOrder, EventProgress, Progress, ReplayStatus
from gateway.admin.operations import NotPossibleError, no_target
from gateway.core.model import event_text
from gateway.dispatch.dispatcher import Dispatcher
from gateway.intake import Intake
from gateway.replay_plan import ReplayPlan, read_plan
from gateway.replayer import Replayer
from gateway.runtime import Runtime
from gateway.store.contract import Store
from gateway.store.operator import EventFilter, Note, Number, Position, Replay, Replayable

SLICE: Final = 500
"""Deliveries that one read and one transaction take."""
SHARE: Final = 10_000
SHARE_SECONDS: Final = 1.0
"""After so many, or so long, a request is answered and its client goes on with another."""
RUNNING_MAX: Final = 16
WAIT_SECONDS: Final = 2.0
"""So long a request for a replay waits for its end: that of a few events is over by then."""

log = structlog.get_logger()


class OperatorDesk:
    """Keeps the promises of `gateway.admin.desk.Desk`."""

    def __init__(
        self, store: Store, intake: Intake, dispatcher: Dispatcher, replayer: Replayer, runtime: Runtime
    ) -> None:
        self._store = store
        self._operator = store.operator
        self._intake = intake
        self._dispatcher = dispatcher
        self._replayer = replayer
        self._runtime = runtime

    async def retry(self, order: DeliveryOrder, asker: Asker) -> Progress:
        """Make dead deliveries due now."""
        await self._check(order)
        who = await self.who(asker)
        done = await self._work(order, partial(self._operator.retry, note=Note(who, order.told)))
        if done.count and not order.dry_run:
            self._dispatcher.hint_all()
            log.info("deliveries.retried", who=who, chosen=order.told, count=done.count)
        return done

    async def cancel(self, order: DeliveryOrder, asker: Asker) -> Progress:
        """Cancel pending and dead deliveries."""
        await self._check(order)
        who = await self.who(asker)
        done = await self._work(order, partial(self._operator.cancel, note=Note(who, order.told, order.reason)))
        if done.count and not order.dry_run:
            log.info("deliveries.cancelled", who=who, chosen=order.told, count=done.count, reason=order.reason)
        return done

    async def count_events(self, chosen: EventFilter, after: int) -> EventProgress:
        """Count the events that a replay would look at."""
        until = self._runtime.monotonic() + SHARE_SECONDS
        count, position = 0, after
        while True:
            step = await self._operator.count_events(chosen, position)
            count += step.events
            if step.position is None or self._runtime.monotonic() > until:
                return EventProgress(count, step.position)
            position = step.position

    async def replay(self, replay_id: str, plan: ReplayPlan, asker: Asker) -> ReplayStatus:
        """Begin a replay, or tell how the one of this id fares."""
        known, who = await self._operator.replay(replay_id), await self.who(asker)
        if known is None:
            await self._check_plan(plan)
            known = await self._operator.begin_replay(Replay(replay_id, self._runtime.now_ms(), who, plan.write()))
        if known is not None:
            return self._known(known, plan)
        kept = await self._operator.replay(replay_id)
        if kept is not None:
            log.info("replay.begun", replay=replay_id, who=who, chosen=plan.told(), per_second=plan.per_second)
            self._replayer.begin(kept)
            await self._replayer.wait(replay_id, WAIT_SECONDS)
        return await self.find_replay(replay_id)

    async def replays(self, limit: int) -> list[ReplayStatus]:
        """List replays, newest first."""
        return [self._status(each) for each in await self._operator.replays(limit)]

    async def find_replay(self, replay_id: str) -> ReplayStatus:
        """Give one replay."""
        found = await self._operator.replay(replay_id)
        if found is None:
            raise NotPossibleError(f"there is no replay {replay_id[:64]!r}", "hookgate replays list")
        return self._status(found)

    async def cancel_replay(self, replay_id: str, reason: str, asker: Asker) -> ReplayStatus:
        """End a running replay; what it added stays."""
        who = await self.who(asker)
        ended = await self._operator.cancel_replay(replay_id, Note(who, replay_id, reason))
        if ended is None:
            found = await self.find_replay(replay_id)
            raise NotPossibleError(
                f"replay {replay_id} is {found.replay.state} already", f"hookgate replays show {replay_id}"
            )
        self._replayer.stop(replay_id)
        log.info("replay.cancelled", replay=replay_id, who=who, reason=reason, added=ended.added)
        return self._status(ended)

    async def who(self, asker: Asker) -> str:
        """Name a user; in a thread, because the name may be asked of a directory over the network."""
        name = "" if asker.uid is None else await self._runtime.in_file_thread(partial(_user_name, asker.uid))
        known = "who has the admin token" if asker.uid is None else f"uid {asker.uid}" + (f" ({name})" if name else "")
        return known if asker.says in {"", name} else f"{known}, says {asker.says}"

    def _status(self, replay: Replay, *, again: bool = False) -> ReplayStatus:
        waits = self._replayer.waits.get(replay.id, "") if replay.state == "running" else ""
        return ReplayStatus(replay, waits, again)

    def _known(self, known: Replay, plan: ReplayPlan) -> ReplayStatus:
        if not read_plan(known.plan).is_like(plan):
            raise NotPossibleError(
                f"the id {known.id} stands for another replay, begun by {known.who}: {read_plan(known.plan).told()}; "
                "give this one an id of its own",
                f"hookgate replays show {known.id}",
            )
        return self._status(known, again=True)

    async def _check(self, order: DeliveryOrder) -> None:
        """Refuse names that nobody knows; not half-way, when a target may have nothing left."""
        if order.position != Position():
            return
        known = {*self._intake.blueprint.targets, *self._store.targets()}
        for each in order.chosen:
            if each.target is not None and each.target not in known:
                raise no_target(each.target, known)
            if each.event_id is not None and await self._store.event(each.event_id) is None:
                raise NotPossibleError(f"there is no event {event_text(each.event_id)}", "hookgate events list")

    async def _work(self, order: DeliveryOrder, change: Callable[[Sequence[Number]], Awaitable[int]]) -> Progress:
        """Select and change, slice by slice; of what was selected only what is still as it was is changed."""
        until = self._runtime.monotonic() + SHARE_SECONDS
        count, found = 0, list[Number]()
        for chosen in order.chosen:
            position: Position | None = order.position
            while position is not None:
                step = await self._operator.select_deliveries(chosen, position, SLICE)
                found += step.found
                position = step.position
                if len(found) >= SLICE or (position is not None and self._runtime.monotonic() > until):
                    count += len(found) if order.dry_run else await change(found)
                    found = []
                    if len(order.chosen) == 1 and (count >= SHARE or self._runtime.monotonic() > until):
                        return Progress(count, position)
        if found:
            count += len(found) if order.dry_run else await change(found)
        return Progress(count, None)

    async def _check_plan(self, plan: ReplayPlan) -> None:
        """Refuse what can be known to be impossible before anything is begun."""
        targets = self._intake.blueprint.targets
        for name in (*plan.targets, *plan.also):
            if name not in targets:
                raise no_target(name, targets)
            if targets[name].replay == "never":
                raise NotPossibleError(
                    f'the target {name} takes no replays: its configuration says replay = "never"',
                    "hookgate events list",
                )
        if self._replayer.running >= RUNNING_MAX:
            raise NotPossibleError(f"{RUNNING_MAX} replays are running: wait, or cancel one", "hookgate replays list")
        led = self._led_to(plan)
        for event_id in plan.chosen.event_ids:
            led |= await self._check_event(plan, event_id)
        if astray := sorted(set(plan.also) - led):
            chosen = plan.chosen.event_ids
            raise NotPossibleError(
                f"nothing leads what was chosen to {', '.join(astray)}, and --also adds no way: say --target instead",
                f"hookgate replay {event_text(chosen[0])} --target {astray[0]}" if chosen else "hookgate replay --help",
            )

    def _led_to(self, plan: ReplayPlan) -> set[str]:
        """Give the targets that what was chosen may go to; of single events, they say themselves."""
        if plan.chosen.event_ids:
            return set()
        if plan.same:
            return set(plan.also)
        blueprint = self._intake.blueprint
        source = plan.chosen.source if plan.chosen.source in blueprint.sources else None  # else perhaps a former name
        return {name for each in blueprint.routes.values() if source in {None, each.source} for name in each.targets}

    async def _check_event(self, plan: ReplayPlan, event_id: int) -> set[str]:
        """Give the targets that an event goes to again. Raises NotPossibleError if there is none."""
        step = await self._operator.select_events(EventFilter(event_ids=(event_id,)), 0, event_id, 1)
        text = event_text(event_id)
        if not step.found or step.found[0].event.payload is None:
            lost = "has lost its payload to retention ([store] keep.bodies)" if step.found else "is not in the store"
            raise NotPossibleError(f"{text} {lost}", "hookgate events list")
        (found,) = step.found
        planned, left_out = self._replayer.plan(plan, found)
        if planned:
            return {each.target for each in planned}
        if left_out:
            raise NotPossibleError(
                f'{text} goes to {", ".join(left_out)} only, which takes replays only if named (replay = "ask") '
                'or not at all ("never")',
                f"hookgate replay {text} {' '.join(f'--also {name}' for name in left_out)}",
            )
        raise self._no_way(found, plan)

    def _no_way(self, found: Replayable, plan: ReplayPlan) -> NotPossibleError:
        event, text = found.event, event_text(found.event.id)
        if plan.same:
            return NotPossibleError(f"{text} went to no target that there is today", f"hookgate events show {text}")
        about = f"source {event.source}, type {event.type}, version {event.version or 'none'}"
        return NotPossibleError(f"no route takes {text} ({about})", "hookgate check")


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""
