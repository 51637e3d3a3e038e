"""Dispatch under a wall clock that steps, in virtual time: nothing waits longer for it than a minute."""

from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from dispatch_bench import Plans, Script, Watcher, accept, plan_for
from structlog.testing import capture_logs

from gateway.core.model import Delivered, Retry, TargetDown
from gateway.dispatch.dispatcher import Dispatcher
from gateway.dispatch.janitor import mind_clock
from gateway.errors import StoreBusyError
from gateway.runtime import Runtime
from gateway.store.memory import open_memory
from gateway.store.settings import StoreSettings
from gateway.testing.store_desk import DAY, START_MS


class VirtualRuntime(Runtime):
    """Both clocks go with trio's; the wall clock may be set."""

    stepped = 0

    def now_ms(self):
        return START_MS + self.stepped + round(trio.current_time() * 1000)

    def monotonic(self):
        return trio.current_time()

    def random(self):
        return 0.0


@asynccontextmanager
async def world(script):
    runtime = VirtualRuntime()
    async with open_memory(runtime, StoreSettings(low_water_bytes=0, reserve_bytes=0)) as store:
        dispatcher = Dispatcher(store, runtime, Watcher(), Path())
        async with trio.open_nursery() as nursery:
            plan = plan_for(script, retry={"delays": [10, 10], "give_up": 3600})
            await nursery.start(dispatcher.run, Plans(plan))
            nursery.start_soon(mind_clock, dispatcher.step_back, runtime)
            await accept(store, 1, "crm", now=runtime.now_ms())
            dispatcher.hint("crm")
            await script.wait_seen(1)
            await trio.sleep(1)
            yield runtime, store, dispatcher
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("step", [-DAY, -300_000, -START_MS + DAY, DAY])
@pytest.mark.parametrize("trouble", [Retry("500"), TargetDown("refused", after=15)], ids=["retry", "breaker"])
async def test_K1_P27_what_waits_is_tried_within_a_minute_of_a_step(step, trouble, autojump_clock):
    answers = iter([trouble])
    script = Script(lambda _: next(answers, Delivered()))
    async with world(script) as (runtime, store, _):
        runtime.stepped = step
        before = trio.current_time()
        with trio.move_on_after(60):
            await script.wait_seen(2)
        assert len(script.seen) == 2, "the next try came"
        assert step > 0 or trio.current_time() - before >= 5, "and not before its time"
        await trio.sleep(1)
        assert store.backlog("crm").in_flight + store.backlog("crm").pending == 0


async def test_P27_a_step_that_the_store_cannot_mind_yet_is_minded_later(monkeypatch, autojump_clock):
    answers = iter([Retry("500")])
    script = Script(lambda _: next(answers, Delivered()))
    async with world(script) as (runtime, store, _):
        step_back, failures = store.step_back, [StoreBusyError("another process is writing")] * 3

        async def fail_first(by_ms, now):
            if failures:
                raise failures.pop()
            return await step_back(by_ms, now)

        monkeypatch.setattr(store, "step_back", fail_first)
        runtime.stepped = -DAY
        with capture_logs() as logs:
            with trio.move_on_after(60):
                await script.wait_seen(2)
        assert len(script.seen) == 2
        told = [one["event"] for one in logs if one["event"].startswith("clock.")]
        assert told == ["clock.step_postponed"] * 3 + ["clock.stepped_back"]


async def test_a_clock_that_creeps_back_is_minded_once_it_is_five_seconds_behind(autojump_clock):
    runtime, found = VirtualRuntime(), []

    async def step_back(by_ms):
        found.append(by_ms)
        return 0

    async with trio.open_nursery() as nursery:
        nursery.start_soon(mind_clock, step_back, runtime)
        for _ in range(9):
            await trio.sleep(10)
            runtime.stepped -= 1_000
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    assert found == [6_000]
