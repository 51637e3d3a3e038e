"""Dispatch under a wall clock that steps, in virtual time: nothing waits longer for it than a minute."""

from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from dispatch_bench import Plans, Script, Watcher, accept, plan_for
from structlog.testing import capture_logs

from gateway.core.model import Delivered, Retry, TargetDown
from gateway.dispatch.clock import AHEAD_MS, DueClock
from gateway.dispatch.dispatcher import Dispatcher
from gateway.dispatch.janitor import expire, mind_clock
from gateway.errors import StoreBusyError
from gateway.runtime import Runtime
from gateway.store.contract import DeliveryQuery
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
            nursery.start_soon(mind_clock, dispatcher, dispatcher.clock, runtime)
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
        early = 9 - (trio.current_time() - before)
        assert early <= AHEAD_MS / 1000, "and not before its time"
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


class Asked:
    """Keeps what the clock's minder asks for."""

    def __init__(self):
        self.back, self.forward = [], []

    async def step_back(self, by_ms):
        self.back.append(by_ms)
        return 0

    async def step_forward(self, by_ms, since_ms):
        self.forward.append((by_ms, since_ms))
        return 0


@asynccontextmanager
async def minded():
    runtime, asked = VirtualRuntime(), Asked()
    clock = DueClock(runtime)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mind_clock, asked, clock, runtime)
        yield runtime, asked, clock
        nursery.cancel_scope.cancel()


async def test_a_clock_that_creeps_back_is_minded_once_it_is_five_seconds_behind(autojump_clock):
    async with minded() as (runtime, asked, _):
        for _ in range(9):
            await trio.sleep(10)
            runtime.stepped -= 1_000
        await trio.sleep(10)
    assert (asked.back, asked.forward) == ([6_000], [])


async def test_K1_time_goes_on_as_before_until_a_step_forward_is_minded(autojump_clock):
    async with minded() as (runtime, asked, clock):
        await trio.sleep(100.5)
        runtime.stepped = DAY
        assert clock.now_ms() <= START_MS + 100_500 + AHEAD_MS
        await trio.sleep(1)
        assert clock.now_ms() == runtime.now_ms() == START_MS + DAY + 101_500
    ((by_ms, since_ms),) = asked.forward
    assert by_ms == DAY
    assert 500 <= since_ms <= 3_000, "no longer ago than the look before, with a margin"


async def test_K1_a_try_that_ends_just_after_a_step_forward_waits_no_longer_for_it(autojump_clock):
    runtime = VirtualRuntime()

    def answer(_message):
        if runtime.stepped:
            return Delivered()
        runtime.stepped = DAY
        return Retry("500")

    script = Script(answer)
    async with open_memory(runtime, StoreSettings(low_water_bytes=0, reserve_bytes=0)) as store:
        dispatcher = Dispatcher(store, runtime, Watcher(), Path())
        async with trio.open_nursery() as nursery:
            await nursery.start(dispatcher.run, Plans(plan_for(script, retry={"delays": [10]})))
            nursery.start_soon(mind_clock, dispatcher, dispatcher.clock, runtime)
            await trio.sleep(5.5)
            await accept(store, 1, "crm", now=runtime.now_ms())
            dispatcher.hint("crm")
            await trio.sleep(60)
            nursery.cancel_scope.cancel()
    first, second = script.at
    assert 9.5 <= second - first <= 20


async def test_what_goes_back_to_the_store_untried_keeps_what_it_has_waited(autojump_clock):
    """Its target is held while it stands in line behind another one."""
    runtime = VirtualRuntime()

    async def answer(message):
        if message.attempt > 1:
            await trio.sleep_forever()
        return Retry("500")

    script = Script(answer)
    async with open_memory(runtime, StoreSettings(low_water_bytes=0, reserve_bytes=0)) as store:
        dispatcher = Dispatcher(store, runtime, Watcher(), Path())
        async with trio.open_nursery() as nursery:
            await nursery.start(
                dispatcher.run, Plans(plan_for(script, concurrency=1, timeout=30, retry={"delays": [10]}))
            )
            for number in range(2):
                await accept(store, number, "crm", now=runtime.now_ms())
            dispatcher.hint("crm")
            await trio.sleep(15)
            dispatcher.drain()
            await trio.sleep(40)
            nursery.cancel_scope.cancel()
        (claim,) = await store.claim("crm", 10, 10**6, runtime.now_ms())
    assert (claim.delivery.attempts, claim.delivery.waited) == (1, 10_000)


async def test_a_clock_that_creeps_forward_is_followed(autojump_clock):
    async with minded() as (runtime, asked, clock):
        for _ in range(20):
            await trio.sleep(2)
            runtime.stepped += 4_000
        await trio.sleep(2)
        assert clock.now_ms() == runtime.now_ms()
    assert (asked.back, asked.forward) == ([], [])


async def test_K1_a_machine_that_sleeps_makes_no_step(autojump_clock):
    async with minded() as (runtime, asked, clock):
        await trio.sleep(10)
        runtime.stepped, runtime.slept = 8 * 3_600_000, lambda: 8 * 3_600.0
        await trio.sleep(5)
        assert clock.now_ms() == runtime.now_ms(), "time went by: what waits is due"
    assert (asked.back, asked.forward) == ([], [])


async def test_K1_a_wait_is_as_long_after_a_step_forward_and_the_delivery_no_nearer_to_its_end(autojump_clock):
    """Waits of two minutes, a step of a day in the midst of four of them, `give_up` after nine minutes of waiting."""
    script = Script(lambda _: Retry("500"))
    runtime = VirtualRuntime()
    async with open_memory(runtime, StoreSettings(low_water_bytes=0, reserve_bytes=0)) as store:
        dispatcher = Dispatcher(store, runtime, Watcher(), Path())
        async with trio.open_nursery() as nursery:
            plan = plan_for(script, retry={"delays": [120], "then": 120, "give_up": 540})
            await nursery.start(dispatcher.run, Plans(plan))
            nursery.start_soon(mind_clock, dispatcher, dispatcher.clock, runtime)
            await accept(store, 1, "crm", now=runtime.now_ms())
            dispatcher.hint("crm")
            began = trio.current_time()
            for _ in range(4):
                await trio.sleep(60)
                runtime.stepped += DAY
                await trio.sleep(61)
            await trio.sleep(600)
            nursery.cancel_scope.cancel()
    waits = [round(at - began) for at in script.at]
    assert waits == pytest.approx([0, 120, 240, 360, 480, 540], abs=5)


async def test_what_expires_in_the_line_is_not_tried_and_is_cancelled(autojump_clock):
    runtime, expired = VirtualRuntime(), []
    hold = trio.Event()

    async def answer(_message):
        await hold.wait()
        return Delivered()

    script = Script(answer)
    async with open_memory(runtime, StoreSettings(low_water_bytes=0, reserve_bytes=0)) as store:
        dispatcher = Dispatcher(store, runtime, Watcher(), Path())
        async with trio.open_nursery() as nursery:
            await nursery.start(dispatcher.run, Plans(plan_for(script, concurrency=1, timeout=100)))
            nursery.start_soon(expire, store, dispatcher.clock, lambda *told: expired.append(told))
            for number in range(3):
                await accept(store, number, "crm", now=runtime.now_ms(), expires_ms=30_000)
            dispatcher.hint("crm")
            await script.wait_seen(1)
            await trio.sleep(31)
            assert store.backlog("crm").in_flight == 3, "all wait in memory"
            hold.set()
            await trio.sleep(5)
            rows = await store.deliveries(DeliveryQuery(target="crm"))
            nursery.cancel_scope.cancel()
    assert len(script.seen) == 1
    assert sorted(row.state for row in rows) == ["cancelled", "cancelled", "delivered"]
    assert {row.last_reason[:8] for row in rows if row.state == "cancelled"} == {"expired:"}
    assert expired == [("crm", 2)]


async def test_what_waits_behind_a_gate_expires_untried_and_tells_why(autojump_clock):
    runtime, script, expired = VirtualRuntime(), Script(), []
    async with open_memory(runtime, StoreSettings(low_water_bytes=0, reserve_bytes=0)) as store:
        dispatcher = Dispatcher(store, runtime, Watcher(), Path())
        async with trio.open_nursery() as nursery:
            await nursery.start(dispatcher.run, Plans(plan_for(script)))
            nursery.start_soon(expire, store, dispatcher.clock, lambda *told: expired.append(told))
            await dispatcher.hold("crm", "maintenance")
            await accept(store, 1, "crm", "gone", now=runtime.now_ms(), expires_ms=600_000)
            await trio.sleep(599)
            assert store.backlog("crm").pending == store.backlog("gone").pending == 1
            await trio.sleep(3)
            assert store.backlog("crm").pending == store.backlog("gone").pending == 0
            assert {row.state for row in await store.deliveries(DeliveryQuery())} == {"cancelled"}
            nursery.cancel_scope.cancel()
    assert (script.seen, sorted(expired)) == ([], [("crm", 1), ("gone", 1)])


@pytest.mark.parametrize("throttle", [True, False])
async def test_a_target_that_has_too_much_to_do_is_tried_slowly_and_the_others_spend_no_attempt(
    throttle, autojump_clock
):
    """One 429 while 100 others wait: what goes out in the second after it, and what each spent."""
    answers = iter([Retry("HTTP 429", after=5, throttle=throttle)])
    script = Script(lambda _: next(answers, Delivered()))
    runtime = VirtualRuntime()
    async with open_memory(runtime, StoreSettings(low_water_bytes=0, reserve_bytes=0)) as store:
        dispatcher = Dispatcher(store, runtime, Watcher(), Path())
        for number in range(100):
            await accept(store, number, "crm", now=runtime.now_ms())
        async with trio.open_nursery() as nursery:
            plan = plan_for(script, concurrency=1, retry={"delays": [1]})
            await nursery.start(dispatcher.run, Plans(plan))
            await trio.sleep(1)
            soon = len(script.seen)
            await trio.sleep(60)
            rows = await store.deliveries(DeliveryQuery(target="crm", limit=200))
            nursery.cancel_scope.cancel()
    assert (soon <= 30) == throttle
    assert {row.state for row in rows} == {"delivered"}, "nothing is lost by it"
    assert sorted(row.attempts for row in rows) == [1] * 99 + [2]
