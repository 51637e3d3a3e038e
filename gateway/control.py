"""What may be asked of the running daemon: status, reload, gates, metrics; orders go to the desk.

The admin API calls nothing else.

A reload builds the whole new blueprint beside the running one and swaps at once, or keeps the old one and says why;
one runs at a time, and requests that come meanwhile share the next.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from traceback import format_tb

import structlog
import trio

from gateway import __version__
from gateway.admin.desk import Asker
from gateway.admin.exposition import Exposition, gather
from gateway.admin.operations import (
    LearningStatus,
    NotPossibleError,
    PollerStatus,
    RefusalStatus,
    ReloadResult,
    Status,
    no_source,
    no_target,
)
from gateway.admin.report import (
    reasons_not_ready,
    report_ingress,
    report_learning,
    report_sources,
    report_store,
    report_targets,
)
from gateway.blueprint import Blueprint, difference
from gateway.core.model import Json
from gateway.core.routing import Miss
from gateway.dedup_rules import with_former_rules
from gateway.desk import OperatorDesk
from gateway.dispatch.dispatcher import Dispatcher
from gateway.errors import ConfigError, StoreError
from gateway.ingress.learner import Learner
from gateway.ingress.receive import Receiver
from gateway.intake import Intake
from gateway.metrics import Counters
from gateway.pollers.pollers import Pollers
from gateway.renames import forsaken, rename_owned
from gateway.runtime import Runtime
from gateway.store.contract import Gate, Store
from gateway.systemd import Supervisor
from gateway.wire.listener import Server

REFUSALS_SHOWN = 10

log = structlog.get_logger()


class AskedReload:
    """A reload that somebody waits for."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.result: ReloadResult | None = None
        """Still None when it is done: a stop came first."""


class Control:
    """Implements `gateway.admin.operations.Operations` on the parts that the daemon put together."""

    def __init__(
        self,
        *,
        config_path: Path,
        store: Store,
        runtime: Runtime,
        counters: Counters,
        dispatcher: Dispatcher,
        intake: Intake,
        desk: OperatorDesk,
        receiver: Receiver,
        learner: Learner,
        pollers: Pollers,
        server: Server,
        exposition: Exposition,
        build: Callable[[], Blueprint],
        swapped: Callable[[Blueprint], None],
        supervisor: Supervisor,
        listening: Sequence[str],
        admin_failures: Callable[[], int],
    ) -> None:
        self.store = store
        self.desk = desk
        self._config_path = config_path.absolute()
        self._runtime = runtime
        self._counters = counters
        self._dispatcher = dispatcher
        self._intake = intake
        self._receiver = receiver
        self._learner = learner
        self._pollers = pollers
        self._server = server
        self._exposition = exposition
        self._build = build
        self._swapped = swapped
        self._supervisor = supervisor
        self._listening = listening
        self._admin_failures = admin_failures
        self._started_at = runtime.now_ms()
        self._started_with = intake.blueprint.config
        self._database = intake.blueprint.places.in_state(self._started_with.store.sqlite)
        self._last_reload: ReloadResult | None = None
        self._asked: AskedReload | None = None
        self._wake = trio.Event()

    async def status(self) -> Status:
        """Give the whole picture; from memory, but for gates of targets that are not configured."""
        monotonic = self._runtime.monotonic()
        blueprint = self._intake.blueprint
        statistics = self._server.statistics()
        ingress = report_ingress(self._counters, self._listening, statistics.connections)
        gates = await self._gates()
        return Status(
            at=self._runtime.now_ms(),
            version=__version__,
            pid=os.getpid(),
            started_at=self._started_at,
            config_path=str(self._config_path),
            config_digest=blueprint.digest,
            last_reload=self._last_reload,
            not_ready=self.ready(),
            ingress=ingress,
            store=report_store(self._database, self.store.health(), monotonic),
            sources=report_sources(blueprint, self._counters, self._learner.states()),
            targets=report_targets(
                blueprint,
                self._counters,
                self.store,
                gates,
                self._dispatcher.slow_targets(),
                self._dispatcher.gathering(),
            ),
            pollers=[PollerStatus(*each) for each in self._pollers.states()],
            refusals=[RefusalStatus(*each, count) for each, count in self._receiver.refusals.folded(REFUSALS_SHOWN)],
        )

    async def _gates(self) -> list[Gate]:
        """Give the gates of running targets from memory; the store is asked for the others, if there are any."""
        gates, running = self._dispatcher.gates(), self._intake.blueprint.targets
        if set(self.store.targets()) <= set(running):
            return gates
        try:
            return gates + [gate for gate in await self.store.gates() if gate.target not in running]
        except StoreError:  # the status says what is wrong with the store; it must not fail with it
            return gates

    def ready(self) -> list[str]:
        """Tell why new events are not accepted, or what is due and nobody looks at; empty = all is well."""
        return self.store_trouble() + self._dispatcher.overlooked()

    def store_trouble(self) -> list[str]:
        """Tell why new events are not accepted; empty = they are."""
        return reasons_not_ready(self.store.health(), self._runtime.monotonic())

    async def reload(self) -> ReloadResult:
        """Go over to the configuration as it stands in the files now, or keep the old one and say why."""
        asked = self.ask_reload()
        await asked.done.wait()
        return asked.result or self._refused(["the gateway is stopping: its next start reads the files"])

    def ask_reload(self) -> AskedReload:
        """Ask for a reload that begins after now; all who ask before it begins share it. A stop refuses it at once."""
        if self._dispatcher.draining:
            asked = AskedReload()
            asked.done.set()
            return asked
        if self._asked is None:
            self._asked = AskedReload()
            self._wake.set()
        return self._asked

    async def run_reloads(self) -> None:
        """Carry out what was asked for, one after the other, until cancelled; whoever asked may have left."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            asked, self._asked = self._asked, None
            if asked is not None:
                self._supervisor.reloading()
                self._last_reload = asked.result = await self._reload()
                self._supervisor.ready(
                    "ready" if asked.result.ok else "ready; the last reload was refused, see the log"
                )
                asked.done.set()

    async def _reload(self) -> ReloadResult:
        try:
            new = await self._runtime.in_file_thread(self._build)
            changes = difference(self._intake.blueprint, new, self._started_with)
        except ConfigError as error:
            return self._refused(error.problems)
        except Exception as error:  # noqa: BLE001 - nothing is changed yet: a fault of ours must not end what runs
            # Where, and no more: its text may quote what stands in the files.
            place = "".join(format_tb(error.__traceback__, limit=-3))
            return self._refused([f"our own code failed, {type(error).__name__}: tell us what the log says"], place)
        try:
            await self._go_over(new)
        except StoreError as error:
            return self._refused([f"the store cannot take the change now: {error}; reload again"])
        changes += forsaken(new, self.store)
        self._swapped(new)
        log.info("config.reloaded", changes=changes, digest=new.digest)
        for problem in new.warnings:
            log.warning("config.warned", problem=problem)
        return ReloadResult(True, self._runtime.now_ms(), changes=changes)

    async def _go_over(self, new: Blueprint) -> None:
        """Swap at once; where names change owners or events other keys, with nothing between plan and accept."""
        targets, sources = new.targets.values(), new.sources.values()
        renames = any(target.formerly for target in targets) or any(source.formerly for source in sources)
        reorders = _order_rules(self._intake.blueprint) != _order_rules(new)
        async with self._intake.pause() if renames or reorders else nullcontext():
            new = await with_former_rules(new, self.store, self._runtime.now_ms(), self._intake.blueprint)
            # The last that the store may refuse: then the old names go on.
            await self._dispatcher.use(new, partial(rename_owned, new, self.store, self._runtime))
            self._intake.use(new)
            self._receiver.use(new)
        self._pollers.use(new)

    def _refused(self, problems: list[str], place: str = "") -> ReloadResult:
        log.error("config.refused", problems=problems, **({"place": place} if place else {}))
        return ReloadResult(False, self._runtime.now_ms(), problems=problems)

    async def misses(self, event_id: int) -> list[Miss]:
        """Tell why today's routes do not take a stored event; empty if none is for its type."""
        return await self._intake.misses(event_id)

    async def fields(self, event_id: int) -> dict[str, Json]:
        """Give what `event.NAME` stands for in a stored event."""
        return await self._intake.fields(event_id)

    async def learn(self, source: str, credential: str, seconds: float, asker: Asker) -> LearningStatus:
        """Let a credential learn one secret within `seconds`; raises NotPossibleError if it is none that learns."""
        known = self._intake.blueprint.sources
        if source not in known:
            raise no_source(source, known)
        learning = [each.credential for each in self._learner.states() if each.source == source]
        name = credential or (learning[0] if len(learning) == 1 else "")
        state = self._learner.open(source, name, seconds) if name else None
        if state is None:
            there = f"there are: {', '.join(learning)}" if learning else "it has none with learned = true"
            raise NotPossibleError(
                f"source {source}: expected one credential that learns its secret; {there}", "hookgate sources list"
            )
        who = await self.desk.who(asker)
        log.info("source.learning", source=source, credential=name, seconds=seconds, who=who)
        return report_learning(state)

    async def hold(self, target: str, reason: str) -> bool:
        """Close the operator's gate on a target; False if it was closed."""
        async with self._intake.steady():
            return await self._dispatcher.hold(self._known(target), reason)

    async def release(self, target: str, reason: str) -> bool:
        """Open the operator's gate, and that of a restored backup; False if neither was closed."""
        async with self._intake.steady():
            changed = await self._dispatcher.open(self._known(target), ("held", "restored"))
        if changed:
            log.info("target.released", target=target, reason=reason)
        return changed

    async def enable(self, target: str, reason: str) -> bool:
        """Open the gates that the daemon closed (disabled, breaker); False if none was closed."""
        async with self._intake.steady():
            changed = await self._dispatcher.open(self._known(target), ("disabled", "breaker"))
        if changed:
            log.info("target.enabled", target=target, reason=reason)
        return changed

    async def render_metrics(self) -> bytes:
        """Give the Prometheus text; rendered outside the trio thread."""
        statistics = self._server.statistics()
        return await self._exposition.render(
            lambda: gather(
                self.store,
                self._dispatcher.gates(),
                self._intake.blueprint.targets,
                at=self._runtime.now_ms(),
                monotonic=self._runtime.monotonic(),
                connections=statistics.connections,
                body_bytes=statistics.body_bytes,
                admin_failures=self._admin_failures(),
                listener=statistics.refused,
            )
        )

    def _known(self, target: str) -> str:
        if target not in self._intake.blueprint.targets:
            raise no_target(target, self._intake.blueprint.targets)
        return target


def _order_rules(blueprint: Blueprint) -> dict[str, str]:
    return {name: plan.order.rule for name, plan in blueprint.targets.items() if plan.order is not None}
