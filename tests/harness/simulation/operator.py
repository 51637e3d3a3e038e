"""The operator of a simulated daemon: edits its configuration and reloads, gives orders, and cleans up at the end."""

from contextlib import suppress
from dataclasses import replace
from functools import partial

import trio

from gateway.admin.desk import Asker, DeliveryOrder
from gateway.admin.operations import NotPossibleError
from gateway.errors import StoppingError, StoreError
from gateway.replay_plan import ReplayPlan
from gateway.store.operator import DeliveryFilter, EventFilter
from harness.simulation.disk import KilledError

OUTCOME_UNKNOWN = "its outcome is unknown"
"""A reload refused with these words leaves the new file where it is: the store may go by its names already."""


class Operator:
    """Acts on the life that a world has at the moment."""

    def __init__(self, world):
        self._world = world
        self._editing = trio.Lock()

    async def reload(self, draw, place):
        """Reload to something else, as the dice say."""
        await self._go_over(partial(self._changed, draw, place))

    def _changed(self, draw, place):
        """Choose what to reload to; None: what is no configuration at all."""
        now, first = self._world.settings, self._world.latest[place]
        target = now.target(place)
        if draw < 0.2:
            return None
        if target is None:
            return now.with_target(first if draw < 0.7 else self._renamed(first))
        if draw < 0.5 and len(now.targets) > 1 and not (now.alerts and target is now.targets[0]):
            return now.without(place)
        if draw < 0.75:
            return now.with_target(self._renamed(target))
        return now.with_target(replace(target, concurrency=3, rate=0))

    def _renamed(self, target):
        return replace(target, name=f"{target.name}x", formerly=target.name)

    async def _go_over(self, choose):
        """Reload to the settings that `choose` gives: one after the other, each from what the one before left."""
        async with self._editing:
            await self._edit(choose())

    async def _edit(self, settings):
        world = self._world
        life, before = world.life, world.settings
        if life is None or not life.listens or settings is before:
            return
        if settings is None:
            world.config.write_text("[targets.p0]\ntype = 5\n")
        else:
            world.config.write_text(settings.text())
            world.possible = [*world.possible, settings]
        result = await self._ask(life, life.daemon.control.reload)
        if settings is None:
            world.config.write_text(before.text())
            if result is not None and result.ok:
                world.fail("P15", "a configuration that is none was taken")
        elif result is not None and not result.ok and not any(OUTCOME_UNKNOWN in each for each in result.problems):
            world.config.write_text(before.text())
            world.possible = [each for each in world.possible if each is not settings]
        else:  # it is what the next start finds, too
            world.settings = settings
            world.latest |= {target.place: target for target in settings.targets}
            await trio.sleep(3.0)
            world.possible = [world.settings]

    async def _ask(self, life, order):
        """Have the daemon carry an order out; give its answer, None if it was refused or the process ended first."""
        answer = None

        async def carry_out():
            nonlocal answer
            try:
                with suppress(StoreError, StoppingError, NotPossibleError, KilledError):
                    answer = await order()
            except Exception:
                if not life.dead:  # what falls apart in a process that was killed is nobody's
                    raise
            nursery.cancel_scope.cancel()

        with self._world.busy():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(carry_out)
                await life.ended.wait()
                nursery.cancel_scope.cancel()
        return answer

    async def operate(self, verb, place, id, draw):  # noqa: A002 - a replay's id
        """Give an order for the target that leads to a place, if there is one now."""
        life, target = self._world.life, self._world.settings.target(place)
        if life is not None and life.listens and target is not None:
            await self._order(verb, target, id, draw)

    async def _order(self, verb, target, replay="", draw=0.0):
        """Give an order as an operator does."""
        world, asker = self._world, Asker(None, "")
        life = world.life
        control, desk = life.daemon.control, life.daemon.control.desk
        states = ("dead",) if verb == "retry" else ("pending", "dead")
        order = DeliveryOrder([DeliveryFilter(states, target=target.name)], target.name, reason="by hand")
        if verb == "retry":
            await self._ask(life, partial(desk.retry, order, asker))
        elif verb == "cancel":
            world.checker.cancelling = True
            await self._ask(life, partial(desk.cancel, order, asker))
            world.checker.cancelling = False
        elif verb == "replay":
            since = world.wall_ms() - int(draw * 86_400_000)
            plan = ReplayPlan(EventFilter(since=since, without_source="hookgate"), (target.name,) if draw < 0.5 else ())
            for _ in range(2):
                await self._ask(life, partial(desk.replay, replay, plan, asker))
        else:
            await self._ask(life, partial(getattr(control, verb), target.name, "by hand"))

    async def restore(self):
        """Have all targets that there were, under the names they have now."""
        await self._go_over(self._complete)

    def _complete(self):
        wanted = self._world.settings
        for place, latest in self._world.latest.items():
            if wanted.target(place) is None:
                wanted = wanted.with_target(latest)
        return wanted

    async def open_all(self):
        """Open all gates, and have what is dead tried again."""
        for target in self._world.settings.targets:
            for verb in ("enable", "release", "retry"):
                await self._order(verb, target)
