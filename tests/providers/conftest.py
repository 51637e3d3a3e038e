"""A source for each preset, with a made-up secret, behind the real receiver and store."""

from contextlib import asynccontextmanager

import pytest
import trio

from gateway.announce import Announcer
from gateway.blueprint import build
from gateway.blueprint.presets import BUILT_IN
from gateway.cli.made_up import made_up_secret, private_key
from gateway.cli.provider_page import snippet
from gateway.cli.sample import Plan
from gateway.cli.trial import merged_verify, read
from gateway.config.load import load
from gateway.errors import KeyUnavailableError
from gateway.ingress.keyring import KeyRing
from gateway.ingress.learner import Learner
from gateway.ingress.receive import Receiver
from gateway.intake import Intake
from gateway.metrics import Counters
from gateway.narrator import Narrator
from gateway.runtime import Runtime
from gateway.store.contract import EventQuery
from gateway.store.memory import open_memory
from gateway.store.settings import StoreSettings
from gateway.store.sqlite import open_sqlite

CRM = '[secrets]\nfolder = "."\n[targets.crm]\ntype = "file"\npath = "crm.jsonl"\n'


class NoAdmission:
    """Dispatch that never has a slot: everything waits in the store."""

    def reserve(self, *_asked):
        return None

    def hint(self, _target):
        pass


class PublishingPlan(Plan):
    """A plan that signs with the provider's own key, if it has one, and has it published."""

    def signed(self, request):
        return self.door.sign(request) if self.credential.keyed else super().signed(request)


class Door:
    """One provider's door, as the lines that its page tells to paste open it."""

    def __init__(self, name, folder, store, secret=None, preset=None, *, learned=True):
        """`preset` is the text of one that is not built in; `learned`: what is learned at set-up is known already."""
        if preset is not None:
            (folder / "presets").mkdir()
            (folder / "presets" / f"{name}.toml").write_text(preset)
        self.preset = read((BUILT_IN if preset is None else folder / "presets") / f"{name}.toml")
        self.store = store
        self.secret = secret or made_up_secret(merged_verify(self.preset))
        if learned:
            (folder / "learned").mkdir()
        for kind in (name, f"{name}-handshake", *([f"learned/{name}.main"] if learned else [])):
            (folder / kind).write_bytes(self.secret)
            (folder / kind).chmod(0o600)
        config = folder / "config.toml"
        config.write_text(CRM + snippet(name, self.preset))
        blueprint = build(load(config, {"STATE_DIRECTORY": str(folder)}))
        self.source = blueprint.sources[name]
        self.runtime = runtime = Runtime()
        counters = self.counters = Counters()
        narrator = Narrator(counters, Announcer(runtime), runtime)
        self.published, self.private, self.visited = {}, None, []
        self.ring = KeyRing(self.fetch, runtime)
        self.told = []
        self.learner = Learner(blueprint, counters, lambda *telling: self.told.append(telling), runtime)
        self.intake = Intake(store, NoAdmission(), narrator, blueprint)
        self.receiver = Receiver(self.intake, counters, self.ring, self.visit, self.learner, runtime)

    def plan(self, sample):
        plan = PublishingPlan(self.source, self.source.credentials[0], sample)
        object.__setattr__(plan, "door", self)
        return plan

    def sign(self, request):
        """Sign with the provider's own key and publish it."""
        asking = self.source.credentials[0].keyed
        self.private = self.private or private_key(asking.keyed)
        signed, published = asking.sign_with(request, self.private)
        self.published.update(published)
        return signed

    async def fetch(self, ref):
        """Be the provider's server."""
        if ref not in self.published:
            raise KeyUnavailableError("HTTP 404", 10)
        return self.published[ref]

    async def visit(self, url):
        """Be the address that a handshake wants visited."""
        self.visited.append(url)

    async def ask(self, request):
        """Send as the listener would; give the answer."""
        admitted = self.receiver.admit(request.method, request.path, request.headers)
        return await self.receiver.handle(request) if isinstance(admitted, int) else admitted

    async def post(self, request):
        return (await self.ask(request)).status

    async def events(self):
        return await self.store.events(EventQuery(limit=1000))


@pytest.fixture
def open_door(tmp_path):
    """Give a way to open the door of a provider by name, and if need be with its secret, or before a store on disk."""

    @asynccontextmanager
    async def opened(name, secret=None, *, preset=None, on_disk=False, learned=True):
        folder = tmp_path / name
        folder.mkdir()
        opening = open_sqlite(folder / "hookgate.db", Runtime(), StoreSettings()) if on_disk else None
        async with opening or open_memory(Runtime(), StoreSettings()) as store:
            door = Door(name, folder, store, secret, preset, learned=learned)
            async with trio.open_nursery() as nursery:
                await nursery.start(door.ring.run)
                yield door
                nursery.cancel_scope.cancel()

    return opened


@pytest.fixture
def open_doors(tmp_path):
    """Give a way to open several without a store, each by its name and, if it is not built in, its preset's text."""

    @asynccontextmanager
    async def opened(named):
        async with trio.open_nursery() as nursery:
            doors = []
            for name, preset in named:
                folder = tmp_path / name
                folder.mkdir()
                doors.append(Door(name, folder, None, preset=preset))
                await nursery.start(doors[-1].ring.run)
            yield doors
            nursery.cancel_scope.cancel()

    return opened
