"""P9: whatever is done to a store in whatever order, whose turn it is follows one simple rule, in both stores."""

import os
import random
from collections import defaultdict
from functools import partial

import pytest

from gateway.core.model import UNSETTLED
from gateway.store.contract import DeliveryQuery, NewDelivery, Ordering
from gateway.store.memory import open_memory
from gateway.store.memory_tables import MemoryTables
from gateway.store.operator import DeliveryFilter
from gateway.store.sqlite import open_sqlite
from gateway.testing.store_desk import NOTE, SECOND, SETTINGS, Desk, SteppedRuntime, digest, new

SEEDS = int(os.environ.get("HOOKGATE_ORDER_SEEDS", "12"))
STEPS = 150
ORDERINGS = [
    None,
    Ordering("part", "block", "all"),
    Ordering("part", "skip", "all"),
    Ordering("part", "skip", "latest"),
    Ordering("first", "block", "all"),
]


def key_by(rule):
    """What `set_ordering` asks: the whole part, or its first sign; an empty part has no key."""
    return lambda event: digest(chosen(rule, event.part.decode())) if event.part else None


def chosen(rule, part):
    return part if rule == "part" else part[:1]


class Walk:
    """A random walk over one target, with what must be true after each step."""

    def __init__(self, dice, ordering):
        self.dice, self.runtime, self.ordering = dice, SteppedRuntime(), ordering
        self.parts, self.claimed, self.replays = {}, [], 0
        self.desk = None

    async def step(self):
        action = self.dice.choices(
            [self.accept, self.claim, self.record, self.retry, self.cancel, self.replay, self.repeat, self.wait],
            [30, 25, 30, 3, 3, 3, 2, 4],
        )[0]
        await action()
        await self.check()

    async def accept(self):
        parts = [self.dice.choice(["", "a1", "a2", "b1"]) for _ in range(self.dice.choice([1, 1, 3]))]
        events = [self._new(part) for part in parts]
        verdicts = await self.desk.accept(*events)
        for part, event, verdict in zip(parts, events, verdicts, strict=True):
            self.parts[verdict.event_id] = part
            admitted = event.deliveries[0].admitted
            if admitted and not verdict.waiting:
                self.claimed += await self._rows(event_id=verdict.event_id)

    def _new(self, part):
        event = new(f"k{len(self.parts)}-{self.dice.random()}", part=part.encode(), targets=())
        key = digest(chosen(self.ordering.rule, part)) if part and self.ordering else None
        return event._replace(deliveries=(NewDelivery("all", "crm", self.dice.random() < 0.5, key=key),))

    async def claim(self):
        due = {(row.event_id, row.n) for row in await self._rows(state="pending") if self._is_due(row)}
        claims = await self.desk.claim(limit=self.dice.choice([1, 2, 100]))
        found = {(each.delivery.event_id, each.delivery.n) for each in claims}
        assert found <= due, "only what is due is claimed"
        assert bool(found) == bool(due), "what is due can be claimed"
        self.claimed += [each.delivery for each in claims]

    def _is_due(self, row):
        return row.due is not None and row.due <= self.runtime.now_ms()

    async def record(self):
        self.dice.shuffle(self.claimed)
        some = [self.claimed.pop() for _ in range(min(len(self.claimed), self.dice.choice([1, 3])))]
        records = []
        for one in some:
            row = (await self.desk.store.deliveries(DeliveryQuery(event_id=one.event_id)))[one.n]
            state = self.dice.choices(["delivered", "pending", "dead"], [6, 3, 2])[0]
            due = self.runtime.now_ms() + self.dice.choice([0, 5 * SECOND]) if state == "pending" else None
            records.append(self.desk.ended(_as_delivery(one, row), state, "x", due))
        if records:
            assert all(await self.desk.record(*records)), "our claims hold"

    async def retry(self):
        await self.desk.store.operator.retry((await self.desk.select(DeliveryFilter(("dead",))))[-2:], NOTE)

    async def cancel(self):
        await self.desk.store.operator.cancel((await self.desk.select(DeliveryFilter(("pending", "dead"))))[-1:], NOTE)

    async def replay(self):
        if self.parts:
            event_id = self.dice.choice(list(self.parts))
            part = self.parts[event_id]
            key = digest(chosen(self.ordering.rule, part)) if part and self.ordering else None
            self.replays += 1
            await self.desk.replay_one(event_id, [NewDelivery("r", "crm", False, key=key)], f"r{self.replays}")

    async def repeat(self):
        event = new("again", part=b"a1", targets=())
        key = digest(chosen(self.ordering.rule, "a1")) if self.ordering else None
        (verdict,) = await self.desk.accept(event._replace(deliveries=(NewDelivery("all", "crm", False, key=key),)))
        self.parts[verdict.event_id] = "a1"

    async def wait(self):
        self.runtime.advance(SECOND * self.dice.choice([1, 10]))

    async def _rows(self, **query):
        return await self.desk.store.deliveries(DeliveryQuery(target="crm", limit=1000, **query))

    async def check(self):
        rows = sorted(await self._rows(), key=lambda row: (row.event_id, row.n))
        lines = defaultdict(list)
        for row in rows:
            part = self.parts.get(row.event_id)
            key = chosen(self.ordering.rule, part) if self.ordering and part else None
            if key is None:
                assert row.state != "pending" or row.due is not None, "what has no key never waits its turn"
            elif row.state in UNSETTLED or row.state == "dead":
                lines[key].append(row)
        for line in lines.values():
            self._check_line(line)
        waiting = [row for row in rows if row.state == "pending" and row.due is None]
        backlog = self.desk.store.backlog("crm")
        states = [row.state for row in rows]
        found = (states.count("pending"), states.count("in_flight"), states.count("dead"), len(waiting))
        assert (*backlog[:3], backlog.waiting) == found
        assert all(row.behind for row in waiting), "whoever waits, waits for something"

    def _check_line(self, line):
        pending = [row for row in line if row.state == "pending"]
        head = None
        if not any(row.state == "in_flight" for row in line):
            blocks = self.ordering.on_dead == "block"
            head = next((row for row in line if row.state == "pending" or (blocks and row.state == "dead")), None)
        has_turn = [row for row in pending if row.due is not None]
        assert has_turn == ([head] if head and head.state == "pending" else []), "the oldest alone has its turn"
        if self.ordering.keep == "latest":
            assert len({row.event_id for row in pending}) <= 1, "of what waits the newest is left"


def _as_delivery(one, row):
    return one if hasattr(one, "progress") else _Claimed(row)


class _Claimed:
    """A delivery that was accepted into a reserved slot."""

    def __init__(self, row):
        self.event_id, self.n, self.claims, self.attempts = row.event_id, row.n, row.claims, row.attempts
        self.progress, self.waited, self.target = None, 0, row.target


def sqlite(tmp_path):
    return partial(open_sqlite, tmp_path / "hookgate.db")


def memory(_tmp_path):
    return partial(open_memory, tables=MemoryTables())


@pytest.mark.parametrize("opener", [sqlite, memory])
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_P9_at_any_time_the_oldest_of_each_key_alone_has_its_turn(seed, opener, tmp_path):
    dice = random.Random(seed)
    open_store = opener(tmp_path)
    walk = Walk(dice, dice.choice(ORDERINGS))
    for _ in range(4):
        async with open_store(walk.runtime, SETTINGS) as store:
            walk.desk, walk.claimed = Desk(store, walk.runtime), []
            await store.set_ordering("crm", walk.ordering, key_by(walk.ordering and walk.ordering.rule))
            await walk.check()
            for _ in range(STEPS // 4):
                await walk.step()
        walk.ordering = dice.choice([walk.ordering, *ORDERINGS])
