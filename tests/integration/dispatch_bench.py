"""A dispatcher on a real store, with a target that does what a test tells it."""

from contextlib import asynccontextmanager
from hashlib import blake2b
from pathlib import Path
from weakref import WeakKeyDictionary

import trio

from gateway.blueprint import TargetPlan
from gateway.core.model import Delivered, Event
from gateway.core.render import Renderer
from gateway.core.retry import parse_policy
from gateway.dispatch.dispatcher import Dispatcher
from gateway.plugin import Options, TargetKind
from gateway.runtime import Runtime
from gateway.store.contract import Acceptance, NewDelivery, NewEvent
from gateway.store.settings import StoreSettings
from gateway.store.sqlite import open_sqlite


class Script:
    """A target whose `deliver` is the test's: it sees each message and gives the outcome."""

    def __init__(self, answer=None):
        self.seen, self.at = [], []
        self.answer = answer or (lambda _message: Delivered())
        self.closed = False
        self.changed = trio.Condition()

    async def open(self, context):
        self.context = context

    async def deliver(self, message):
        self.seen.append(message)
        self.at.append(trio.current_time())
        async with self.changed:
            self.changed.notify_all()
        outcome = self.answer(message)
        return await outcome if hasattr(outcome, "__await__") else outcome

    async def close(self):
        self.closed = True

    async def wait_seen(self, count):
        with trio.fail_after(30):
            async with self.changed:
                while len(self.seen) < count:
                    await self.changed.wait()


def plan_for(script, name="crm", *, retry="default", concurrency=4, timeout=5.0, fingerprint="1", **limits):
    kind = TargetKind(Options, lambda _options: script, timeout, concurrency, "payload")
    policy = parse_policy(retry)
    renderer = Renderer("payload")
    return TargetPlan(name, "script", kind, None, renderer, policy, timeout, concurrency, None, fingerprint, **limits)


KEYS = 7


def key_of(number):
    """The key of an event, where a test orders them."""
    return bytes([number % KEYS]) * 16


class Plans:
    """As much of a blueprint as dispatch looks at."""

    def __init__(self, *plans):
        self.targets = {plan.name: plan for plan in plans}

    def order_key(self, _target, stored):
        return key_of(int(stored.payload[5:-1]))


class Watcher:
    """Keeps what dispatch tells."""

    def __init__(self):
        self.tries, self.closed, self.opened = [], [], []
        self.asked, self.fetches = 0, []

    def tried(self, _plan, tried):
        self.tries.append(tried)

    def fetched(self, target, result):
        self.fetches.append((target, result))

    def gate_closed(self, gate, *, asked):
        self.closed.append(gate)
        self.asked += asked

    def gate_opened(self, target, _reason):
        self.opened.append(target)


def event_of(number, source="acme"):
    payload = b'{"n":%d}' % number
    digest = blake2b(payload, digest_size=16).digest()
    return Event(source, "main", "order.completed", "1", None, None, None, digest, None, None), payload


_running = WeakKeyDictionary()
"""The dispatcher that runs on a store, to be given the hint that intake would give."""


async def accept(store, number, *targets, admitted=False, now=None, expires_ms=None, key=None):
    event, payload = event_of(number)
    deliveries = tuple(NewDelivery("orders", target, admitted, expires_ms, key) for target in targets)
    at = Runtime().now_ms() if now is None else now
    head = b"POST /hooks/acme\n192.0.2.1\ncontent-type: application/json"
    acceptance = Acceptance(head, payload, at, (NewEvent(event, None, deliveries),))
    (verdict,) = await store.accept(acceptance)
    if store in _running and not admitted:
        for target in targets:
            _running[store].hint(target)
    return verdict.event_id


@asynccontextmanager
async def opened_store(folder):
    settings = StoreSettings(low_water_bytes=1024, reserve_bytes=4096)
    async with open_sqlite(folder / "hookgate.db", Runtime(), settings) as store:
        yield store


@asynccontextmanager
async def running(store, *plans):
    watcher = Watcher()
    dispatcher = Dispatcher(store, Runtime(), watcher, Path())
    async with trio.open_nursery() as nursery:
        await nursery.start(dispatcher.run, Plans(*plans))
        _running[store] = dispatcher
        yield dispatcher, watcher
        del _running[store]
        dispatcher.drain()
        with trio.move_on_after(30) as scope:
            await dispatcher.wait_drained()
        assert not scope.cancelled_caught, "the dispatcher did not drain"


async def wait_until(condition, seconds=30):
    with trio.fail_after(seconds):
        while not condition():
            await trio.sleep(0.005)
