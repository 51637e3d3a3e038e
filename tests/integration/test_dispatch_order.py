"""P9: an ordered target over hours of trouble, restarts and reloads: of each key one after the other, in order."""

import random

import trio
from dispatch_bench import KEYS, Plans, Script, accept, key_of, opened_store, plan_for, running, wait_until
from virtual_world import Endpoint, world

from gateway.core.model import Delivered, Rejected, Retry, TargetDown
from gateway.core.order import Order, parse_order_by
from gateway.store.contract import DeliveryQuery
from gateway.store.memory_tables import MemoryTables
from harness.turns import Seen, inversions

HOUR = 3600.0
BLOCK = Order(parse_order_by("body.n"), "block", "all")
LATEST = Order(parse_order_by("body.n"), "skip", "latest")
PATIENT = {"first": "30s", "max": "10m", "factor": 2.0, "give_up": "10d", "jitter": 0.5}


def number_of(message):
    return int(message.content[5:-1])


class Moody(Endpoint):
    """A target that answers as its mood is, and remembers what it took."""

    def __init__(self, mood):
        super().__init__()
        self.mood, self.seen = mood, []

    async def deliver(self, message):
        await super().deliver(message)
        outcome, number = self.mood(number_of(message)), number_of(message)
        self.seen.append(Seen(str(number % KEYS), f"{number:08}", isinstance(outcome, Delivered)))
        return outcome


async def test_P9_order_holds_over_six_hours_of_failures_and_a_restart_and_nothing_is_lost(autojump_clock):
    dice, tables = random.Random(5), MemoryTables()
    moods = [
        lambda _: Retry("500"),
        lambda _: TargetDown("refused"),
        lambda _: dice.choice([Delivered(), Retry("503")]),
    ]
    endpoint = Moody(moods[0])
    plan = plan_for(endpoint, retry=PATIENT, order=BLOCK, concurrency=8)
    number = 0
    for mood in (*moods, *moods):
        endpoint.mood = mood
        async with world(plan, tables=tables) as here:
            for _ in range(120):
                number += 1
                await accept(here.store, number, "crm", now=here.runtime.now_ms(), key=key_of(number))
                here.dispatcher.hint("crm")
                await trio.sleep(HOUR / 120)
    endpoint.mood = lambda _: Delivered()
    async with world(plan, tables=tables) as here:
        await here.wait_settled()
        rows = await here.rows()
    assert [row.state for row in rows] == ["delivered"] * 720
    assert inversions(endpoint.seen) == []


async def test_P9_a_key_in_backoff_delays_no_other(autojump_clock):
    endpoint = Moody(lambda number: Retry("422") if number % KEYS == 3 else Delivered())
    async with world(plan_for(endpoint, retry=PATIENT, order=BLOCK)) as here:
        for number in range(70):
            await accept(here.store, number, "crm", now=here.runtime.now_ms(), key=key_of(number))
        here.dispatcher.hint("crm")
        await trio.sleep(20)
        assert here.store.backlog("crm")[:3] == (10, 0, 0)
        assert len(endpoint.seen) == 61, "all others, and one try of the first of this key"
        endpoint.mood = lambda _: Delivered()
        await here.wait_settled()
    assert inversions(endpoint.seen) == []


async def test_P9_a_reload_that_orders_a_target_orders_what_waits_and_one_that_does_not_lets_it_go(tmp_path):
    held, ordered, free = Script(), Script(), Script()
    ordered.answer = lambda message: Rejected("422") if number_of(message) == 8 else Delivered()
    async with opened_store(tmp_path) as store, running(store, plan_for(held)) as (dispatcher, _):
        await dispatcher.hold("crm", "until it is ordered")
        for number in range(14):
            await accept(store, number, "crm")
        await dispatcher.use(Plans(plan_for(ordered, fingerprint="2", order=BLOCK)))
        await dispatcher.open("crm", ["held"])
        await ordered.wait_seen(14)
        await wait_until(lambda: store.backlog("crm")[:3] == (0, 0, 1))
        found = [number_of(message) for message in ordered.seen]
        for key in range(KEYS):
            assert [number for number in found if number % KEYS == key] == [key, key + KEYS]
        await accept(store, 15, "crm", key=key_of(15))
        assert store.backlog("crm").waiting == 1, "a dead one of its key stops it"
        await dispatcher.use(Plans(plan_for(free, fingerprint="3")))
        await free.wait_seen(1)
        assert [number_of(message) for message in free.seen] == [15]


async def test_a_target_that_keeps_the_latest_gets_the_newest_after_the_one_under_way(tmp_path):
    go, script = trio.Event(), Script()

    async def slowly():
        await go.wait()
        return Delivered()

    script.answer = lambda _message: slowly()
    async with opened_store(tmp_path) as store, running(store, plan_for(script, order=LATEST)):
        await accept(store, 0, "crm", key=key_of(0))
        await script.wait_seen(1)
        for number in (1, 2, 3):
            await accept(store, number * KEYS, "crm", key=key_of(0))
        go.set()
        await script.wait_seen(2)
        await wait_until(lambda: not any(store.backlog("crm")[:2]))
        assert [number_of(message) for message in script.seen] == [0, 3 * KEYS]
        cancelled = await store.deliveries(DeliveryQuery(state="cancelled"))
        assert [row.last_reason[:17] for row in cancelled] == ["superseded by evt"] * 2
