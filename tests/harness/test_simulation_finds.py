"""The simulation must find bugs, and find them again: a seed that fails fails equally each time."""

import os

import pytest
import trio

from harness.simulation.clock import VirtualTime
from harness.simulation.planted import BUGS, planted
from harness.simulation.run import simulate

WITHIN = 25
"""Seeds in which a planted bug must be found."""
AGAIN = int(os.environ.get("HOOKGATE_SIM_AGAIN", "5"))
"""Failing seeds that are run twice."""


def first_failure(bug):
    for seed in range(1, WITHIN + 1):
        with planted(bug):
            found = simulate(seed)
        if found.failures:
            return found
    return None


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found_and_told_in_a_way_that_can_be_followed(bug):
    found = first_failure(bug)
    assert found is not None, f"a daemon that {bug} passes for a sound one"
    told = str(found).splitlines()
    assert any("***" in line for line in told), "the moment at which it showed"
    assert f"python -m harness.simulation {found.seed} " in told[-1]


@pytest.mark.timeout(0)
def test_seeds_that_fail_fail_equally_again(tell):
    again = 0
    for seed in range(1, 10 * AGAIN):
        with planted("gives the next of a key its turn too early"):
            found = simulate(seed)
            if found.failures:
                again += 1
                assert simulate(seed) == found
        if again == AGAIN:
            break
    assert again == AGAIN
    tell(f"{AGAIN} of {AGAIN} failing seeds of a planted bug fail equally again")


def test_the_scheduler_of_trio_can_be_seeded():
    """What the simulation rests on is no public part of trio: a new version may have moved it."""
    run = trio._core._run
    assert run._ALLOW_DETERMINISTIC_SCHEDULING in {True, False}
    assert run._r.getstate()
    assert hasattr(trio.testing.MockClock, "_autojump")
    assert {"clock_autojump_threshold", "deadlines", "instruments"} <= set(run.Runner.__annotations__)


@pytest.mark.parametrize(("leap_to", "expected"), [(0, [0, 1, 2, 3]), (2.5, [0, 2.5, 2.5, 3])])
def test_a_sleep_ends_at_its_moment_or_after_a_leap_and_at_once_if_it_is_cancelled(leap_to, expected):
    virtual, ended = VirtualTime(lambda: leap_to), []

    async def sleep(seconds):
        await virtual.sleep(seconds)
        ended.append(trio.current_time())

    async def main():
        async with trio.open_nursery() as nursery:
            for seconds in (3, 0, 1):
                nursery.start_soon(sleep, seconds)
            with trio.move_on_after(2):
                await virtual.sleep(50)
            ended.append(trio.current_time())
        assert trio.current_time() == 3, "nobody wakes for a sleep that was cut off"

    trio.run(main, clock=virtual.mock)
    assert ended == expected
