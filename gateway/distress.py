"""The store's own trouble: a low disk, commits that fail. It cannot be an event, since events need the store.

It goes to the log, to the service manager's status line and, past the store, straight to `alerts.targets`: one try
each, with a deadline, at most once in the period of `store.troubled`. What comes of it is logged and written nowhere.
"""

from collections.abc import Callable
from typing import Final

import structlog
import trio

from gateway.announce import own_event
from gateway.blueprint import OWN_SOURCE, Blueprint
from gateway.core.head import encode_head
from gateway.core.model import Delivered, StoredEvent
from gateway.core.own_events import KINDS
from gateway.dispatch.dispatcher import Dispatcher
from gateway.runtime import Runtime
from gateway.store.ids import SHIFT, first_id
from gateway.systemd import Supervisor

KIND: Final = "store.troubled"
LOOK_EVERY_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 5.0
"""A queue that is full for a moment is no trouble yet."""
DEADLINE_SECONDS: Final = 20.0

log = structlog.get_logger()


class Distress:
    """Watches the store of one daemon."""

    def __init__(
        self,
        blueprint: Callable[[], Blueprint],
        problems: Callable[[], list[str]],
        dispatcher: Dispatcher,
        supervisor: Supervisor,
        runtime: Runtime,
    ) -> None:
        """Prepare; `blueprint` gives the one that is live, `problems` why the store accepts nothing now."""
        self._blueprint = blueprint
        self._problems = problems
        self._dispatcher = dispatcher
        self._supervisor = supervisor
        self._runtime = runtime
        self._told_at: float | None = None

    async def run(self, calm: str) -> None:
        """Look until cancelled; `calm` is the status line once the trouble is over."""
        since: float | None = None
        shown = ""
        while True:
            now = self._runtime.monotonic()
            problem = "; ".join(self._problems())
            since = (now if since is None else since) if problem else None
            if since is not None and now - since >= PATIENCE_SECONDS:
                if not shown:
                    log.error("store.troubled", reason=problem)
                self._supervisor.status(f"NOT ACCEPTING: {problem}")
                shown = problem
                await self._tell_again(problem, now)
            elif shown and not problem:
                log.info("store.recovered", reason=shown)
                self._supervisor.status(calm)
                shown = ""
            await trio.sleep(LOOK_EVERY_SECONDS)

    async def _tell_again(self, problem: str, now: float) -> None:
        alerts = self._blueprint().config.alerts
        period = KINDS[KIND].again if alerts is None else alerts.again.get(KIND, KINDS[KIND].again)
        if self._told_at is None or now - self._told_at >= period:
            self._told_at = now
            await self.tell(problem, DEADLINE_SECONDS)

    async def tell(self, problem: str, deadline_seconds: float) -> None:
        """Try once at each alert target, all at the same time; never raises but Cancelled."""
        alerts = self._blueprint().config.alerts
        event = _event(problem, self._runtime.now_ms())
        with trio.move_on_after(deadline_seconds):
            async with trio.open_nursery() as nursery:
                for target in () if alerts is None else alerts.targets:
                    nursery.start_soon(self._try, target, event)

    async def _try(self, target: str, event: StoredEvent) -> None:
        outcome = await self._dispatcher.deliver_directly(target, event)
        if not isinstance(outcome, Delivered):
            reason = "held or disabled" if outcome is None else outcome.reason
            log.warning("alert.failed", target=target, reason=reason)


def _event(problem: str, at: int) -> StoredEvent:
    """Make an event that is in no store; its id has a node number that no store uses."""
    request, event = own_event(KIND, "the store", {"reason": problem[:500]}, at)
    number = first_id(at) | ((1 << SHIFT) - 1)
    return StoredEvent(
        number, OWN_SOURCE, "", KIND, event.version, at, at, encode_head(request, (), ()), request.body, None
    )
