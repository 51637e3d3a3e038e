"""Receiver, intake, store and announcer put together from a real configuration file, without a listener or targets."""

from contextlib import asynccontextmanager

import orjson

from gateway.announce import Announcer
from gateway.blueprint import build
from gateway.config.load import load
from gateway.core.model import Request
from gateway.errors import KeyUnavailableError
from gateway.ingress.keyring import KeyRing
from gateway.ingress.learner import Learner
from gateway.ingress.receive import Receiver
from gateway.intake import Intake
from gateway.metrics import Counters
from gateway.narrator import Narrator
from gateway.runtime import Runtime
from gateway.store.settings import StoreSettings
from gateway.store.sqlite import open_sqlite

ORDERS = b"orders-token-0123456789abcdef"
STATES = b"states-token-0123456789abcdef"

CONFIG = """
[alerts]
targets = ["ops"]

[sources.truework]
provider = "truework"
version = "2023-*"
[sources.truework.credentials]
orders = { secret = { file = "orders" }, event = "order.completed" }
states = { secret = { file = "states" }, event = "verification_request.*" }

[routes.done]
source = "truework"
event = "order.completed"
match = { "body.data.state" = ["completed", "canceled"] }
targets = ["crm", "audit"]

[targets.crm]
type = "file"
path = "crm.jsonl"
[targets.audit]
type = "file"
path = "audit.jsonl"
[targets.ops]
type = "file"
path = "ops.jsonl"
"""


class NoAdmission:
    """Dispatch that has no slot, so that everything waits in the store; or always one, and keeps what it is handed."""

    def __init__(self):
        self.hinted, self.handed, self.slots = [], [], False

    def reserve(self, _target, _size, _source):
        return self if self.slots else None

    def release(self, _size, _source):
        pass

    def hand_over(self, claim, _size):
        self.handed.append(claim)

    def hint(self, target):
        self.hinted.append(target)


class Parts:
    def __init__(self, folder, store):
        self.runtime = Runtime()
        self.folder = folder
        self.store = store
        self.counters = Counters()
        self.announcer = Announcer(self.runtime)
        self.admission = NoAdmission()
        narrator = Narrator(self.counters, self.announcer, self.runtime)
        self.intake = Intake(store, self.admission, narrator, self.blueprint())
        keys = KeyRing(self.fetch, self.runtime)
        self.learner = Learner(self.intake.blueprint, self.counters, self.announcer.tell, self.runtime)
        self.receiver = Receiver(self.intake, self.counters, keys, self.fetch, self.learner, self.runtime)

    async def fetch(self, ref):
        """Be the server of a provider that publishes its keys; nobody here does."""
        raise KeyUnavailableError(ref.url, 10)

    def blueprint(self, text=CONFIG):
        file = self.folder / "config.toml"
        file.write_text(text)
        return build(load(file, {"STATE_DIRECTORY": str(self.folder)}))

    def use(self, text):
        blueprint = self.blueprint(text)
        self.intake.use(blueprint)
        self.receiver.use(blueprint)

    async def post(self, body, token=ORDERS, path="/hooks/truework", query="", **headers):
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        pairs = ((b"content-type", b"application/json"), (b"x-truework-token", token))
        extra = tuple((name.replace("_", "-").encode(), value) for name, value in headers.items())
        return await self.receiver.handle(
            Request("POST", path, query, pairs + extra, raw, "192.0.2.7", self.runtime.now_ms())
        )


@asynccontextmanager
async def parts_of(folder):
    secrets = folder / "secrets"
    secrets.mkdir(mode=0o700)
    for name, token in (("orders", ORDERS), ("states", STATES)):
        (secrets / name).write_bytes(token)
        (secrets / name).chmod(0o600)
    settings = StoreSettings(low_water_bytes=1024, reserve_bytes=4096)
    async with open_sqlite(folder / "hookgate.db", Runtime(), settings) as store:
        yield Parts(folder, store)


def order(order_id="o-1", state="completed", version="2023-10-30", event="order.completed"):
    hook = {"id": 7, "event": event, "target": "https://x.example", "triggered_at": "2026-11-21T10:00:00Z"}
    return {"version": version, "hook": hook, "data": {"order_id": order_id, "state": state}}
