"""P12 in virtual time: bad neighbours and a flooding source add at most 50 ms to the p99 of a healthy target.

No figure hangs on the machine: time only goes by as targets take it, so what is measured is whom dispatch lets wait.
"""

from collections import deque

import trio
from dispatch_bench import event_of, plan_for
from virtual_world import Endpoint, world

from gateway.core.model import Delivery, Retry, StoredEvent, TargetDown
from gateway.dispatch import line
from gateway.store.contract import Acceptance, Claim, NewDelivery, NewEvent

HEAD = b"POST /hooks/acme\n192.0.2.1\ncontent-type: application/json"
SIZE = 600
SECONDS = 10
MORE_AT_MOST = 0.05


class Traffic:
    """What intake does with an event, and how long each took to its healthy target."""

    def __init__(self, here, healthy):
        self.here, self.healthy = here, healthy
        self.accepted = {}

    async def accept(self, number, source, targets):
        here, now = self.here, self.here.runtime.now_ms()
        event, payload = event_of(number, source)
        lanes = [here.dispatcher.reserve(target, SIZE, source) for target in targets]
        planned = [
            NewDelivery("all", target, lane is not None, None, None)
            for target, lane in zip(targets, lanes, strict=True)
        ]
        self.accepted[payload] = (trio.current_time(), source)
        acceptance = Acceptance(HEAD, payload, now, (NewEvent(event, None, tuple(planned)),))
        (verdict,) = await here.store.accept(acceptance)
        stored = StoredEvent(verdict.event_id, source, "main", event.type, "1", None, now, HEAD, payload, None)
        for n, (target, lane) in enumerate(zip(targets, lanes, strict=True)):
            if lane is None:
                here.dispatcher.hint(target)
            else:
                delivery = Delivery(verdict.event_id, n, target, "all", 1, 0, 0, None, now, 0, None)
                lane.hand_over(Claim(delivery, stored), SIZE)

    async def send(self, source, every, targets, first):
        """Accept one each `every` seconds for `SECONDS`."""
        for number in range(round(SECONDS / every)):
            await self.accept(first + number, source, targets)
            await trio.sleep(every)

    def p99(self, source):
        """How long the slowest but one in a hundred of a source's events took to its first try, in seconds."""
        first = {}
        for at, content in self.healthy.tries:
            first.setdefault(content, at)
        mine = [(content, at) for content, (at, by) in self.accepted.items() if by == source]
        took = sorted(first.get(content, float("inf")) - at for content, at in mine)
        return took[len(took) * 99 // 100]


class Bad(Endpoint):
    """A neighbour; with `shared`, one that takes from what the healthy one needs, as it would without isolation."""

    def __init__(self, seconds, outcome, shared=None):
        super().__init__(seconds)
        self.outcome, self.shared = outcome, shared

    async def deliver(self, message):
        if self.shared is None:
            return await super().deliver(message)
        async with self.shared:
            return await super().deliver(message)


def neighbours(shared=None):
    """One that refuses, one that never answers, one that takes five seconds, one that fails slowly."""
    endpoints = {
        "dead": Bad(0.001, TargetDown("refused"), shared),
        "hole": Bad(1e9, None, shared),
        "slow": Bad(5.0, Endpoint().outcome, shared),
        "failing": Bad(0.5, Retry("HTTP 500"), shared),
    }
    return [plan_for(endpoint, name, concurrency=8, timeout=30) for name, endpoint in endpoints.items()]


async def beside(plans, shared=None, every=0.02):
    healthy = Bad(0.01, Endpoint().outcome, shared)
    async with world(plan_for(healthy, concurrency=4), *plans) as here:
        traffic = Traffic(here, healthy)
        await traffic.send("acme", every, [*(plan.name for plan in plans), "crm"], 0)
        await trio.sleep(1)
        return traffic.p99("acme")


async def test_P12_bad_neighbours_add_no_50_ms_to_the_p99_of_a_healthy_target(autojump_clock):
    alone, among = await beside([]), await beside(neighbours())
    assert among - alone <= MORE_AT_MOST, (alone, among)


async def test_neighbours_that_take_what_a_healthy_target_needs_are_found_out(autojump_clock):
    """The measure itself: with twelve tries at once for all targets together, isolation is lost."""
    shared = trio.CapacityLimiter(12)
    assert await beside(neighbours(shared), shared) > 1.0


async def flooded():
    """One source sends two and a half times what the target can take, another a little; the p99 of the little."""
    healthy = Endpoint()
    async with world(plan_for(healthy, concurrency=1)) as here:
        traffic = Traffic(here, healthy)
        await trio.sleep(0.5)
        async with trio.open_nursery() as sources:
            sources.start_soon(traffic.send, "flood", 0.004, ["crm"], 100_000)
            await trio.sleep(0.1)
            sources.start_soon(traffic.send, "acme", 0.1, ["crm"], 0)
        return traffic.p99("acme")


async def test_P12_a_flooding_source_adds_no_50_ms_to_the_p99_of_another(autojump_clock):
    assert await flooded() <= MORE_AT_MOST


class Queue(deque):
    """All in the order in which they came, whoever sent them."""

    def clear(self):
        slots = list(self)
        super().clear()
        return slots


async def test_a_line_in_which_sources_do_not_take_turns_is_found_out(monkeypatch, autojump_clock):
    """The measure itself: first come, first served lets a flood delay the others."""
    monkeypatch.setattr(line, "Turns", Queue)
    assert await flooded() > MORE_AT_MOST
