"""All pollers under one roof: one task each, started, stopped and gone over to another configuration.

Nothing here waits for another poller. What goes wrong costs the poller its next tries (the pause doubles), never an
event: its cursor stays where it is.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final, NamedTuple, Protocol

import structlog
import trio

from gateway.blueprint import Blueprint
from gateway.core.model import Outcome, event_text
from gateway.core.polling import read_cursor
from gateway.errors import StoreError
from gateway.intake import Intake
from gateway.metrics import Counters
from gateway.plugin import Context
from gateway.pollers.poll import Polled, poll
from gateway.provider_api.caller import Caller
from gateway.provider_api.poll_plan import PollerPlan
from gateway.runtime import Runtime
from gateway.store.contract import Store
from gateway.wire.guard import Guard

NOTE: Final = "poller/"
FIRST_SECONDS_MAX: Final = 5.0
"""How soon after its start a poller asks for the first time, at most."""
MORE_SECONDS: Final = 1.0
"""How soon it goes on where one poll may not ask for all pages."""
PAUSE_SECONDS_MAX: Final = 3600.0
FAILURES_TOLD: Final = 3
"""So many polls in a row must fail until somebody is told."""

log = structlog.get_logger()


class PollerState(NamedTuple):
    """How a poller is, for people."""

    name: str
    source: str
    asked_at: int | None
    """When it last asked; milliseconds since 1970."""
    cursor: int | None
    """The newest event that it knows of."""
    missed: int
    """Events since the start whose webhook never came."""
    failures: int
    """How many polls in a row failed."""
    problem: str


class Teller(Protocol):
    """Who is told of pollers: the gateway's own events."""

    def tell(self, kind: str, subject: str, data: Mapping[str, object], origin: str = "") -> bool:
        """Tell of one."""
        ...


class Pollers:
    """Runs the pollers of a blueprint."""

    def __init__(
        self, store: Store, intake: Intake, runtime: Runtime, counters: Counters, teller: Teller, guard: Guard
    ) -> None:
        self._store = store
        self._intake = intake
        self._runtime = runtime
        self._counters = counters
        self._teller = teller
        self._guard = guard
        self._nursery: trio.Nursery | None = None
        self._running: dict[str, tuple[PollerPlan, trio.CancelScope]] = {}
        self._states: dict[str, PollerState] = {}

    async def run(self, blueprint: Blueprint, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Poll until cancelled."""
        async with trio.open_nursery() as self._nursery:
            self.use(blueprint)
            task_status.started()
            await trio.sleep_forever()

    def use(self, blueprint: Blueprint) -> None:
        """Poll by `blueprint` from now on; a poll under way by another plan ends, and is made again by the new one."""
        if self._nursery is None:
            raise RuntimeError("the pollers are not running")
        for name, (plan, scope) in list(self._running.items()):
            kept = blueprint.pollers.get(name)
            if kept is None or kept.fingerprint != plan.fingerprint:
                del self._running[name]
                self._states.pop(name, None)
                scope.cancel()
        for name, plan in blueprint.pollers.items():
            if name not in self._running:
                scope = trio.CancelScope()
                self._running[name] = (plan, scope)
                self._states[name] = PollerState(name, plan.source, None, None, 0, 0, "")
                self._nursery.start_soon(partial(self._keep_polling, plan, scope))

    def states(self) -> list[PollerState]:
        """Tell how each is."""
        return [self._states[name] for name in sorted(self._states)]

    async def _keep_polling(self, plan: PollerPlan, scope: trio.CancelScope) -> None:
        with scope:
            context = Context(plan.name, self._runtime, 1, guard=self._guard)
            await trio.sleep(min(plan.every_seconds, FIRST_SECONDS_MAX) * self._runtime.random())
            while True:
                pause = await self._poll_once(plan, context)
                await trio.sleep(pause)

    async def _poll_once(self, plan: PollerPlan, context: Context) -> float:
        """Poll, write the cursor down; give the seconds until the next poll."""
        name, caller = NOTE + plan.name, None
        try:
            notes = await self._store.notes(NOTE)
            kept = notes.get(name) or notes.get(f"{NOTE}{plan.formerly}")
            now = self._runtime.now_ms()
            cursor = read_cursor(kept, now)
            if kept is None:  # before anything is asked for: what happens from here on is this poller's
                await self._store.keep_notes({name: cursor.note()})
            caller = await self._runtime.in_file_thread(lambda: Caller(plan.options, plan.paging.url, context))
            found = await poll(plan, caller, self._intake, cursor, now)
            if found.cursor != cursor or name not in notes:
                former = {f"{NOTE}{plan.formerly}": None} if plan.formerly else {}
                await self._store.keep_notes({name: found.cursor.note(), **former})
        except (StoreError, OSError) as error:
            await trio.lowlevel.checkpoint_if_cancelled()
            return self._failed(plan, str(error)[:300], None)
        finally:
            if caller is not None:
                caller.close()
        # What was waited for may have come just before a reload took this poller away: then nothing is told of it.
        await trio.lowlevel.checkpoint_if_cancelled()
        return self._note(plan, found, now)

    def _note(self, plan: PollerPlan, found: Polled, now: int) -> float:
        counts = self._counters.pollers[plan.name]
        counts.items.add("missed", len(found.missed))
        counts.items.add("known", len(found.verdicts) - len(found.missed))
        state = self._states[plan.name]
        state = self._states[plan.name] = state._replace(
            asked_at=now, cursor=found.cursor.at, missed=state.missed + len(found.missed)
        )
        if found.missed:
            first = event_text(found.missed[0].event_id)
            data = {"poller": plan.name, "source": plan.source, "missed": len(found.missed), "event_id": first}
            self._teller.tell("webhook.missed", plan.name, data)
        if found.failure is not None:
            return self._failed(plan, _reason(found.failure), getattr(found.failure, "after", None))
        if found.cut and plan.newest_first:
            reason = f"there are more than {plan.pages} pages of news: raise pages, or poll more often"
            return self._failed(plan, reason, None)
        counts.polls.add("cut" if found.cut else "done")
        if state.failures >= FAILURES_TOLD:
            self._teller.tell("poller.caught_up", plan.name, {"poller": plan.name, "reason": "it gets its list again"})
        self._states[plan.name] = state._replace(failures=0, problem="")
        return min(MORE_SECONDS, plan.every_seconds) if found.cut else plan.every_seconds

    def _failed(self, plan: PollerPlan, reason: str, after: float | None) -> float:
        state = self._states[plan.name]
        state = self._states[plan.name] = state._replace(failures=state.failures + 1, problem=reason)
        self._counters.pollers[plan.name].polls.add("failed")
        log.info("poll.failed", poller=plan.name, reason=reason, failures=state.failures)
        if state.failures >= FAILURES_TOLD:
            self._teller.tell("poller.behind", plan.name, {"poller": plan.name, "reason": reason})
        pause = plan.every_seconds * 2 ** min(state.failures, 12)
        return float(max(min(pause, max(PAUSE_SECONDS_MAX, plan.every_seconds)), after or 0.0))


def _reason(failure: Outcome) -> str:
    return str(getattr(failure, "reason", ""))
