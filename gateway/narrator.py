"""What happened, told to whom it concerns: all to the counters, trouble to the log and to the gateway's own events.

Runs inside the hot path, so that success costs a few additions and no line of log.
"""

import structlog

from gateway.announce import Announcer
from gateway.blueprint import OWN_SOURCE, TargetPlan
from gateway.core.model import Delivered, Event, HoldReason, event_text
from gateway.dispatch.attempt import Tried
from gateway.metrics import Counters
from gateway.runtime import Runtime
from gateway.store.contract import Gate, Verdict

log = structlog.get_logger()


class Narrator:
    """Keeps the promises of `gateway.intake.Witness` and `gateway.dispatch.runner.Observer`."""

    def __init__(self, counters: Counters, announcer: Announcer, runtime: Runtime) -> None:
        self._counters = counters
        self._announcer = announcer
        self._runtime = runtime

    def judged(self, event: Event, hold: HoldReason | None, verdict: Verdict) -> None:
        """One event was accepted, recognised as a repeat, or held."""
        self._counters.judged(event, hold, verdict)
        if hold is not None or verdict.kind == "conflict":
            self._announcer.judged(event, hold, verdict)

    def tried(self, plan: TargetPlan, tried: Tried) -> None:
        """One try ended; its record is on its way to the store."""
        counts = self._counters.targets[plan.name]
        record = tried.record
        row = record.attempt
        if row is None:
            return
        counts.attempted(row.outcome, row.took_ms / 1000)
        if isinstance(tried.outcome, Delivered):
            counts.settled.add("delivered")
            counts.last_delivered_at = row.started_at + row.took_ms
        else:
            counts.failed(row.reason, row.started_at)
            self._tell_failure(plan, tried)

    def fetched(self, target: str, result: str) -> None:
        """A provider was asked for a resource."""
        self._counters.targets[target].fetches.add(result)

    def expired(self, target: str, count: int) -> None:
        """Deliveries were cancelled because they were of no use any more."""
        self._counters.targets[target].settled.add("cancelled", count)
        log.warning("deliveries.expired", target=target, count=count)

    def gate_closed(self, gate: Gate, *, asked: bool) -> None:
        """A target's gate was closed; one that only asks for time is not down."""
        self._counters.gate_closed(gate.target, gate.kind)
        kind = {"breaker": "target.down", "disabled": "target.disabled"}.get(gate.kind)
        if kind is not None and not asked:
            self._announcer.tell(kind, gate.target, {"target": gate.target, "reason": gate.reason})

    def gate_opened(self, target: str, reason: str) -> None:
        """A target that was down has answered, or an operator enabled it."""
        self._announcer.tell("target.up", target, {"target": target, "reason": reason})

    def _tell_failure(self, plan: TargetPlan, tried: Tried) -> None:
        record, row, event = tried.record, tried.record.attempt, tried.slot.claim.event
        reason = row.reason if row else ""
        outcome = row.outcome if row else ""
        log.info(
            "attempt.failed",
            target=plan.name,
            event_id=event_text(event.id),
            outcome=outcome,
            reason=reason,
            attempt=record.attempts,
            next=record.due,
        )
        if record.state != "dead":
            return
        self._counters.targets[plan.name].settled.add("dead")
        if event.source != OWN_SOURCE:
            found = {"target": plan.name, "source": event.source, "type": event.type}
            self._announcer.tell(
                "delivery.dead", plan.name, {**found, "event_id": event_text(event.id), "reason": reason}
            )
