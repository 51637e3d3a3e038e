"""Look-ups side by side: one for each name, bounded, so that slow name servers of one target starve no other (R9)."""

import pytest
import trio
import trio.testing

from gateway.lookups import WAITING_MAX, Lookups


class Resolver:
    """A resolver of the test's own: each name answers once its event is set, and holds its thread's slot until then."""

    def __init__(self, threads):
        self.asked = []
        self.events = {}
        self.failures = {}
        self.limiter = trio.CapacityLimiter(threads)
        self.lookups = Lookups(self._begin, self._in_thread, self.limiter)

    def _begin(self, host):
        self.asked.append(host)
        return host

    async def _in_thread(self, call, limiter):
        async with limiter:
            host = call()
            await self.events.setdefault(host, trio.Event()).wait()
            if host in self.failures:
                raise self.failures[host]
            return [(2, f"10.0.0.{len(host)}")]

    def answer(self, host):
        self.events.setdefault(host, trio.Event()).set()


async def outcome(resolver, host, told, seconds=5.0):
    try:
        told.append(await resolver.lookups.resolve(host, seconds))
    except (OSError, trio.TooSlowError) as error:
        told.append(type(error).__name__)


async def test_all_who_ask_for_a_name_at_once_share_one_look_up_and_the_next_asks_anew(autojump_clock):
    resolver, told = Resolver(4), []
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(outcome, resolver, "crm", told)
        await trio.testing.wait_all_tasks_blocked()
        resolver.answer("crm")
    assert told == [[(2, "10.0.0.3")]] * 20
    assert resolver.asked == ["crm"]
    await outcome(resolver, "crm", told)
    assert resolver.asked == ["crm", "crm"]


async def test_R9_a_name_whose_servers_hang_holds_one_thread_however_many_deliveries_ask(autojump_clock):
    resolver, told, others = Resolver(2), [], []
    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(outcome, resolver, "slow", told)
        await trio.testing.wait_all_tasks_blocked()
        resolver.answer("healthy")
        await outcome(resolver, "healthy", others)
        assert others == [[(2, "10.0.0.7")]]
    assert told == ["TooSlowError"] * 100
    await outcome(resolver, "slow", told)
    assert resolver.asked.count("slow") == 1, "while its look-up hangs, nobody begins another"


async def test_R9_a_look_up_that_never_began_is_our_own_trouble_and_asks_nobody_later(autojump_clock):
    resolver, told = Resolver(1), []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outcome, resolver, "slow", [], 60.0)
        await trio.testing.wait_all_tasks_blocked()
        await outcome(resolver, "late", told)
        assert told == ["BlockingIOError"]
        resolver.answer("slow")
        await trio.testing.wait_all_tasks_blocked()
    assert resolver.asked == ["slow"]


async def test_one_who_gives_up_takes_the_look_up_from_nobody_else(autojump_clock):
    resolver, told = Resolver(1), []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outcome, resolver, "crm", [], 0.1)
        nursery.start_soon(outcome, resolver, "crm", told)
        await trio.sleep(1)
        resolver.answer("crm")
    assert told == [[(2, "10.0.0.3")]]


async def test_each_who_waits_gets_the_failure(autojump_clock):
    resolver, told = Resolver(1), []
    resolver.failures = {"gone": OSError(-2, "no such name"), "b\u00f8d": UnicodeError("label too long")}
    for host in resolver.failures:
        resolver.answer(host)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outcome, resolver, host, told)
            nursery.start_soon(outcome, resolver, host, told)
    assert told == ["OSError"] * 4


async def test_the_names_that_wait_are_bounded(autojump_clock):
    resolver = Resolver(1)
    async with trio.open_nursery() as nursery:
        for number in range(WAITING_MAX):
            nursery.start_soon(outcome, resolver, f"host-{number}", [], 1.0)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(BlockingIOError, match="too many names"):
            await resolver.lookups.resolve("one-more", 1.0)
