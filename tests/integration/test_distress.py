"""Trouble of the store, in virtual time: patience, once in a period, past gates, and no target can hold it up."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import trio
from dispatch_bench import Plans, Watcher, plan_for
from structlog.testing import capture_logs
from virtual_world import SETTINGS, VirtualRuntime

from gateway.config.model_routes import Alerts
from gateway.core.model import Delivered, TargetDown
from gateway.dispatch.dispatcher import Dispatcher
from gateway.distress import DEADLINE_SECONDS, Distress
from gateway.store.memory import open_memory
from gateway.store.memory_tables import MemoryTables
from gateway.systemd import Supervisor

HOUR = 3600.0


class Pager:
    """A target that answers as it is told."""

    def __init__(self, outcome=None):
        self.outcome = outcome or Delivered()
        self.got = []

    async def open(self, context):
        pass

    async def deliver(self, message):
        self.got.append((trio.current_time(), message))
        if self.outcome == "never":
            await trio.sleep_forever()
        return self.outcome

    async def close(self):
        pass


@pytest.fixture
async def world(nursery):
    """A daemon's parts with two pagers; `problems` is what the store says."""
    here = SimpleNamespace(one=Pager(), two=Pager(), problems=[], again={})
    runtime = VirtualRuntime()
    async with open_memory(runtime, SETTINGS, MemoryTables()) as store:
        here.dispatcher = Dispatcher(store, runtime, Watcher(), Path())
        plans = Plans(plan_for(here.one, "one", timeout=300.0), plan_for(here.two, "two", timeout=300.0))
        await nursery.start(here.dispatcher.run, plans)
        supervisor = Supervisor(runtime, {})

        def blueprint():
            return SimpleNamespace(config=SimpleNamespace(alerts=here.alerts))

        here.alerts = Alerts(targets=("one", "two"))
        here.distress = Distress(blueprint, lambda: here.problems, here.dispatcher, supervisor, runtime)
        nursery.start_soon(here.distress.run, "calm")
        await trio.sleep(1)
        yield here
        nursery.cancel_scope.cancel()


async def test_a_moment_of_trouble_is_told_to_nobody(world, autojump_clock):
    world.problems = ["the queue is full"]
    await trio.sleep(4)
    world.problems = []
    await trio.sleep(10)
    assert world.one.got == []


async def test_trouble_that_lasts_is_told_once_an_hour_with_its_reason_and_an_id_of_its_own(world, autojump_clock):
    world.problems = ["the disk is low"]
    await trio.sleep(1.5 * HOUR)
    assert len(world.one.got) == len(world.two.got) == 2
    (first, message), (second, again) = world.one.got
    assert second - first == pytest.approx(HOUR, abs=2)
    assert (message.source, message.type, message.data["data"]) == (
        "hookgate",
        "store.troubled",
        {"reason": "the disk is low"},
    )
    assert message.id != again.id


async def test_trouble_that_comes_and_goes_is_told_once_in_the_period_that_is_written(world, autojump_clock):
    world.alerts = Alerts.model_validate_json('{"targets": ["one"], "again": {"store.troubled": "10m"}}')
    with capture_logs() as logs:
        for _ in range(20):
            world.problems = ["the disk is low"]
            await trio.sleep(30)
            world.problems = []
            await trio.sleep(30)
    assert len(world.one.got) == 2
    assert [line["event"] for line in logs].count("store.recovered") == 20


async def test_a_target_that_hangs_keeps_neither_the_other_nor_the_watch_waiting(world, autojump_clock):
    world.one.outcome = "never"
    began = trio.current_time()
    await world.distress.tell("broken", DEADLINE_SECONDS)
    assert trio.current_time() - began == pytest.approx(DEADLINE_SECONDS, abs=1)
    assert len(world.two.got) == 1


async def test_a_target_that_does_not_take_it_is_told_in_the_log(world, autojump_clock):
    world.one.outcome = TargetDown("refused")
    await world.dispatcher.hold("two", "work on it")
    with capture_logs() as logs:
        await world.distress.tell("broken", DEADLINE_SECONDS)
    failed = {line["target"]: line["reason"] for line in logs if line["event"] == "alert.failed"}
    assert failed == {"one": "refused", "two": "held or disabled"}


async def test_without_alert_targets_it_is_told_to_the_log_only(world, autojump_clock):
    world.alerts = None
    world.problems = ["the disk is low"]
    with capture_logs() as logs:
        await trio.sleep(60)
    assert [line["reason"] for line in logs if line["event"] == "store.troubled"] == ["the disk is low"]
    assert world.one.got == []
