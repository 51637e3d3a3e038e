"""A dispatcher on a memory store in virtual time, for outages of hours and paces of seconds: no thread, no waiting."""

from contextlib import asynccontextmanager
from pathlib import Path

import trio
from dispatch_bench import Plans, Watcher, accept

from gateway.core.model import Delivered
from gateway.dispatch.dispatcher import Dispatcher
from gateway.runtime import Runtime
from gateway.store.contract import DeliveryQuery
from gateway.store.memory import open_memory
from gateway.store.memory_tables import MemoryTables
from gateway.store.settings import StoreSettings
from gateway.testing.store_desk import START_MS

SETTINGS = StoreSettings(low_water_bytes=0, reserve_bytes=0)


class VirtualRuntime(Runtime):
    """Both clocks go with trio's."""

    def now_ms(self):
        return START_MS + round(trio.current_time() * 1000)

    def monotonic(self):
        return trio.current_time()

    def random(self):
        return 0.0


class Endpoint:
    """A target that takes `seconds` for each answer and remembers when it was asked for what."""

    def __init__(self, seconds=0.01):
        self.seconds = seconds
        self.outcome = Delivered()
        self.tries = []
        self.running = self.most = 0

    async def open(self, context):
        del context

    async def deliver(self, message):
        self.tries.append((trio.current_time(), message.content))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await trio.sleep(self.seconds)
        finally:
            self.running -= 1
        return self.outcome

    async def close(self):
        pass

    def since(self, at):
        """Count the tries of each second from `at` on."""
        seconds = [int(when - at) for when, _ in self.tries if when >= at]
        return [seconds.count(one) for one in range(max(seconds, default=-1) + 1)]


class World:
    """What runs, and what a test asks of it."""

    def __init__(self, store, dispatcher, watcher, runtime):
        self.store, self.dispatcher, self.watcher, self.runtime = store, dispatcher, watcher, runtime
        self.accepted = 0

    async def accept(self, count=1, every=0.0):
        """Accept `count` events, one each `every` seconds."""
        for _ in range(count):
            self.accepted += 1
            await accept(self.store, self.accepted, "crm", now=self.runtime.now_ms())
            self.dispatcher.hint("crm")
            if every:
                await trio.sleep(every)

    async def wait_settled(self):
        while (backlog := self.store.backlog("crm")).pending or backlog.in_flight:
            await trio.sleep(0.5)

    async def rows(self):
        return await self.store.deliveries(DeliveryQuery(limit=1_000_000))

    @property
    def gates(self):
        return self.dispatcher.runners["crm"].gates


@asynccontextmanager
async def world(*plans, tables=None):
    runtime, watcher = VirtualRuntime(), Watcher()
    async with open_memory(runtime, SETTINGS, tables or MemoryTables()) as store:
        dispatcher = Dispatcher(store, runtime, watcher, Path())
        async with trio.open_nursery() as nursery:
            await nursery.start(dispatcher.run, Plans(*plans))
            yield World(store, dispatcher, watcher, runtime)
            nursery.cancel_scope.cancel()
