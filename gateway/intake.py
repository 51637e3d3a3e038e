"""Verbs 3 to 5, *identify*, *plan* and *accept*, for whatever brings events in: ingress now, pollers and quarantine later, and the
gateway's own events (`gateway.announce`).

Dispatch is known here only as `Admission`: a slot in a target's window is reserved before the commit, so that an event fresh from
`accept` goes on in memory; losing that hand-off costs time, never an event.
"""

from collections.abc import Sequence
from typing import Protocol

from gateway.blueprint import Blueprint, Source
from gateway.core.head import encode_head
from gateway.core.model import Delivery, Event, HoldReason, Request, StoredEvent
from gateway.core.selector import Scope
from gateway.store.contract import Acceptance, Claim, NewDelivery, NewEvent, Store, Verdict


class Admission(Protocol):
    """What intake needs of dispatch; all of it synchronous, none of it waits."""

    def reserve(self, target: str, size: int) -> bool:
        """Reserve a slot of `size` bytes in the target's window; False: the delivery waits in the store."""
        ...

    def release(self, target: str, size: int) -> None:
        """Give a reserved slot back unused."""
        ...

    def hand_over(self, claim: Claim, size: int) -> None:
        """Pass on a delivery that was accepted into a reserved slot."""
        ...

    def hint(self, target: str) -> None:
        """Tell that something waits in the store for the target."""
        ...


class Witness(Protocol):
    """Who is told what became of each event: counters, and the gateway's own events."""

    def judged(self, event: Event, hold: HoldReason | None, verdict: Verdict) -> None:
        """One event was accepted, recognised as a repeat, or held."""
        ...


class Intake:
    """Takes verified events into the store and hands their deliveries on."""

    def __init__(self, store: Store, admission: Admission, witness: Witness, blueprint: Blueprint) -> None:
        self._store = store
        self._admission = admission
        self._witness = witness
        self.blueprint = blueprint

    def use(self, blueprint: Blueprint) -> None:
        """Plan by `blueprint` from now on; requests under way finish with the old one."""
        self.blueprint = blueprint

    async def take(
        self, source: Source, request: Request, events: Sequence[Event], secrets: tuple[tuple[bytes, ...], tuple[str, ...]]
    ) -> tuple[Verdict, ...]:
        """Plan and accept the events of one request; when this returns they are durable, all or none.

        `secrets` names the headers and query parameters that are stored nowhere. Raises StoreError: then nothing was promised.
        """
        size = len(request.body) + 512
        planned = tuple(self._plan(source, request, event, size) for event in events)
        acceptance = Acceptance(encode_head(request, *secrets), request.body, request.received_at, planned)
        try:
            verdicts = await self._store.accept(acceptance)
        except BaseException:
            for new in planned:
                self._give_back(new, size)
            raise
        for new, verdict in zip(planned, verdicts, strict=True):
            if verdict.kind == "new":
                self._hand_over(acceptance, new, verdict.event_id, size)
            else:
                self._give_back(new, size)
            self._witness.judged(new.event, new.hold, verdict)
        return verdicts

    def _plan(self, source: Source, request: Request, event: Event, size: int) -> NewEvent:
        """The verb *plan*: the targets that `event` must reach, each once, or why it has none."""
        if not source.versions.matches(event.version):
            return NewEvent(event, "version", (), source.on_conflict)
        scope = Scope(request, event.body, event.claims, event, source.name)
        planned = self.blueprint.router.plan(event, scope)
        if not planned:
            return NewEvent(event, "ignored" if source.unmatched == "ignore" else "unmatched", (), source.on_conflict)
        reserve = self._admission.reserve
        deliveries = tuple(NewDelivery(route, target, reserve(target, size)) for target, route in planned)
        return NewEvent(event, None, deliveries, source.on_conflict)

    def _hand_over(self, acceptance: Acceptance, new: NewEvent, event_id: int, size: int) -> None:
        event = new.event
        at = acceptance.received_at
        stored = StoredEvent(
            event_id,
            event.source,
            event.credential,
            event.type,
            event.version,
            event.occurred_at,
            at,
            acceptance.head,
            acceptance.body,
            event.part,
        )
        for n, (route, target, admitted) in enumerate(new.deliveries):
            if admitted:
                self._admission.hand_over(Claim(Delivery(event_id, n, target, route, 1, 0, 0, None, at), stored), size)
            else:
                self._admission.hint(target)

    def _give_back(self, new: NewEvent, size: int) -> None:
        for _, target, admitted in new.deliveries:
            if admitted:
                self._admission.release(target, size)
