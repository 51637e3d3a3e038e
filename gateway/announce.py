"""The gateway's own events: a delivery died, a type that nobody routes, a target went down.

They are events of the built-in source `hookgate` and go the way of all events, to `alerts.targets` and to any route
that names the source. Each subject is told at most once in its period (`gateway.core.told`), so that a flood of trouble
is no flood of mail, and an own event's trouble makes no own event. The queue is bounded: what does not fit is logged
only.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Final

import orjson
import structlog
import trio

from gateway.blueprint import OWN_SOURCE, Blueprint
from gateway.core.model import Event, HoldReason, Request, event_number, event_text
from gateway.core.routing import Route
from gateway.core.told import NOTE, Telling, Told
from gateway.errors import StoreError
from gateway.intake import Intake
from gateway.runtime import Runtime
from gateway.store.contract import Store, Verdict

QUEUED_MAX: Final = 1000
LATE_EVERY_SECONDS: Final = 10.0
"""How often to look for states that came too early to be told."""
STORE_TROUBLE_SECONDS: Final = 1.0

HELD_AS: Final[Mapping[HoldReason, str]] = {"unmatched": "event.unmatched", "version": "event.version_unseen"}
NOT_TO_ITSELF: Final = ("target.down", "target.disabled")
"""Kinds that their own target is not told: it would hear of its trouble only after it."""

log = structlog.get_logger()


class Announcer:
    """Queues own events from synchronous code; `run` accepts them one by one."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._queue: deque[Telling] = deque()
        self._told = Told()
        self._over: dict[str, bytes | None] = {}
        """What need not be remembered any more."""
        self._wake = trio.Event()

    def use(self, blueprint: Blueprint) -> None:
        """Go by the periods and the routes of `blueprint` from now on; who was told nothing so far is told anew."""
        alerts = blueprint.config.alerts
        self._over |= self._told.use({} if alerts is None else alerts.again, audience(blueprint.routes.values()))
        self._wake.set()

    def judged(self, event: Event, hold: HoldReason | None, verdict: Verdict) -> None:
        """Tell what a verdict leaves for people to do: an event that was held, or a conflict."""
        found = {"source": event.source, "type": event.type}
        if verdict.kind == "conflict":
            self.tell("event.conflict", event.source, {**found, "event_id": event_text(verdict.event_id)})
        elif verdict.kind == "new" and hold is not None and hold in HELD_AS:
            found |= {"version": event.version, "event_id": event_text(verdict.event_id)}
            subject = f"{event.source} {event.type} {event.version}".rstrip()
            self.tell(HELD_AS[hold], subject, found, origin=event.source)

    def tell(self, kind: str, subject: str, data: Mapping[str, Any], origin: str = "") -> bool:
        """Log and queue an own event, unless `subject` was told within the period of `kind`; True if it was told.

        Where a sender chooses the subjects, `origin` says who: each origin has only so many.
        """
        if data.get("source") == OWN_SOURCE:
            return False
        telling = self._told.ask(kind, origin or subject, subject, data, self._runtime.now_ms())
        if telling is not None:
            self._put(telling)
        return telling is not None

    async def run(
        self, intake: Intake, store: Store, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Accept queued own events until cancelled; those that the store cannot take now stay queued.

        Started once what was told before a restart is known.
        """
        await self._recall(store)
        task_status.started()
        while True:
            while self._queue:
                try:
                    await self._accept(intake, self._queue[0])
                except StoreError:
                    await trio.sleep(STORE_TROUBLE_SECONDS)
                else:
                    await self._remember(store, self._queue[0].notes)
                    self._queue.popleft()
            await self._remember(store, {})
            if self._queue:  # while the store was asked
                continue
            self._wake = trio.Event()
            with trio.move_on_after(LATE_EVERY_SECONDS):
                await self._wake.wait()
            for telling in self._told.late(self._runtime.now_ms()):
                self._put(telling)

    def _put(self, telling: Telling) -> None:
        log.warning(telling.kind, **telling.data)
        if len(self._queue) < QUEUED_MAX:
            self._queue.append(telling)
            self._wake.set()

    async def _recall(self, store: Store) -> None:
        try:
            over = self._told.restore(await store.notes(NOTE), self._runtime.now_ms())
        except StoreError:  # something is told twice; the store's trouble is told elsewhere
            return
        await self._remember(store, over)

    async def _remember(self, store: Store, notes: Mapping[str, bytes | None]) -> None:
        # What is over goes first, and with the rest: a subject told anew since is remembered.
        notes, self._over = {**self._over, **notes}, {}
        if notes:
            with suppress(StoreError):  # after a restart it is told twice
                await store.keep_notes(notes)

    async def _accept(self, intake: Intake, telling: Telling) -> None:
        if not intake.blueprint.router.listens(OWN_SOURCE):
            return
        data = telling.data
        if telling.kind == "event.unmatched":
            missed = await intake.misses(event_number(data["event_id"]))
            # Without what was found: that is payload, and this may become a mail.
            unmet = [f"route {each.route}: {each.condition}" for each in missed or ()]
            data = {**data, **({"unmet": unmet} if unmet else {})}
        while intake.paused is not None:  # last, so that nothing is awaited between here and the plan
            await intake.paused.wait()
        at = self._runtime.now_ms()
        request, event = own_event(telling.kind, telling.subject, data, at)
        besides = telling.subject if telling.kind in NOT_TO_ITSELF else ""
        await intake.take(intake.blueprint.own_source, request, (event,), ((), ()), besides)


def audience(routes: Iterable[Route]) -> str:
    """Name whom own events are told to, equal for equal routes; empty if nobody listens."""
    told = sorted((route.targets, route.events.globs) for route in routes if route.source == OWN_SOURCE)
    return blake2b(orjson.dumps(told), digest_size=16).hexdigest() if told else ""


def own_event(kind: str, subject: str, data: Mapping[str, Any], at: int) -> tuple[Request, Event]:
    """Make an event of the source `hookgate`, with the request that it would have come by; `at` in ms since 1970."""
    body = orjson.dumps({"type": kind, "subject": subject, "at": at, "data": data}, default=str)
    headers = ((b"content-type", b"application/json"),)
    request = Request("POST", "", "", headers, body, "", at)
    digest = blake2b(body, digest_size=16).digest()
    return request, Event(OWN_SOURCE, "", kind, "1", None, at, None, digest, orjson.loads(body), None)
