"""What a memory store holds: plain rows, and how they change. Nothing here waits or keeps time.

It outlives the store that is open on it, as a disk does, so that a simulation can crash a process and start another.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from gateway.core.lifecycle import INTERRUPTED_REASON, expired_reason, interrupted_delay_ms
from gateway.core.model import UNSETTLED, Event, HoldReason
from gateway.store.contract import (
    Acceptance,
    AttemptRow,
    DeliveryQuery,
    Gate,
    GateKind,
    NewDelivery,
    NewEvent,
    Ordering,
    Record,
    Taken,
)
from gateway.store.ids import IdMint
from gateway.store.memory_delivery import MemoryDelivery, can_be_kept
from gateway.store.memory_order import MemoryLines
from gateway.store.operator import OUTDONE_REASON, SAME_MS, AuditRow, Note, Replay, follow_source, replaced_reason
from gateway.store.steps import AFTER_STEP_MS, CLOSED_STEP_MS
from gateway.store.values import REASON_MAX


@dataclass(slots=True)
class MemoryRequest:
    """A raw message; its id is that of its first event."""

    head: bytes
    body: bytes | None
    events: list[int] = field(default_factory=list)


@dataclass(slots=True)
class MemoryEvent:
    """An accepted event."""

    event: Event
    request: int
    accepted_at: int
    hold: HoldReason | None
    replaces: int | None
    part: bytes | None
    deliveries: "list[MemoryDelivery]" = field(default_factory=list)


@dataclass(slots=True)
class MemoryKey:
    """The events that have one de-dup key, by the digest of their payloads; and when it was first seen."""

    at: int
    events: dict[bytes, int]
    spent: set[bytes] = field(default_factory=set)
    """Digests of those whose repeat was found by this key when it was a former one."""


@dataclass(slots=True)
class MemoryTables:
    """Everything that a memory store keeps."""

    epoch: int = 0
    dedup_ms: int = 0
    wall_ms: int = 0
    """The latest time by the wall clock by which something was written."""
    ids: IdMint = field(default_factory=IdMint)
    requests: dict[int, MemoryRequest] = field(default_factory=dict)
    events: dict[int, MemoryEvent] = field(default_factory=dict)
    keys: dict[tuple[str, bytes], MemoryKey] = field(default_factory=dict)
    gates: dict[tuple[str, GateKind], Gate] = field(default_factory=dict)
    notes: dict[str, bytes] = field(default_factory=dict)
    replays: dict[str, Replay] = field(default_factory=dict)
    audit: list[AuditRow] = field(default_factory=list)
    active: dict[str, dict[tuple[int, int], MemoryDelivery]] = field(default_factory=dict)
    """By target: the deliveries that are pending, in flight or dead."""
    lines: MemoryLines = field(default_factory=MemoryLines)

    def add_delivery(
        self, event_id: int, planned: NewDelivery, due: int, epoch: int | None, since: int
    ) -> MemoryDelivery:
        """Add a delivery to a stored event: claimed by `epoch`, due at `due`, or waiting its turn.

        It expires counted from `since`.
        """
        stored = self.events[event_id]
        n = stored.deliveries[-1].n + 1 if stored.deliveries else 0
        okey = None if planned.key is None else (stored.event.source, planned.key)
        delivery = MemoryDelivery(event_id, n, planned.route, planned.target, "pending", due, okey=okey)
        delivery.since = since
        delivery.expires_at = None if planned.expires_ms is None else since + planned.expires_ms
        if self.lines.is_taken(delivery):
            delivery.due = None
        elif epoch is not None:
            delivery.state, delivery.due, delivery.epoch, delivery.claims = "in_flight", None, epoch, 1
        stored.deliveries.append(delivery)
        self.refile(delivery)
        return delivery

    def plan(self, event_id: int, planned: Sequence[NewDelivery], due: int, replay: str | None) -> int:
        """Add deliveries to a stored event, due at `due`; it is held no more."""
        for new in planned:
            if replay is not None and new.key is not None and self.lines.blocks(new.target):
                self._replace(event_id, new.target, due, replay)
            self.add_delivery(event_id, new, due, None, due).replay = replay
        self.events[event_id].hold = None
        return len(planned)

    def _replace(self, event_id: int, target: str, now: int, replay: str) -> None:
        """Cancel dead deliveries that block their keys and are replayed: what takes their place must not wait."""
        for one in self.events[event_id].deliveries:
            if (one.target, one.state) == (target, "dead") and one.okey is not None:
                one.cancel(now, replaced_reason(replay))
                self.refile(one)

    def act_on_repeat(self, event_id: int, acceptance: Acceptance, new: NewEvent, now: int) -> int:
        """See `gateway.store.repeats`; give the number of deliveries that are due again, and new ones."""
        stored, planned = self.events.get(event_id), new.deliveries
        if stored is None:
            return 0
        dead = _to_revive(stored.deliveries)
        for one in dead:
            one.revive(now)
            self.refile(one)
        self._cancel_outdone(stored, now)
        count = len(dead) + (self.plan(event_id, planned, now, None) if planned and stored.hold == "unmatched" else 0)
        if count:
            self._restore(stored, acceptance, new.event.part)
        return count

    def _cancel_outdone(self, stored: MemoryEvent, now: int) -> None:
        """Cancel what is dead and blocks its key, where a newer delivery to the same target is on its way."""
        newest = {one.target: one.n for one in stored.deliveries if one.state in ("pending", "in_flight")}
        for one in stored.deliveries:
            outdone = one.state == "dead" and one.okey is not None and one.n < newest.get(one.target, 0)
            if outdone and self.lines.blocks(one.target):
                one.cancel(now, OUTDONE_REASON)
                self.refile(one)

    def _restore(self, stored: MemoryEvent, acceptance: Acceptance, part: bytes | None) -> None:
        """Give an event what retention took: its message, or if that brought others, too, its payload alone."""
        request = self.requests[stored.request]
        if request.head or request.body is not None or stored.part is not None:
            return
        stored.part = part
        if len(request.events) == 1:
            request.head, request.body = acceptance.head, acceptance.body
        elif part is None:
            stored.part = acceptance.body

    def record(self, record: Record, epoch: int, now: int) -> Taken:
        """Write a delivery's next state if the claim of `epoch` on it still holds; None if no store could keep it."""
        one = self.find(record.event_id, record.n)
        if one is None or (one.state, one.epoch, one.claims) != ("in_flight", epoch, record.claims):
            return False
        if record.attempt is not None and not can_be_kept(record.attempt.reason):
            return None
        one.state, one.due, one.epoch = record.state, record.due, None
        one.attempts, one.progress, one.waited = record.attempts, record.progress, record.waited
        one.settled_at = None if record.state in UNSETTLED else now
        if record.attempt is not None:
            one.tries.append(record.attempt._replace(reason=record.attempt.reason[:REASON_MAX]))
        self.refile(one)
        return True

    def refile(self, delivery: MemoryDelivery) -> None:
        """Take notice of a delivery's new state."""
        self.lines.refile(delivery)
        key = delivery.event_id, delivery.n
        if delivery.state in UNSETTLED or delivery.state == "dead":
            self.active.setdefault(delivery.target, {})[key] = delivery
        else:
            self.active.get(delivery.target, {}).pop(key, None)

    def relink(self, now: int) -> None:
        """Whatever was changed: give those a due time whose turn it is."""
        for one in self.lines.relink(now, self.dedup_ms):
            self.active.get(one.target, {}).pop((one.event_id, one.n), None)

    def set_ordering(
        self, target: str, ordering: Ordering | None, key_of: Callable[[int], bytes | None], now: int
    ) -> int:
        """Order a target so from now on; `key_of` an event if the rule is new. Give the number of keys that changed."""
        old = self.lines.orderings.pop(target, None)
        if ordering is not None:
            self.lines.orderings[target] = ordering
        new_rule = (old and old.rule) != (ordering and ordering.rule)
        changed = 0
        for one in self.active.get(target, {}).values():
            if new_rule:
                digest = None if ordering is None else key_of(one.event_id)
                changed += digest is not None or one.okey is not None
                self.lines.remove(one)
                one.okey = None if digest is None else (self.events[one.event_id].event.source, digest)
                if one.state == "pending" and one.okey is None:
                    one.take_turn(now, self.dedup_ms)
            self.lines.refile(one)
        return changed

    def find(self, event_id: int, n: int) -> MemoryDelivery | None:
        """Give one delivery."""
        stored = self.events.get(event_id)
        return next((one for one in stored.deliveries if one.n == n), None) if stored else None

    def newest_first(self, query: DeliveryQuery) -> Iterator[MemoryDelivery]:
        """Give the deliveries that `query` selects, whatever its limit."""
        for event_id in sorted(self.events, reverse=True):
            stored = self.events[event_id]
            if query.source is None or query.source == stored.event.source:
                yield from (one for one in stored.deliveries if one.matches(query))

    def interrupt(self, now: int) -> None:
        """What dead processes had in flight is due again: at once the first time, later each time after."""
        for deliveries in self.active.values():
            for one in deliveries.values():
                if one.state == "in_flight":
                    one.tries.append(AttemptRow(now, 0, "interrupted", INTERRUPTED_REASON))
                    one.interrupted += 1
                    one.to_pending(now + interrupted_delay_ms(one.interrupted))
                    self.lines.refile(one)
        self.relink(now)

    def step_back(self, by_ms: int, now: int) -> int:
        """Move what waits for a time after `now`, for a clock that went back; give the number of deliveries."""
        moved = 0
        for deliveries in self.active.values():
            for one in deliveries.values():
                if one.due is not None and one.due > now:
                    one.due = max(now, one.due - by_ms)
                    moved += 1
        for key, gate in self.gates.items():
            if gate.until is not None and gate.until > now:
                self.gates[key] = gate._replace(until=max(now, gate.until - by_ms))
        self._move_expiry(-by_ms, now, AFTER_STEP_MS)
        self.wall_ms = now
        return moved

    def step_forward(self, by_ms: int, now: int, since_ms: int) -> int:
        """Move what waited when the clock went forward, but for what was written since; give the number."""
        self._move_expiry(by_ms, now, since_ms)
        found = [
            one
            for deliveries in self.active.values()
            for one in deliveries.values()
            if one.due is not None and one.due > now - by_ms and not now - since_ms <= one.due <= now
        ]
        for one in found:
            one.due = (one.due or 0) + by_ms
        return len(found)

    def expire(self, now: int) -> dict[str, int]:
        """Cancel what waits and has expired; give the number by target."""
        told: dict[str, int] = {}
        for one in [one for deliveries in self.active.values() for one in deliveries.values()]:
            if one.state == "pending" and one.expires_at is not None and one.expires_at <= now:
                one.cancel(now, expired_reason(one.expires_at))
                self.refile(one)
                told[one.target] = told.get(one.target, 0) + 1
        return told

    def _move_expiry(self, by_ms: int, now: int, since_ms: int) -> None:
        for one in [one for deliveries in self.active.values() for one in deliveries.values()]:
            fresh = now - since_ms <= one.since <= now
            if one.state != "dead" and one.expires_at is not None and one.expires_at > now - by_ms and not fresh:
                one.expires_at += by_ms

    def catch_up(self, now: int) -> list[str]:
        """At a start: move everything if the clock went back by more than a minute since; give what to tell."""
        by_ms = self.wall_ms - now
        if by_ms <= CLOSED_STEP_MS:
            return []
        self.step_back(by_ms, now)
        return [f"the clock went back by at least {by_ms // 1000} s since the store was last open"]

    def note_done(self, now: int, action: str, note: Note, count: int) -> None:
        """Write down what was done by hand, or add to the last entry if it is of the same."""
        last = self.audit[-1] if self.audit else None
        known = (note.who, action, note.subject[:REASON_MAX], note.reason[:REASON_MAX])
        if last is not None and last.at > now - SAME_MS and last[2:5] + last[6:] == known:
            self.audit[-1] = last._replace(affected=last.affected + count)
        else:
            self.audit.append(AuditRow(last.id + 1 if last else 1, now, *known[:3], count, known[3]))

    def remove_request(self, number: int) -> None:
        """Remove a request with all that came of it."""
        for event_id in self.requests.pop(number).events:
            for one in self.events.pop(event_id).deliveries:
                self.active.get(one.target, {}).pop((event_id, one.n), None)
                self.lines.remove(one)

    def rename_target(self, formerly: str, name: str) -> bool:
        """Let `name` own what `formerly` owned."""
        used = {one.target for stored in self.events.values() for one in stored.deliveries}
        used |= {target for target, _ in self.gates}
        if formerly not in used or name in used:
            return False
        for stored in self.events.values():
            for one in stored.deliveries:
                one.target = name if one.target == formerly else one.target
        moved = {key: gate for key, gate in self.gates.items() if key[0] == formerly}
        for (_, kind), gate in moved.items():
            del self.gates[formerly, kind]
            self.gates[name, kind] = gate._replace(target=name)
        self.active[name] = self.active.pop(formerly, {})
        if (ordering := self.lines.orderings.pop(formerly, None)) is not None:
            self.lines.orderings[name] = ordering
        self.lines.rebuild(one for active in self.active.values() for one in active.values())
        return True

    def rename_source(self, formerly: str, name: str) -> bool:
        """Let `name` own the events and keys of `formerly`."""
        used = {stored.event.source for stored in self.events.values()} | {source for source, _ in self.keys}
        if formerly not in used or name in used:
            return False
        for stored in self.events.values():
            if stored.event.source == formerly:
                stored.event = stored.event._replace(source=name)
                for one in stored.deliveries:
                    one.okey = one.okey and (name, one.okey[1])
        self.lines.rebuild(one for active in self.active.values() for one in active.values())
        self.keys = {(name if source == formerly else source, key): known for (source, key), known in self.keys.items()}
        for replay in self.replays.values():
            if replay.state == "running":
                self.replays[replay.id] = replay._replace(plan=follow_source(replay.plan, formerly, name))
        return True


def _to_revive(deliveries: Sequence[MemoryDelivery]) -> list[MemoryDelivery]:
    """Give what is dead for targets that neither have the event nor will get it; of several for one the newest."""
    had = {one.target for one in deliveries if one.state in UNSETTLED or one.state == "delivered"}
    newest = {one.target: one for one in deliveries if one.state == "dead"}
    return [one for target, one in newest.items() if target not in had]
