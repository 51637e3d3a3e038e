"""What targets that fail cost: a gate in front of many deliveries, six hours of outage, and the neighbours.

`PYTHONPATH=tests python benchmarks/outage.py gate|night|neighbours [--count N]`; each prints one line of JSON.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import trio
import trio.testing

from fill import acceptance, fill
from gateway.blueprint import Blueprint, TargetPlan
from gateway.core.model import Delivered, Message, Outcome, TargetDown
from gateway.core.render import Renderer
from gateway.core.retry import DEFAULT_POLICY
from gateway.dispatch.attempt import Tried
from gateway.dispatch.dispatcher import Dispatcher
from gateway.plugin import Context, Options, TargetKind
from gateway.runtime import Runtime
from gateway.store.contract import Gate, Store
from gateway.store.settings import StoreSettings
from gateway.store.sqlite import open_sqlite
from harness.daemon import running
from harness.home import temporary_home
from harness.senders import Client, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.sink import Fault, Sink, open_sink
from load import DAEMON_CORE
from payloads import truework_body

SETTINGS: Final = StoreSettings(low_water_bytes=0, queue_wait_seconds=60.0)
OUTAGE_SECONDS: Final = 6 * 3600
EVENTS_PER_SECOND: Final = 50
LOOK_SECONDS: Final = 5
"""Virtual seconds between two looks at the clock during the outage."""
CLOCK: Final = trio.testing.MockClock()
BAD: Final = """
[targets.dead]
type = "http"
url = "http://127.0.0.1:9/"

[targets.hole]
type = "http"
url = "{hole}"

[targets.drip]
type = "http"
url = "{drip}"
"""


class Clock(Runtime):
    """Both clocks go with trio's, which goes by only as the benchmark says."""

    def __init__(self) -> None:
        super().__init__()
        self.started = super().now_ms()

    def now_ms(self) -> int:
        """The virtual wall clock."""
        return self.started + round(CLOCK.current_time() * 1000)

    def monotonic(self) -> float:
        """The virtual clock."""
        return CLOCK.current_time()


class Service:
    """A target that is down or takes everything at once, and counts."""

    def __init__(self) -> None:
        self.down = True
        self.tries = 0
        self.ids: set[str] = set()

    async def open(self, context: Context) -> None:
        """Nothing to open."""

    async def deliver(self, message: Message) -> Outcome:
        """Take it, or say that nobody is there."""
        self.tries += 1
        await trio.lowlevel.checkpoint()
        if self.down:
            return TargetDown("refused")
        self.ids.add(message.id)
        return Delivered()

    async def close(self) -> None:
        """Nothing to close."""


class Silent:
    """Told of everything, tells nobody."""

    def tried(self, plan: TargetPlan, tried: Tried) -> None:
        """One try ended."""

    def fetched(self, target: str, result: str) -> None:
        """A resource was asked for."""

    def gate_closed(self, gate: Gate, *, asked: bool) -> None:
        """A gate was closed."""

    def gate_opened(self, target: str, reason: str) -> None:
        """It was opened."""


class Plans:
    """As much of a blueprint as dispatch looks at."""

    def __init__(self, service: Service) -> None:
        kind = TargetKind(Options, lambda _options: service, 30.0, 16, "payload")
        plan = TargetPlan("crm", "script", kind, None, Renderer("payload"), DEFAULT_POLICY, 30.0, 16, None, "1")
        self.targets: Mapping[str, TargetPlan] = {"crm": plan}


async def measure_gate(count: int, rounds: int = 50) -> dict[str, Any]:
    """Close and open a gate in front of `count` deliveries, durably, while the target is held."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_sqlite(Path(folder) / "hookgate.db", Runtime(), SETTINGS) as store:
            await fill(store, count, Runtime().now_ms() - count * 10, "crm")
            took: dict[str, list[float]] = {"close": [], "open": []}
            for _ in range(rounds):
                begun = time.perf_counter()
                await store.close_gate(Gate("crm", "breaker", 0, None, "refused"))
                between = time.perf_counter()
                await store.open_gate("crm", "breaker")
                took["close"].append(between - begun)
                took["open"].append(time.perf_counter() - between)
            waiting = store.backlog("crm").pending
    return {
        "deliveries": waiting,
        **{f"{name}_{key}": value for name in took for key, value in _ms(took[name]).items()},
    }


async def measure_night(seconds: int) -> dict[str, Any]:
    """Let a target be down for `seconds` of virtual time at 50 events a second, then back; count tries and losses."""
    clock, service = Clock(), Service()
    with tempfile.TemporaryDirectory() as folder:
        async with open_sqlite(Path(folder) / "hookgate.db", clock, SETTINGS) as store:
            dispatcher = Dispatcher(store, clock, Silent(), Path(folder))
            async with trio.open_nursery() as nursery:
                await nursery.start(dispatcher.run, cast(Blueprint, Plans(service)))
                night = Night(store, dispatcher, service, clock.started)
                await night.go_by(seconds)
                while_down, service.down = service.tries, False
                drained = await night.drain()
                nursery.cancel_scope.cancel()
    return {
        "events": night.events,
        "tries_while_down": while_down,
        "tries_after": service.tries - while_down,
        "lost": night.events - len(service.ids),
        "taken_in_each_second": drained[:12],
    }


async def measure_neighbours(count: int) -> dict[str, Any]:
    """Deliver `count` events at 100 a second to a healthy target, alone and beside three that fail."""
    alone = await _latency(count, ("crm",))
    beside = await _latency(count, ("dead", "hole", "drip", "crm"))
    return {"alone": _ms(alone), "beside": _ms(beside)}


class Night:
    """Events that come in by virtual time."""

    def __init__(self, store: Store, dispatcher: Dispatcher, service: Service, started: int) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._service = service
        self._started = started
        self.events = 0

    async def go_by(self, seconds: int) -> None:
        """Let time go by while events come in."""
        parts = truework_body("night")
        for _ in range(seconds // LOOK_SECONDS):
            async with trio.open_nursery() as nursery:
                for _ in range(LOOK_SECONDS * EVENTS_PER_SECOND):
                    nursery.start_soon(self._store.accept, acceptance(self.events, self._started, parts, "crm"))
                    self.events += 1
            self._dispatcher.hint("crm")
            await self._jump(LOOK_SECONDS)

    async def drain(self) -> list[int]:
        """Let time go by until nothing waits; give what was taken in each second from the first one on."""
        seconds: list[int] = []
        while (backlog := self._store.backlog("crm")).pending or backlog.in_flight:
            before = len(self._service.ids)
            for _ in range(20):
                await self._jump(0.05)
            if seconds or len(self._service.ids) > before:
                seconds.append(len(self._service.ids) - before)
        return seconds

    async def _jump(self, seconds: float) -> None:
        """Let everything be done that can be done now, the store's threads included; then let time go by."""
        before = None
        while (state := (self._service.tries, self._store.backlog("crm"))) != before:
            before = state
            await trio.testing.wait_all_tasks_blocked()
            await self._store.probe()
        CLOCK.jump(seconds)


async def _latency(count: int, targets: Sequence[str]) -> list[float]:
    with temporary_home() as home:
        async with open_sink() as sink, open_sink() as hole, open_sink() as drip:
            hole.fault, drip.fault = Fault(hang=True), Fault(pause=1.0)
            settings = Settings(home, crm=sink.url, more=BAD.format(hole=hole.url, drip=drip.url))
            settings.orders_targets = list(targets)
            settings.write()
            async with running(home, before=tuple(DAEMON_CORE)) as daemon:
                sent = await _send(daemon.port, count)
                await daemon.wait_settled(target="crm")
                await daemon.kill()
            return _since(sink, sent)


async def _send(port: int, count: int) -> dict[bytes, float]:
    sent: dict[bytes, float] = {}
    begun = trio.current_time()
    with Client(port) as client:
        for number in range(count):
            await trio.sleep_until(begun + number / 100)
            request = truework(f"order-{number}", ORDERS_TOKEN)
            sent[request.body] = trio.current_time()
            await client.send(request)
    return sent


def _since(sink: Sink, sent: Mapping[bytes, float]) -> list[float]:
    return [arrival.at - sent[arrival.body] for arrival in sink.taken]


def _ms(seconds: Sequence[float]) -> dict[str, float]:
    ranks = statistics.quantiles(seconds, n=100)
    return {
        f"{name}_ms": round(1000 * value, 2)
        for name, value in (("p50", ranks[49]), ("p99", ranks[98]), ("max", max(seconds)))
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["gate", "night", "neighbours"])
    parser.add_argument("--count", type=int, help="deliveries behind the gate, seconds of outage, or events")
    chosen = parser.parse_args()
    if chosen.what == "gate":
        found = trio.run(measure_gate, chosen.count or 1_000_000)
    elif chosen.what == "night":
        found = trio.run(measure_night, chosen.count or OUTAGE_SECONDS, clock=CLOCK)
    else:
        found = trio.run(measure_neighbours, chosen.count or 2000)
    print(json.dumps(found))
