"""A target that gathers, in virtual time: what waits is in the store, goes together, and counts as one try."""

from pathlib import Path

import pytest
import trio
from dispatch_bench import Plans, Watcher, accept, plan_for
from virtual_world import SETTINGS, START_MS, VirtualRuntime, world

from gateway.core.model import Delivered, Retry, StoredEvent, TargetDown
from gateway.core.pace import Rate
from gateway.dispatch.dispatcher import Dispatcher
from gateway.plugin import Gather
from gateway.store.memory import open_memory
from gateway.store.memory_tables import MemoryTables

MINUTE = 60.0
LOOK = 31.0
"""A hint that is lost, or a look that comes late, costs so much."""


class Mailing:
    """A target that gathers for a quarter of an hour, or five messages."""

    gather = Gather(15 * MINUTE, 5)

    def __init__(self):
        self.outcome = Delivered()
        self.sent = []

    async def open(self, context):
        pass

    async def deliver(self, message):
        return (await self.deliver_many([message]))[0]

    async def deliver_many(self, messages):
        self.sent.append((trio.current_time(), len(messages)))
        return [self.outcome] * len(messages)

    async def close(self):
        pass


async def test_what_comes_goes_together_once_the_first_has_waited_long_enough(autojump_clock):
    mailing = Mailing()
    async with world(plan_for(mailing)) as here:
        began = trio.current_time()
        await here.accept(4, every=MINUTE)
        await here.wait_settled()
        ((at, count),) = mailing.sent
        assert count == 4
        assert 15 * MINUTE <= at - began <= 15 * MINUTE + LOOK


async def test_so_many_as_fit_into_one_go_at_once_and_the_rest_waits_anew(autojump_clock):
    mailing = Mailing()
    async with world(plan_for(mailing)) as here:
        began = trio.current_time()
        await here.accept(7)
        await trio.sleep(1)
        assert [count for _, count in mailing.sent] == [5]
        assert here.store.backlog("crm").pending == 2, "in the store, not in memory"
        await here.wait_settled()
        assert [count for _, count in mailing.sent] == [5, 2]
        assert mailing.sent[1][0] - began >= 15 * MINUTE


async def test_no_slot_is_reserved_for_what_has_to_wait(autojump_clock):
    async with world(plan_for(Mailing())) as here:
        await trio.sleep(1)
        assert here.dispatcher.reserve("crm", 100, "acme") is None


async def test_what_waits_outlives_a_stop_and_goes_at_its_time(autojump_clock):
    tables, mailing = MemoryTables(), Mailing()
    async with world(plan_for(mailing), tables=tables) as here:
        await here.accept(3)
        await trio.sleep(10 * MINUTE)
    assert mailing.sent == []
    began = trio.current_time()
    async with world(plan_for(mailing), tables=tables) as here:
        await here.wait_settled()
    ((at, count),) = mailing.sent
    assert count == 3
    assert at - began <= 5 * MINUTE + LOOK, "the time before the stop counts"


async def test_one_that_fails_counts_once_for_the_breaker_and_comes_again_together(autojump_clock):
    mailing = Mailing()
    mailing.outcome = Retry("450")
    async with world(plan_for(mailing, retry={"delays": ["1m"], "then": "1m", "give_up": "1d"})) as here:
        await here.accept(25)
        await trio.sleep(30)
        assert [count for _, count in mailing.sent] == [5] * 5
        assert here.gates.are_open, "five failures are no twenty"
        mailing.outcome = Delivered()
        await here.wait_settled()
        assert [count for _, count in mailing.sent[5:]] == [5] * 5


async def test_a_probe_is_one_mail_and_so_is_a_try_of_a_slow_start_or_a_rate(autojump_clock):
    mailing = Mailing()
    mailing.outcome = TargetDown("refused")
    async with world(plan_for(mailing, rate=Rate(1.0, 1))) as here:
        await here.accept(50)
        await trio.sleep(60)
        assert 1 <= len(mailing.sent) <= 5, "only probes"
        tried = len(mailing.sent)
        mailing.outcome = Delivered()
        with trio.fail_after(5 * MINUTE):
            await here.wait_settled()
        assert [count for _, count in mailing.sent[tried:]] == [5] * 10


async def test_a_message_past_the_store_goes_at_once_whatever_gathers_or_is_down(autojump_clock):
    mailing = Mailing()
    event = StoredEvent(7, "hookgate", "", "store.troubled", "1", None, START_MS, b"POST \n", b"{}", None)
    runtime = VirtualRuntime()
    async with open_memory(runtime, SETTINGS, MemoryTables()) as store, trio.open_nursery() as nursery:
        dispatcher = Dispatcher(store, runtime, Watcher(), Path())
        await nursery.start(dispatcher.run, Plans(plan_for(mailing)))
        await trio.sleep(1)
        assert await dispatcher.deliver_directly("crm", event) == Delivered()
        await dispatcher.runners["crm"].gates.carry_out(dispatcher.runners["crm"].gates.note([TargetDown("refused")]))
        assert await dispatcher.deliver_directly("crm", event) == Delivered()
        await dispatcher.hold("crm", "work on it")
        assert await dispatcher.deliver_directly("crm", event) is None
        assert await dispatcher.deliver_directly("nobody", event) is None
        assert [count for _, count in mailing.sent] == [1, 1]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("waiting", [3, 5])
async def test_an_operator_s_hold_stops_what_gathers(waiting, autojump_clock):
    mailing = Mailing()
    async with world(plan_for(mailing)) as here:
        await trio.sleep(1)
        await here.dispatcher.hold("crm", "work on it")
        for number in range(waiting):
            await accept(here.store, number, "crm", now=here.runtime.now_ms())
        await trio.sleep(30 * MINUTE)
        assert mailing.sent == []
