"""P21: the real daemon under all that it meets in a life takes no more descriptors, threads and tasks than before.

`HOOKGATE_SOAK_MINUTES` adds a run of so many minutes that looks at the slope of the memory, too: 120 for a release.
"""

import logging
import os

import pytest
import trio

from harness.five import until
from harness.soak import left_behind, report, soak, soaking, stand_still, under_load
from harness.soak_world import EVERYWHERE
from harness.turns import inversions
from harness.vitals import exceeded, look, rest, wait_back

MINUTES = float(os.environ.get("HOOKGATE_SOAK_MINUTES", "0"))
RATE = 25
SECONDS = 6.0
"""Of load, twice: what is opened once and kept is open after the first."""
HURRY = 40.0


@pytest.fixture(autouse=True)
def quiet():
    """The mail server warns of itself at each login."""
    log = logging.getLogger("mail.log")
    level = log.level
    log.setLevel(logging.ERROR)
    yield
    log.setLevel(level)


async def long_enough(load):
    """Go on for a while, and until everything was done at least once."""
    await trio.sleep(SECONDS)
    with trio.fail_after(60):
        while not all(load.did.values()):
            await trio.sleep(0.1)


@pytest.mark.timeout(180)
async def test_P21_under_everything_at_once_nothing_is_lost_and_nothing_is_left_behind(home, tell):
    async with soaking(home, bugs=("eager",)) as (world, daemon):  # the store opens all that it opens in the end
        async with under_load(world, daemon, rate=RATE, hurry=HURRY) as load:
            await long_enough(load)
        await stand_still(world, daemon)
        before = await rest(daemon)
        async with under_load(world, daemon, rate=RATE, hurry=HURRY) as load:
            await long_enough(load)
            loaded = await look(daemon)
        left = await left_behind(world, daemon, before)
        outcomes = [len(daemon.logged(event)) for event in ("config.reloaded", "config.refused")]
        assert await daemon.stop() == 0
    accounts = world.accounts()
    told = [str(load.did), f"before {before}", f"loaded {loaded}", *(f"{name}: {accounts[name]}" for name in accounts)]
    tell("\n  ".join(told))
    assert left == []
    assert exceeded(before, loaded), "the load asked for nothing that could be left behind"
    assert all(account.holds for account in accounts.values())
    assert all(accounts[name].delivered == len(world.orders.acknowledged) for name in EVERYWHERE)
    assert inversions(seen for seen, _ in world.ordered.arrivals) == []
    assert all(outcomes), outcomes


@pytest.mark.timeout(120)
async def test_a_daemon_that_leaves_a_descriptor_and_a_task_behind_for_each_refusal_is_found_out(home):
    async with soaking(home, bugs=("eager", "leaky")) as (world, daemon):
        await stand_still(world, daemon)
        before = await rest(daemon)
        async with under_load(world, daemon, rate=60, hurry=HURRY) as load:
            await until(lambda: load.did["refused"] >= 4, 30)
        await stand_still(world, daemon)
        left = " ".join(await wait_back(daemon, before, 4))
    assert "descriptors" in left
    assert "tasks" in left


@pytest.mark.skipif(not MINUTES, reason="takes as long as HOOKGATE_SOAK_MINUTES says")
@pytest.mark.timeout(600 + 60 * MINUTES)
async def test_P20_P21_a_long_soak_loses_nothing_and_nothing_grows(tell):
    lines, wrong = report(*await soak(MINUTES, RATE, 1.0))
    tell("\n".join(lines))
    assert wrong == []
