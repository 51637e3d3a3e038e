"""The verbs *plan* and *accept*, for whatever brings identified events in.

That is ingress, and the gateway's own events (`gateway.announce`).

Dispatch is known here only as `Admission`: a slot in a target's window is reserved before the commit, so that an
event fresh from `accept` goes on in memory; losing that hand-off costs time, never an event.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol, TypeAlias

import trio

from gateway.blueprint import Blueprint, Source
from gateway.core.head import encode_head
from gateway.core.identify import UNKNOWN, named_fields, recall
from gateway.core.model import Delivery, Event, HoldReason, Json, Request, StoredEvent
from gateway.core.routing import Miss
from gateway.core.selector import Scope
from gateway.errors import StoreBusyError
from gateway.store.contract import LATE_SECONDS, Acceptance, Claim, NewDelivery, NewEvent, Store, Verdict

MISSES_MAX: Final = 20
"""More than anybody reads."""


class Lane(Protocol):
    """One target as intake sees it, with a slot reserved in its window."""

    def release(self, size: int, source: str) -> None:
        """Give the reserved slot back unused."""
        ...

    def hand_over(self, claim: Claim, size: int) -> None:
        """Pass on the delivery that was accepted into the reserved slot."""
        ...


class Admission(Protocol):
    """What intake needs of dispatch; all of it synchronous, none of it waits."""

    def reserve(self, target: str, size: int, source: str) -> Lane | None:
        """Reserve a slot of `size` bytes for an event of `source`; None: the delivery waits in the store."""
        ...

    def hint(self, target: str) -> None:
        """Tell that something waits in the store for the target."""
        ...


Lanes: TypeAlias = Sequence[Lane | None]
"""For each planned delivery of an event, the lane that has a slot for it."""


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
        self.use(blueprint)
        self.paused: trio.Event | None = None
        """While it is not None, nobody may begin to `take`: wait for it, then look again."""
        self._under_way = 0
        self._ended = trio.Event()

    def use(self, blueprint: Blueprint) -> None:
        """Plan by `blueprint` from now on; requests under way finish with the old one."""
        self.blueprint = blueprint
        self._expires_ms = {
            name: int(plan.policy.expires * 1000)
            for name, plan in blueprint.targets.items()
            if plan.policy.expires is not None
        }

    @asynccontextmanager
    async def pause(self) -> AsyncIterator[None]:
        """Hold back what comes as long as the block runs; it begins once nothing is between plan and accept.

        For a reload that renames: what was planned for a name must not be accepted once it is another's.
        What a sender no longer waits for may be queued still: the store accepts it before it renames or reorders.
        """
        paused = self.paused = trio.Event()
        try:
            while self._under_way:
                self._ended = trio.Event()
                await self._ended.wait()
            yield
        finally:
            self.paused = None
            paused.set()

    async def resumed(self) -> None:
        """Return once nothing is paused: at once if so, for a sender that must have its answer within seconds.

        Raises StoreBusyError after as long as for a commit: a reload that renames waits for the disk, too.
        """
        if self.paused is None:  # as for nearly all: a deadline for each would cost
            return
        with trio.move_on_after(LATE_SECONDS):
            while self.paused is not None:
                await self.paused.wait()
            return
        raise StoreBusyError(f"no reload ended within {LATE_SECONDS:g} s: the store's disk is slow, or stuck")

    @asynccontextmanager
    async def steady(self) -> AsyncIterator[None]:
        """Plan and write within the block: names do not change owners meanwhile."""
        while self.paused is not None:
            await self.paused.wait()
        self._under_way += 1
        try:
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        self._under_way -= 1
        if not self._under_way:
            self._ended.set()

    async def take(
        self,
        source: Source,
        request: Request,
        events: Sequence[Event],
        secrets: tuple[tuple[bytes, ...], tuple[str, ...]],
        besides: str = "",
    ) -> tuple[Verdict, ...]:
        """Plan and accept the events of one request; when this returns they are durable, all or none.

        `secrets` names the headers and query parameters that are stored nowhere. `besides` names a target that gets
        nothing of it, whatever the routes say. Raises StoreError: then nothing was promised.
        """
        size = len(request.body) + 512
        planned = [self._plan(source, request, event, size, besides) for event in events]
        news = tuple([new for new, _ in planned])
        acceptance = Acceptance(encode_head(request, *secrets), request.body, request.received_at, news)
        self._under_way += 1
        try:
            verdicts = await self._store.accept(acceptance)
        except BaseException:
            for _, lanes in planned:
                _give_back(lanes, size, source.name)
            raise
        finally:
            self._leave()
        for (new, lanes), verdict in zip(planned, verdicts, strict=True):
            if verdict.kind == "new":
                self._hand_over(acceptance, new, lanes, verdict, size)
            else:
                _give_back(lanes, size, source.name)
                self._hint_revived(new, verdict)
            self._witness.judged(new.event, new.hold, verdict)
        return verdicts

    def plan_again(self, stored: StoredEvent, targets: Sequence[str] | None) -> list[NewDelivery]:
        """Plan a stored event for a replay: to `targets`, or by today's routes.

        Claims of a header's JWT are not known any more.
        """
        if targets is not None:
            return [self._waiting("replay", target, stored) for target in targets]
        source = self.blueprint.sources.get(stored.source)
        if source is None:
            return []
        scope = recall(source.identify, stored)
        if not isinstance(scope.event, Event):
            return []
        planned = self.blueprint.router.plan(scope.event, scope)
        return [self._waiting(route, target, stored) for target, route in planned]

    async def misses(self, event_id: int) -> list[Miss]:
        """Tell why today's routes do not take a stored event; empty if none is for its type. Raises StoreError."""
        stored = await self._store.event(event_id)
        source = None if stored is None else self.blueprint.sources.get(stored.source)
        if stored is None or source is None:
            return []
        scope = recall(source.identify, stored)
        return self.blueprint.router.misses(scope.event, scope)[:MISSES_MAX] if isinstance(scope.event, Event) else []

    async def fields(self, event_id: int) -> dict[str, Json]:
        """Give what `event.NAME` stands for in a stored event, by today's configuration. Raises StoreError."""
        stored = await self._store.event(event_id)
        source = None if stored is None else self.blueprint.sources.get(stored.source)
        return {} if stored is None or source is None else named_fields({source.name: source.identify}, stored)

    def _waiting(self, route: str, target: str, stored: StoredEvent) -> NewDelivery:
        return NewDelivery(route, target, False, self._expires_ms.get(target), self.blueprint.order_key(target, stored))

    def _plan(self, source: Source, request: Request, event: Event, size: int, besides: str) -> tuple[NewEvent, Lanes]:
        """The verb *plan*: the targets that `event` must reach, each once, or why it has none."""
        if not source.versions.matches(event.version):
            return NewEvent(event, "version", (), source.on_conflict), ()
        scope = Scope(request, event.body, event.claims, event, source.name)
        planned = self.blueprint.router.plan(event, scope) if event.type != UNKNOWN else ()
        if besides:
            planned = tuple(pair for pair in planned if pair[0] != besides)
        if not planned:
            hold: HoldReason = "ignored" if source.unmatched == "ignore" else "unmatched"
            return NewEvent(event, hold, (), source.on_conflict), ()
        reserve = self._admission.reserve
        lanes: list[Lane | None] = []
        deliveries = []
        for target, route in planned:
            lane = reserve(target, size, source.name)
            lanes.append(lane)
            order = self.blueprint.targets[target].order
            key = order and order.key(scope)
            deliveries.append(NewDelivery(route, target, lane is not None, self._expires_ms.get(target), key))
        return NewEvent(event, None, tuple(deliveries), source.on_conflict), lanes

    def _hand_over(self, acceptance: Acceptance, new: NewEvent, lanes: Lanes, verdict: Verdict, size: int) -> None:
        event_id, waiting = verdict.event_id, verdict.waiting
        stored = _stored(acceptance, new.event, event_id)
        for n, ((route, target, _, expires_ms, _), lane) in enumerate(zip(new.deliveries, lanes, strict=True)):
            if lane is None:
                self._admission.hint(target)
            elif n in waiting:
                lane.release(size, new.event.source)
                self._admission.hint(target)
            else:
                at = acceptance.received_at
                expires_at = None if expires_ms is None else at + expires_ms
                delivery = Delivery(event_id, n, target, route, 1, 0, 0, None, at, 0, expires_at)
                lane.hand_over(Claim(delivery, stored), size)

    def _hint_revived(self, new: NewEvent, verdict: Verdict) -> None:
        if verdict.revived:
            for planned in new.deliveries:
                self._admission.hint(planned.target)


def _give_back(lanes: Lanes, size: int, source: str) -> None:
    for lane in lanes:
        if lane is not None:
            lane.release(size, source)


def _stored(acceptance: Acceptance, event: Event, event_id: int) -> StoredEvent:
    return StoredEvent(
        event_id,
        event.source,
        event.credential,
        event.type,
        event.version,
        event.occurred_at,
        acceptance.received_at,
        acceptance.head,
        acceptance.body,
        event.part,
    )
