"""What the store's conformance checks share: a clock to set, samples, and expectations that say what they claim.

It knows the contract only, no implementation.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from hashlib import blake2b
from typing import Final, Literal, TypeAlias, TypedDict, Unpack

import trio

from gateway.core.model import Delivery, Event, HoldReason, State
from gateway.errors import StoreError
from gateway.runtime import Runtime
from gateway.store.contract import (
    Acceptance,
    AttemptRow,
    Claim,
    Keep,
    NewDelivery,
    NewEvent,
    Record,
    Rename,
    Store,
    Taken,
    Verdict,
)
from gateway.store.operator import Advance, DeliveryFilter, Note, Number, Planned, Position, Replay
from gateway.store.settings import StoreSettings

OpenStore: TypeAlias = Callable[[Runtime, StoreSettings], AbstractAsyncContextManager[Store]]
"""Opens one store, empty at first and the same at each call, as a restarted process would."""

START_MS: Final = 1_800_000_000_000
SECOND: Final = 1000
HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
SETTINGS: Final = StoreSettings(low_water_bytes=0, reserve_bytes=0, dedup_window_ms=16 * HOUR)
PLENTY: Final = 1 << 30
MANY: Final = 300
"""Requests at once: more than a store would put into one commit."""
NOTE: Final = Note("uid 1000", "target=crm", "not wanted")


class SteppedRuntime(Runtime):
    """A runtime whose clocks stand still until they are moved."""

    def __init__(self) -> None:
        super().__init__()
        self._wall = START_MS
        self._monotonic = 1000.0

    def now_ms(self) -> int:
        """Milliseconds since 1970, as set."""
        return self._wall

    def monotonic(self) -> float:
        """Seconds, as set."""
        return self._monotonic

    def advance(self, ms: int) -> None:
        """Let time pass."""
        self._wall += ms
        self._monotonic += ms / 1000

    def step(self, ms: int) -> None:
        """Set the wall clock forward or back while no time passes."""
        self._wall += ms


def expect(found: object, expected: object, claim: str) -> None:
    """Raise AssertionError with the claim unless `found` equals `expected`."""
    if found != expected:
        raise AssertionError(f"{claim}: expected {expected!r}, found {found!r}")


class Sample(TypedDict, total=False):
    """What may be special about a sample event."""

    source: str
    kind: str
    payload: str
    """Stands for the payload: another one under the same key is a conflict."""
    part: bytes | None
    occurred_at: int
    targets: Sequence[str]
    admitted: bool
    hold: HoldReason
    expires_ms: int
    on_conflict: Literal["hold", "accept"]
    order: object
    """What orders it at its targets."""


def digest(value: object) -> bytes:
    """Give 16 bytes that stand for `value`."""
    return blake2b(repr(value).encode(), digest_size=16).digest()


def new(key: object = None, **special: Unpack[Sample]) -> NewEvent:
    """Make a sample event to accept, with one delivery to each of its targets by the route `all`; no key, no de-dup."""
    event = Event(
        special.get("source", "shop"),
        "main",
        special.get("kind", "order.paid"),
        "1",
        None if key is None else digest(key),
        special.get("occurred_at"),
        special.get("part"),
        digest(special.get("payload", "a")),
        None,
        None,
    )
    order = digest(special["order"]) if "order" in special else None
    how = (special.get("admitted", False), special.get("expires_ms"), order)
    deliveries = tuple(NewDelivery("all", target, *how) for target in special.get("targets", ("crm",)))
    return NewEvent(event, special.get("hold"), deliveries, special.get("on_conflict", "hold"))


class Desk:
    """A store under test, with its clock."""

    def __init__(self, store: Store, runtime: Runtime) -> None:
        self.store = store
        self.runtime = runtime

    async def accept(self, *events: NewEvent, body: bytes = b"{}") -> tuple[Verdict, ...]:
        """Accept one request with `events`."""
        now = self.runtime.now_ms()
        return await self.store.accept(Acceptance(b"POST /hooks/shop\n192.0.2.1", body, now, events))

    async def accept_one(self, key: object = None, **special: Unpack[Sample]) -> int:
        """Accept one sample event; give its id."""
        (verdict,) = await self.accept(new(key, **special))
        return verdict.event_id

    @asynccontextmanager
    async def accepting(self, *events: NewEvent) -> AsyncIterator[None]:
        """Run the block while each of `events` was given to the store as a request, durable yet or not; then wait."""
        async with trio.open_nursery() as nursery:
            for event in events:
                nursery.start_soon(self.accept, event)
            for _ in range(2):  # after the second each task has taken its first step
                await trio.lowlevel.checkpoint()
            yield

    async def claim(self, target: str = "crm", limit: int = 100, limit_bytes: int = PLENTY) -> list[Claim]:
        """Claim what is due now."""
        return await self.store.claim(target, limit, limit_bytes, self.runtime.now_ms())

    async def claim_one(self, target: str = "crm") -> Delivery:
        """Claim the one delivery that is due."""
        claims = await self.claim(target)
        expect(len(claims), 1, f"one delivery to {target} is due")
        return claims[0].delivery

    async def record(self, *records: Record) -> list[Taken]:
        """Write records and wait until they are durable. Raises the StoreError that broke the store."""
        done = trio.Event()
        taken: list[Taken] = []
        broken: list[StoreError] = []

        def settled(found: Sequence[Taken]) -> None:
            taken.extend(found)
            done.set()

        async def watch() -> None:
            broken.append(await self.store.wait_broken())
            done.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            self.store.record(records, settled)
            await done.wait()
            nursery.cancel_scope.cancel()
        if broken:
            raise broken[0]
        return taken

    async def settle(self, delivery: Delivery, state: State = "delivered", reason: str = "200") -> Taken:
        """Record that `delivery` ended in `state`."""
        (taken,) = await self.record(self.ended(delivery, state, reason))
        return taken

    def ended(self, delivery: Delivery, state: State, reason: str = "200", due: int | None = None) -> Record:
        """Make the record of one try that cost an attempt; the wait until `due` is one of the policy's."""
        waited = delivery.waited + (0 if due is None else max(due - self.runtime.now_ms(), 0))
        outcome = {"delivered": "delivered", "dead": "rejected"}.get(state, "retry")
        tried = AttemptRow(self.runtime.now_ms(), 12, outcome, reason)
        key = (delivery.event_id, delivery.n, delivery.claims)
        return Record(*key, state, due, delivery.attempts + 1, tried, delivery.progress, delivery.target, waited)

    async def make_dead(self, key: object = None, **special: Unpack[Sample]) -> int:
        """Accept an event whose only delivery is rejected at once; give the event's id."""
        event_id = await self.accept_one(key, **special)
        await self.settle(await self.claim_one(), "dead", "400")
        return event_id

    async def select(self, chosen: DeliveryFilter, limit: int = 100) -> list[Number]:
        """Walk over all that `chosen` selects, in steps of `limit`."""
        found: list[Number] = []
        position: Position | None = Position()
        while position is not None:
            step = await self.store.operator.select_deliveries(chosen, position, limit)
            expect(len(step.found) <= limit, True, "a step keeps to its limit")
            found += step.found
            position = step.position
        return found

    async def retry_dead(self, event_id: int | None = None) -> int:
        """Retry everything that is dead, or what is of one event; give the number."""
        return await self.store.operator.retry(await self.select(DeliveryFilter(("dead",), event_id=event_id)), NOTE)

    async def cancel(self, event_id: int) -> int:
        """Cancel what is pending or dead of one event; give the number."""
        named = await self.select(DeliveryFilter(("pending", "dead"), event_id=event_id))
        return await self.store.operator.cancel(named, NOTE)

    async def replay_one(self, event_id: int, deliveries: Sequence[NewDelivery], replay_id: str) -> int | None:
        """Replay one event by a replay of its own; give the number of deliveries added."""
        await self.store.operator.begin_replay(Replay(replay_id, self.runtime.now_ms(), "uid 0", "{}"))
        step = Advance([Planned(event_id, deliveries)], 0, 0, event_id, done=False)
        return await self.store.operator.advance_replay(replay_id, step)

    async def rename(self, kind: Literal["target", "source"], formerly: str, name: str) -> bool:
        """Rename one target or source; tell whether that was done."""
        return bool(await self.store.rename([Rename(kind, formerly, name)]))

    async def retain_all(self, keep: Keep) -> int:
        """Let retention go on until nothing is left to remove; give the number of rows."""
        total = 0
        while count := await self.store.retain(keep, self.runtime.now_ms()):
            total += count
        return total
