"""The gateway's own events: a delivery died, a type that nobody routes, a target went down.

They are events of the built-in source `hookgate` and go the way of all events, to `alerts.targets` and to any route
that names the source. Each subject is told at most once in its period, so that a flood of trouble is no flood of
mail, and an own event's trouble makes no own event. The queue is bounded: what does not fit is logged only.
"""

from collections import deque
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

import orjson
import structlog
import trio

from gateway.blueprint import OWN_SOURCE
from gateway.core.model import Event, HoldReason, Request, event_number, event_text
from gateway.errors import StoreError
from gateway.intake import Intake
from gateway.runtime import Runtime
from gateway.store.contract import Verdict

QUEUED_MAX: Final = 1000
SUBJECTS_MAX: Final = 10_000
DAY: Final = 86_400.0
PERIODS: Final = {
    "event.unmatched": DAY,
    "event.version_unseen": DAY,
    "event.conflict": 3600.0,
    "delivery.dead": 600.0,
    "target.down": 600.0,
    "target.up": 0.0,
    "target.disabled": 0.0,
}
"""Each kind of own event, with the seconds in which one subject is told once."""

HELD_AS: Final[Mapping[HoldReason, str]] = {"unmatched": "event.unmatched", "version": "event.version_unseen"}

log = structlog.get_logger()


class Announcer:
    """Queues own events from synchronous code; `run` accepts them one by one."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._queue: deque[tuple[str, str, dict[str, Any]]] = deque()
        self._told: dict[tuple[str, str], float] = {}
        self._wake = trio.Event()

    def judged(self, event: Event, hold: HoldReason | None, verdict: Verdict) -> None:
        """Tell what a verdict leaves for people to do: an event that was held, or a conflict."""
        if verdict.kind == "conflict":
            found = {"source": event.source, "type": event.type, "event_id": event_text(verdict.event_id)}
            self.tell("event.conflict", event.source, found)
        elif verdict.kind == "new" and hold is not None and hold in HELD_AS:
            found = {"source": event.source, "type": event.type, "version": event.version}
            found["event_id"] = event_text(verdict.event_id)
            self.tell(HELD_AS[hold], f"{event.source} {event.type} {event.version}".rstrip(), found)

    def tell(self, kind: str, subject: str, data: dict[str, Any]) -> bool:
        """Log and queue an own event, unless `subject` was told within the period of `kind`; True if it was told."""
        now = self._runtime.monotonic()
        last = self._told.get((kind, subject))
        if data.get("source") == OWN_SOURCE or (last is not None and now - last < PERIODS[kind]):
            return False
        if len(self._told) >= SUBJECTS_MAX:
            self._told.clear()
        self._told[kind, subject] = now
        log.warning(kind, **data)
        if len(self._queue) < QUEUED_MAX:
            self._queue.append((kind, subject, data))
            self._wake.set()
        return True

    async def run(self, intake: Intake) -> None:
        """Accept queued own events until cancelled; those that the store cannot take now stay queued."""
        while True:
            while self._queue:
                kind, subject, data = self._queue[0]
                try:
                    await self._accept(intake, kind, subject, data)
                except StoreError:
                    await trio.sleep(1)
                else:
                    self._queue.popleft()
            self._wake = trio.Event()
            await self._wake.wait()

    async def _accept(self, intake: Intake, kind: str, subject: str, data: dict[str, Any]) -> None:
        while intake.paused is not None:
            await intake.paused.wait()
        if not intake.blueprint.router.listens(OWN_SOURCE):
            return
        if kind == "event.unmatched":
            missed = await intake.misses(event_number(data["event_id"]))
            # Without what was found: that is payload, and this may become a mail.
            data = {
                **data,
                **({"unmet": [f"route {each.route}: {each.condition}" for each in missed]} if missed else {}),
            }
        at = self._runtime.now_ms()
        body = orjson.dumps({"type": kind, "subject": subject, "at": at, "data": data}, default=str)
        headers = ((b"content-type", b"application/json"),)
        request = Request("POST", "", "", headers, body, "", at)
        digest = blake2b(body, digest_size=16).digest()
        event = Event(OWN_SOURCE, "", kind, "1", None, at, None, digest, orjson.loads(body), None)
        await intake.take(intake.blueprint.own_source, request, (event,), ((), ()))
