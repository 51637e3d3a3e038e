"""The composition root: builds every part once, starts them in an order that loses nothing, ends them in reverse.

Start: configuration, store (recovery and barrier), dispatch, listeners, then READY. Stop: listeners drain, then
dispatch, then the store flushes. Whatever ends the process earlier costs no acknowledged event: the store knows all
that was promised.
"""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, cast

import structlog
import trio
from prometheus_client import CollectorRegistry

from gateway import __version__
from gateway.admin.app import make_app
from gateway.admin.exposition import Exposition
from gateway.admin.guard import FAULT, admin_server
from gateway.admin.limits import GRACE_SECONDS
from gateway.announce import Announcer
from gateway.asgi.connection import over_hypercorn
from gateway.asgi.types import AsgiApp
from gateway.blueprint import Blueprint, build
from gateway.collector import calm_collector, collect_former
from gateway.config.address import Address
from gateway.config.load import load
from gateway.config.model_server import HttpServer
from gateway.control import Control
from gateway.dedup_rules import with_former_rules
from gateway.desk import OperatorDesk
from gateway.dispatch.dispatcher import Dispatcher
from gateway.dispatch.janitor import answer_late, expire, keep_proving, mind_clock, retain
from gateway.distress import Distress
from gateway.ingress.asgi import asgi_app
from gateway.ingress.key_fetch import KeyFetcher
from gateway.ingress.keyring import KeyRing
from gateway.ingress.learner import Learner
from gateway.ingress.receive import Receiver
from gateway.intake import Intake
from gateway.listeners import describe, open_listeners, own_address, refuse_clear
from gateway.log import configure
from gateway.metrics import Counters
from gateway.narrator import Narrator
from gateway.pollers.pollers import Pollers
from gateway.renames import forsaken, rename_owned
from gateway.replayer import Replayer
from gateway.runtime import Runtime
from gateway.settings import keep_times, listener_limits, server_tls, store_settings
from gateway.store.contract import Keep, Store
from gateway.store.sqlite import open_sqlite
from gateway.systemd import Supervisor, inherited_listeners
from gateway.watch import Watch
from gateway.wire.guard import Guard
from gateway.wire.listener import Listener, Server, over_http1
from gateway.wire.state import Connect
from gateway.wire.tls import ServerTls

DRAIN_SECONDS: Final = 10.0
"""For requests under way at stop; then for tries under way the same again: both and the flush fit in 30 s."""
HARD_EXIT_SECONDS: Final = 28.0
"""After that a thread that hangs in a dead file system no longer keeps us: safe, since the store knows all that was
promised.
"""
BROKEN_EXIT_SECONDS: Final = 4.0
BROKEN_ALERT_SECONDS: Final = 2.5
"""For a last word to `alerts.targets`."""

log = structlog.get_logger()


@asynccontextmanager
async def open_daemon(config_path: Path, runtime: Runtime) -> AsyncIterator["Daemon"]:
    """Build what the files say, open the store, and wire all parts; the store is closed at the end of the block.

    Raises ConfigError, or StoreError if the store cannot be used or broke.
    """
    supervisor = Supervisor(runtime, os.environ)
    blueprint = build(load(config_path, os.environ))
    config = blueprint.config
    configure(config.log.level, config.log.format)
    for problem in blueprint.warnings:
        log.warning("config.warned", problem=problem)
    database = blueprint.places.state / config.store.sqlite
    async with AsyncExitStack() as stack:
        async with supervisor.starting("opening the store"):
            store = await stack.enter_async_context(open_sqlite(database, runtime, store_settings(config)))
            log.info("store.opened", path=str(database))
            for warning in store.warnings:
                log.warning("store.warned", warning=warning)
            await rename_owned(blueprint, store, runtime)
            blueprint = await with_former_rules(blueprint, store, runtime.now_ms())
            for problem in forsaken(blueprint, store):
                log.warning("config.warned", problem=problem)
        yield Daemon(config_path, blueprint, store, runtime, supervisor)


class Daemon:
    """All parts of one running gateway, wired together; nothing else constructs them."""

    def __init__(
        self,
        config_path: Path,
        blueprint: Blueprint,
        store: Store,
        runtime: Runtime,
        supervisor: Supervisor,
    ) -> None:
        self._blueprint = blueprint
        self._config_path = config_path
        self._store = store
        self._runtime = runtime
        self._supervisor = supervisor
        config, places = blueprint.config, blueprint.places
        inherited = inherited_listeners(os.environ, os.getpid())
        self._http = config.server.http
        """What serves until the next start, whatever a reload says."""
        self._tls = self._next_tls = server_tls(blueprint, config.server.http)
        self._sockets = open_listeners(config.server.bind, "[server].bind", runtime, inherited)
        if config.server.tls is None and not config.server.behind_proxy:
            refuse_clear(self._sockets)
        admin_address = config.admin.bind or Address("unix", "", 0, str(places.admin_socket))
        self._admin_sockets = open_listeners([admin_address], "[admin].bind", runtime, inherited)
        for name in sorted(set(inherited) - {each.name for each in (*config.server.bind, admin_address)}):
            log.warning("listener.unused", name=name)
        self.listening = [describe(each) for each in self._sockets]
        self.admin_listening = describe(self._admin_sockets[0])
        counters = Counters()
        self._announcer = Announcer(runtime)
        narrator = self._narrator = Narrator(counters, self._announcer, runtime)
        self._announcer.use(blueprint)
        self._watch = Watch(self._live, counters, self._announcer, runtime)
        own = [own_address(each) for each in (*self._sockets, *self._admin_sockets)]
        self._dispatcher = Dispatcher(store, runtime, narrator, places.state, own)
        self._intake = Intake(store, self._dispatcher, narrator, blueprint)
        self._replayer = Replayer(store, self._intake, self._dispatcher, runtime)
        self._pollers = Pollers(store, self._intake, runtime, counters, self._announcer, Guard(own=tuple(own)))
        fetcher = KeyFetcher(lambda: self._blueprint.config.keys, own, runtime)
        self._keys = KeyRing(fetcher.fetch, runtime)
        self._learner = Learner(blueprint, counters, self._announcer.tell, runtime)
        self._receiver = Receiver(self._intake, counters, self._keys, fetcher.visit, self._learner, runtime)
        self._server = Server(
            _connect(self._receiver, config.server.http, runtime),
            listener_limits(config),
            runtime,
            config.server.trusted_proxies,
            _connection_failed,
        )
        self.control = Control(
            config_path=config_path,
            store=store,
            runtime=runtime,
            counters=counters,
            dispatcher=self._dispatcher,
            intake=self._intake,
            desk=OperatorDesk(store, self._intake, self._dispatcher, self._replayer, runtime),
            receiver=self._receiver,
            learner=self._learner,
            pollers=self._pollers,
            server=self._server,
            exposition=Exposition(CollectorRegistry(), counters, __version__, runtime),
            build=self._build,
            swapped=self._swapped,
            supervisor=supervisor,
            listening=self.listening,
            admin_failures=lambda: self._admin.statistics().refused.get(FAULT, 0),
        )
        self._distress = Distress(self._live, self.control.store_trouble, self._dispatcher, supervisor, runtime)
        token = blueprint.admin_token
        app = cast(AsgiApp, make_app(self.control, token.reveal() if token else None, runtime))
        self._admin = admin_server(app, runtime, _admin_failed)

    async def run(self) -> None:
        """Serve until told to stop; then drain. Raises StoreBrokenError if the disk failed us."""
        with self._runtime.signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            await self._serve(signals)

    async def _serve(self, signals: AsyncIterator[int]) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(self._announcer.run, self._intake, self._store)
            await nursery.start(self._dispatcher.run, self._blueprint)
            nursery.start_soon(self._watch.run, self._store)
            nursery.start_soon(self._distress.run, self._calm)
            await nursery.start(self._replayer.run)
            await nursery.start(self._keys.run)
            nursery.start_soon(retain, self._store, self._keep, self._runtime)
            nursery.start_soon(expire, self._store, self._dispatcher.clock, self._narrator.expired)
            nursery.start_soon(answer_late, self._store)
            nursery.start_soon(mind_clock, self._dispatcher, self._dispatcher.clock, self._runtime)
            nursery.start_soon(keep_proving, self._store, self._runtime, self._supervisor.feed_watchdog)
            nursery.start_soon(self._exit_if_broken)
            await nursery.start(self._pollers.run, self._blueprint)
            nursery.start_soon(self.control.run_reloads)
            await nursery.start(self._admin.serve, [Listener(each) for each in self._admin_sockets])
            await nursery.start(self._server.serve, [Listener(each, self._tls_for(each)) for each in self._sockets])
            calm_collector()
            self._tell_ready()
            await self._until_stopped(signals)
            nursery.start_soon(_ignore, signals)
            await self._drain()
            nursery.cancel_scope.cancel()

    async def _until_stopped(self, signals: AsyncIterator[int]) -> None:
        async for number in signals:
            if number != signal.SIGHUP:
                log.info("daemon.stopping", signal=signal.Signals(number).name)
                return
            self.control.ask_reload()

    async def _drain(self) -> None:
        self._supervisor.stopping()
        self._runtime.exit_after(HARD_EXIT_SECONDS)
        await self._server.drain(DRAIN_SECONDS)
        self._dispatcher.drain()
        with trio.move_on_after(DRAIN_SECONDS):
            await self._dispatcher.wait_drained()
        await self._admin.drain(GRACE_SECONDS)

    async def _exit_if_broken(self) -> None:
        error = await self._store.wait_broken()
        log.critical("store.broken", problem=str(error))
        self._runtime.exit_after(BROKEN_EXIT_SECONDS, status=1)
        await self._distress.tell(str(error), BROKEN_ALERT_SECONDS)
        raise error

    def _build(self) -> Blueprint:
        """Build what the files say now, the certificate included. Raises ConfigError; nothing has changed then."""
        blueprint = build(load(self._config_path, os.environ))
        self._next_tls = server_tls(blueprint, self._http)
        return blueprint

    def _swapped(self, blueprint: Blueprint) -> None:
        self._blueprint = blueprint
        self._announcer.use(blueprint)
        if self._tls and self._next_tls:
            self._tls.context = self._next_tls.context
        configure(blueprint.config.log.level, blueprint.config.log.format)
        self._server.use(listener_limits(blueprint.config), blueprint.config.server.trusted_proxies)
        collect_former()

    def _live(self) -> Blueprint:
        return self._blueprint

    @property
    def _calm(self) -> str:
        return f"listening on {', '.join(self.listening)}"

    def _keep(self) -> Keep:
        return keep_times(self._blueprint.config)

    def _tls_for(self, listener: trio.socket.SocketType) -> ServerTls | None:
        return self._tls if listener.family != trio.socket.AF_UNIX else None

    def _tell_ready(self) -> None:
        log.info(
            "daemon.started",
            version=__version__,
            pid=os.getpid(),
            config=str(self._config_path.absolute()),
            state=str(self._blueprint.places.state),
            addresses=self.listening,
            admin=self.admin_listening,
            sources=sorted(self._blueprint.sources),
            targets=sorted(self._blueprint.targets),
        )
        self._supervisor.ready(self._calm)


async def _ignore(signals: AsyncIterator[int]) -> None:
    """Take what comes while we stop: what is left untaken would kill us before the store is closed."""
    async for number in signals:
        log.info("daemon.stopping", signal=signal.Signals(number).name)


def _connect(receiver: Receiver, http: HttpServer, runtime: Runtime) -> Connect:
    if http == "own":
        return over_http1(receiver)
    return over_hypercorn(asgi_app(receiver, runtime), receiver.admit)


def _connection_failed(error: Exception) -> None:
    log.error("connection.failed", problem=repr(error)[:500], exc_info=error)


def _admin_failed(error: Exception) -> None:
    log.error("connection.failed", problem=f"admin listener: {error!r}"[:500], exc_info=error)
