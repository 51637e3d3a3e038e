"""What a soak runs against: the five kinds of target, an ordered one, one that keeps failing, one where all dies.

Everything here is the outside of the daemon. What arrived is kept by name only, so that hours of it fit in memory.
"""

import itertools
import json
import random
from collections.abc import Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import trio

from harness.five import five_targets
from harness.settings import ORDERS_TOKEN, STATES_TOKEN, TRUORA_KEY
from harness.sink import FINE, Fault, open_sink
from harness.tq import Ledger
from harness.turns import Seen

EVERYWHERE = ("http", "file", "plugin", "failing", "ordered")
"""Where each order goes; `email` and `shell` get some."""
FAILURES = (Fault(503), Fault(reset=True), Fault(hang=True))
"""How the failing target fails, in turn."""


class Names(list):
    """Arrivals at a sink, reduced to the names of the orders that it took."""

    def append(self, arrival):
        if 200 <= arrival.fault.status < 300 and not (arrival.fault.hang or arrival.fault.reset):
            super().append(order_in(arrival.body))


class Turns(list):
    """Arrivals at the ordered sink, reduced to what the order checker needs."""

    def append(self, arrival):
        data = json.loads(arrival.body)["data"]
        super().append((Seen(data["metadata"]["key"], arrival.webhook_id, arrival.fault == FINE), data["order_id"]))


def order_in(body):
    return json.loads(body)["data"]["order_id"]


class World:
    """The targets, and what each of them has to get."""

    def __init__(self, home, five, failing, ordered, doomed, dice):
        self.home = home
        self.five = five
        self.failing = failing
        self.ordered = ordered
        self.doomed = doomed
        self.orders = Ledger()
        self.some = {"email": Ledger(), "shell": Ledger()}
        self._renewed = 0
        five["http"].sink.arrivals = Names()
        failing.arrivals, ordered.arrivals, doomed.arrivals = Names(), Turns(), Names()
        ordered.choose = lambda _: Fault(503) if dice.random() < 0.03 else FINE
        doomed.fault = Fault(500)
        for name, value in (("orders", ORDERS_TOKEN), ("states", STATES_TOKEN), ("truora", TRUORA_KEY)):
            home.write_secret(name, value)

    def text(self, extra="", *, fresh=False):
        """The configuration, and what a reload adds to it; if `fresh`, targets that keep something begin anew by it."""
        self._renewed += fresh
        kinds = [f"[targets.{name}]\n{kind.table}" for name, kind in self.five.items()]
        urls = {"folder": self.home.folder, "failing": self.failing.url, "ordered": self.ordered.url}
        tables = _TEXT.format(**urls, doomed=self.doomed.url, everywhere=json.dumps(EVERYWHERE))
        text = "\n".join([tables, self.five["email"].smtp, *kinds, extra])
        text = text.replace('timeout = "60s"', f'timeout = "{60_000 + self._renewed}ms"')
        return text.replace('type = "http"\n', f'type = "http"\nheaders = {{ X-Renewed = "{self._renewed}" }}\n')

    def accounts(self):
        """One account for each target."""
        five = {name: (each.order for each in self.five[name].got()) for name in ("email", "shell", "plugin")}
        got = {
            **five,
            "http": self.five["http"].sink.arrivals,
            "failing": self.failing.arrivals,
            "ordered": [name for seen, name in self.ordered.arrivals if seen.taken],
            "file": _orders_in_file(self.five["file"].disk / "out" / "events.jsonl"),
        }
        return {name: self.some.get(name, self.orders).account(names) for name, names in got.items()}

    def mend(self):
        """Everything is well from now on."""
        self.failing.fault = FINE
        self.ordered.choose = None

    async def fail_in_turn(self, seconds):
        """Break the failing target in one way after the other; mostly it is well, so that its backlog ends."""
        for fault in itertools.cycle(FAILURES):
            self.failing.fault = fault
            await trio.sleep(seconds)
            self.failing.fault = FINE
            await trio.sleep(5 * seconds)


def _orders_in_file(path: Path) -> Iterable[str]:
    with path.open() as lines:
        for line in lines:
            yield json.loads(line)["payload"]["data"]["order_id"]


@asynccontextmanager
async def soak_world(home, seed):
    """Run all targets for the length of a block."""
    async with AsyncExitStack() as stack:
        five = await stack.enter_async_context(five_targets(home))
        sinks = [await stack.enter_async_context(open_sink()) for _ in range(3)]
        yield World(home, five, *sinks, random.Random(seed))


_TEXT = """
alerts = {{ targets = ["alerts"], again = {{ "delivery.dead" = "1m", "target.down" = "1m", "target.up" = "1m" }} }}

[server]
bind = ["127.0.0.1:0"]

[admin]
bind = "unix:{folder}/admin.sock"

[store]
low_water = "1MiB"

[sources.truework]
provider = "truework"
version = "2023-*"

[sources.truework.credentials]
orders = {{ secret = {{ file = "orders" }}, event = "order.completed" }}
states = {{ secret = {{ file = "states" }}, event = "verification_request.state.change" }}

[sources.truora]
provider = "truora"
version = "1.*"
credentials.main = {{ secret = {{ file = "truora" }} }}

[routes.orders]
source = "truework"
targets = {everywhere}

[routes.email]
source = "truework"
match = {{ "body.data.metadata.also" = "email" }}
targets = ["email"]

[routes.shell]
source = "truework"
match = {{ "body.data.metadata.also" = "shell" }}
targets = ["shell"]

[routes.doomed]
source = "truework"
match = {{ "body.data.metadata.also" = "doomed" }}
targets = ["doomed"]

[routes.identity]
source = "truora"
targets = ["identity"]

[targets.alerts]
type = "file"
path = "{folder}/files/alerts.jsonl"
timeout = "60s"

[targets.identity]
type = "file"
path = "{folder}/files/identity.jsonl"
rotate = {{ size = "1MiB", keep = 2 }}
timeout = "60s"

[targets.failing]
type = "http"
url = "{failing}"
timeout = "2s"
retry = {{ first = "1s", max = "5s", give_up = "1d" }}

[targets.ordered]
type = "http"
url = "{ordered}"
order_by = "body.data.metadata.key"
retry = {{ first = "1s", max = "2s", give_up = "1d" }}

[targets.doomed]
type = "http"
url = "{doomed}"
retry = {{ delays = ["1s"] }}
"""
