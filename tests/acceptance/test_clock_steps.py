"""P27: the wall clock of the real daemon steps, to 1970 too, and the machine sleeps; with kills in between.

`HOOKGATE_CLOCK_STEPS` sets how many steps (16 in CI: each kind and back, the rest drawn), `HOOKGATE_CLOCK_SEED` repeats
a run's choices.
"""

import json
import os
import random
from collections import Counter

import pytest
import trio

from harness.clock_steps import STEPS, Clocks, library
from harness.daemon import running
from harness.lives import count_events, reserved_port
from harness.seeds import seed_of
from harness.senders import Client, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.short_writes import is_possible
from harness.sink import FINE, Fault, open_sink
from harness.tq import Ledger

COUNT = int(os.environ.get("HOOKGATE_CLOCK_STEPS", "16"))
SEED = seed_of("CLOCK")
DELAY_SECONDS = 60.0
ROUNDS_MAX = 4
"""All steps are made again if too few of them were minded."""
EACH = 10
"""Events between two steps."""
RIGHT, SUSPEND = "right", "8 h of sleep"


class World:
    """One daemon over its lives, and what went in and came out."""

    def __init__(self, home, sink, port, dice, environ):
        self.home, self.sink, self.port, self.dice, self.environ = home, sink, port, dice, environ
        self.ledger = Ledger()
        self.recent = []
        self.numbers = iter(range(10**9))
        self.slowest = 0.0

    def delivered(self):
        return {json.loads(arrival.body)["data"]["order_id"] for arrival in self.sink.taken}

    async def send(self, count):
        """Send new events, and repeat some of the last ones: those must be answered like the first time."""
        with Client(self.port) as client:
            for _ in range(count):
                request = truework(f"o-{next(self.numbers)}", ORDERS_TOKEN)
                await client.insist(request, self.ledger)
                self.recent = [*self.recent[-100:], request]
            for request in self.dice.sample(self.recent, min(5, len(self.recent))):
                assert (await client.send(request)).status == 200

    async def settle(self):
        """Wait until all that was acknowledged has arrived, as it must within a minute whatever the clock says."""
        began = trio.current_time()
        with trio.fail_after(DELAY_SECONDS):
            while not self.ledger.acknowledged <= self.delivered():
                await trio.sleep(0.02)
        self.slowest = max(self.slowest, trio.current_time() - began)


def draw(dice):
    """Each step once and back, then any of them."""
    steps = [each for step in STEPS for each in (step, RIGHT)] + [SUSPEND]
    drawn = [dice.choice([*STEPS, RIGHT, SUSPEND]) for _ in range(COUNT)]
    return (steps + drawn)[:COUNT]


def minded(home):
    """How many steps a daemon has minded: some are taken back, or the daemon killed, before it looked."""
    told = Counter(json.loads(line)["event"] for line in home.stderr.read_text().splitlines())
    return told["clock.stepped_back"] + told["clock.stepped_forward"]


@pytest.mark.skipif(not is_possible(), reason="no gcc or no glibc: nothing can be put before libc")
@pytest.mark.timeout(180 + 8 * ROUNDS_MAX * COUNT)
async def test_K1_P27_whatever_the_clock_does_nothing_is_lost_forwarded_twice_or_delayed_by_a_minute(
    home, tmp_path, tell
):
    dice, clocks, began = random.Random(SEED), Clocks(home.folder), trio.current_time()
    steps = kills = 0
    with reserved_port() as port:
        async with open_sink() as sink:
            sink.choose = lambda _: Fault(503) if dice.random() < 0.2 else FINE
            options = 'retry = { first = "1s", max = "2s", give_up = "1h" }'
            Settings(home, crm=sink.url, crm_options=options, port=port, file=False).write()
            world = World(home, sink, port, dice, clocks.environ(library(tmp_path)))
            for _ in range(ROUNDS_MAX):
                left = draw(dice)
                steps += len(left)
                while left:
                    async with running(home, world.environ) as daemon:
                        await world.send(EACH)
                        while left:
                            step = left.pop(0)
                            clocks.suspend() if step == SUSPEND else clocks.put(STEPS.get(step, 0))
                            await world.send(EACH)
                            if dice.random() < 0.2:
                                break
                            await world.settle()
                        kills += 1
                        await daemon.kill()
                if minded(home) > COUNT // 4:
                    break
            clocks.put(0)
            async with running(home, world.environ) as daemon:
                await world.send(EACH)
                await world.settle()
                await daemon.wait_settled(DELAY_SECONDS)
                events = await count_events(daemon)
                assert await daemon.stop() == 0
            orders = [(json.loads(arrival.body)["data"]["order_id"], arrival.webhook_id) for arrival in sink.taken]
    account = world.ledger.account(order for order, _ in orders)
    tell(
        f"{steps} steps of the clock (seed {SEED}), {minded(home)} minded by a daemon that ran, {kills} kills, "
        f"{trio.current_time() - began:.0f} s; all had arrived within {world.slowest:.1f} s; {account}"
    )
    assert account.holds, account
    assert events == account.delivered, "a repeat became an event of its own"
    assert not [order for order, ids in Counter(order for order, _ in set(orders)).items() if ids > 1]
    assert minded(home) > COUNT // 4, "the daemon's clock did not step"
    assert account.duplicated <= 100 * kills, "only what a kill interrupted may be sent again"
