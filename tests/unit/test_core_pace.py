"""The pace of one target: a token bucket for its rate, and a slow start after it was down."""

import math
from bisect import bisect_left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.pace import AHEAD_SECONDS, START_PER_SECOND, STEP_SECONDS, STEPS, TICK_SECONDS, Pace, Rate


def run(pace, seconds, *, start=100.0, succeeded=True, wanted=1000, looks=500):
    """Try as often as the pace allows, each try over at once; give the moments of the tries."""
    tries = []
    for look in range(round(seconds * looks)):
        now = start + look / looks
        count = int(min(pace.ready(now), pace.at_once(), wanted))
        pace.begin(count)
        pace.end(count, succeeded, now)
        tries += [now] * count
    return tries


def busiest_second(tries):
    return max(bisect_left(tries, one + 1) - place for place, one in enumerate(tries))


def test_a_target_without_limits_is_held_back_by_nothing():
    pace = Pace(None)
    assert pace.is_free
    assert (pace.ready(0), pace.at_once(), pace.ahead(0)) == (math.inf, math.inf, math.inf)


@pytest.mark.parametrize(("rate", "burst"), [(50, 5), (50, 1), (2, 1), (0.5, 1), (1000, 100), (7.5, 20)])
def test_no_second_sees_more_tries_than_rate_and_burst_and_the_rate_is_used_up(rate, burst):
    tries = run(Pace(Rate(rate, burst)), 10, wanted=3)
    slack = rate * TICK_SECONDS * 2  # what comes in between two looks
    assert busiest_second(tries) <= math.ceil(rate) + max(burst, slack)
    assert len(tries) >= int(rate * 10) - 1


def test_a_pause_saves_up_one_burst_and_no_more():
    pace = Pace(Rate(10, 4))
    pace.begin(int(pace.ready(0)))
    assert pace.ready(0.05) == 0
    assert pace.ready(3600) == 4


@pytest.mark.parametrize("rate", [0.01, 0.5, 3, 50, 100_000])
def test_whoever_waits_as_long_as_told_may_begin_one_and_never_looks_too_often(rate):
    pace, now = Pace(Rate(rate, 1)), 0.0
    for _ in range(100):
        pace.begin(int(pace.ready(now)))
        wait = pace.wait(now)
        assert wait >= TICK_SECONDS
        now += wait
        assert pace.ready(now) >= 1


def test_the_figures_are_those_that_the_documentation_gives():
    assert (STEPS, STEP_SECONDS, START_PER_SECOND, TICK_SECONDS, AHEAD_SECONDS) == (10, 2.0, 10.0, 0.02, 2.0)


def test_a_wait_is_for_what_lacks_of_one_try():
    pace = Pace(Rate(2, 1))
    pace.begin(int(pace.ready(0)))
    assert pace.wait(0) == 0.5
    assert pace.wait(0.25) == 0.25
    assert pace.wait(0.499) == TICK_SECONDS
    assert (pace.ready(0.499), pace.ready(0.5)) == (0, 1)


def test_a_new_slow_start_saves_up_nothing_of_before():
    pace = Pace(Rate(100, 50))
    assert pace.ready(100.0) == 50
    pace.start_slowly(100.0)
    assert (pace.ready(100.0), pace.at_once(), pace.is_starting) == (1, 1, True)
    pace.begin(1)
    assert pace.ready(100.05) == 0
    assert pace.ready(100.1) == 1, "ten a second"


def test_failures_a_fifth_of_a_second_apart_are_two_steps_back():
    pace = Pace(None)
    pace.start_slowly(100.0)
    run(pace, 3 * STEP_SECONDS + 0.1)
    for now, left in ((107.0, 4), (107.19, 4), (107.2, 2), (107.39, 2), (107.4, 1), (108.0, 1)):
        pace.end(1, succeeded=False, now=now)
        assert pace.at_once() == left


def test_a_failure_exactly_a_fifth_of_a_second_after_a_step_is_another_step_back():
    pace = Pace(None)
    pace.begin(16)
    pace.throttle(0.0)
    pace.end(1, succeeded=False, now=0.2)
    assert pace.at_once() == 4


def test_what_ran_before_a_slow_start_is_not_of_it():
    pace = Pace(None)
    pace.begin(1)
    pace.start_slowly(100.0)
    pace.ready(104.0)
    assert pace.at_once() == 4, "nobody asked for anything since"


def test_an_end_too_many_leaves_nothing_running():
    pace = Pace(None)
    pace.end(5, succeeded=True, now=0.0)
    pace.begin(8)
    pace.throttle(100.0)
    assert pace.at_once() == 4


def test_a_fast_target_saves_up_what_comes_in_between_two_looks():
    pace = Pace(Rate(1000, 1))
    pace.begin(int(pace.ready(0)))
    assert pace.ready(3600) == 40


def test_a_step_takes_two_seconds_and_needs_a_success_since_it_began():
    pace = Pace(None)
    pace.start_slowly(100.0)
    pace.begin(1)
    pace.end(1, succeeded=True, now=100.5)
    for now, at_once in ((101.9, 1), (102.0, 2), (103.9, 2)):
        pace.ready(now)
        assert pace.at_once() == at_once
    pace.begin(1)
    pace.ready(110.0)
    assert pace.at_once() == 2, "the success of the step before does not count again"
    pace.end(1, succeeded=True, now=110.0)
    pace.ready(110.0)
    assert pace.at_once() == 4


def test_what_nobody_asks_for_goes_up_as_many_steps_as_were_over():
    pace = Pace(None)
    pace.start_slowly(100.0)
    pace.ready(105.9)
    assert pace.at_once() == 4


@pytest.mark.parametrize(("running", "at_once"), [(0, 1), (1, 1), (2, 1), (3, 1), (4, 2), (8, 4), (600, 256)])
def test_a_target_that_has_too_much_to_do_is_given_half_of_what_ran_and_nothing_at_once(running, at_once):
    pace = Pace(None)
    pace.begin(running)
    pace.throttle(100.0)
    assert (pace.at_once(), pace.ready(100.0)) == (at_once, 0)


def test_a_target_with_a_written_rate_is_not_free_and_what_it_may_hold_grows_with_its_pace():
    pace = Pace(Rate(50, 5))
    assert not pace.is_free
    pace.start_slowly(100.0)
    assert pace.ahead(100.0) == 20
    assert pace.ahead(102.0) == 40


def test_what_is_held_in_memory_is_what_may_begin_within_seconds():
    assert Pace(Rate(50, 5)).ahead(0) == 100
    assert Pace(Rate(0.01, 1)).ahead(0) == 1


def test_P11_a_slow_start_begins_with_one_at_a_time_and_ten_a_second():
    pace = Pace(None)
    pace.start_slowly(100.0)
    assert (pace.at_once(), pace.ready(100.0)) == (1, 1)
    assert len(run(pace, STEP_SECONDS)) <= START_PER_SECOND * STEP_SECONDS + 1


def test_P11_each_step_doubles_both_until_only_the_limits_of_the_target_hold():
    pace = Pace(None)
    pace.start_slowly(100.0)
    tries, seen = run(pace, STEPS * STEP_SECONDS + 0.5), []
    for step in range(STEPS - 4):  # later steps allow more than this test asks for
        begin = 100 + step * STEP_SECONDS
        seen.append(sum(1 for at in tries if begin <= at < begin + STEP_SECONDS))
    for step, count in enumerate(seen):
        assert count == pytest.approx(START_PER_SECOND * STEP_SECONDS * 2**step, rel=0.2)
    assert not pace.is_starting
    assert pace.is_free


def test_P11_failures_go_back_a_step_and_nothing_grows_without_a_success():
    pace = Pace(None)
    pace.start_slowly(100.0)
    run(pace, 3 * STEP_SECONDS + 0.1)
    before = pace.at_once()
    assert before == 8
    pace.end(1, succeeded=False, now=107.0)
    assert pace.at_once() == before / 2
    run(pace, 60, start=107.0, succeeded=False)
    assert pace.at_once() == 1


def test_failures_of_what_ran_together_are_one_step_back():
    pace = Pace(None)
    pace.start_slowly(100.0)
    run(pace, 3 * STEP_SECONDS + 0.5)
    for _ in range(8):
        pace.end(1, succeeded=False, now=107.0)
    assert pace.at_once() == 4


def test_a_target_with_too_much_to_do_goes_on_with_half_of_it_and_grows_again():
    pace = Pace(None)
    pace.begin(16)
    pace.throttle(100.0)
    assert pace.at_once() == 8
    pace.throttle(100.05)
    assert pace.at_once() == 8, "it was under way at the same time"
    pace.throttle(101.0)
    assert pace.at_once() == 4
    pace.end(16, succeeded=True, now=102.0)
    run(pace, 3 * STEP_SECONDS, start=102.0)
    assert pace.at_once() >= 16


def test_a_slow_start_waits_for_a_try_that_hangs():
    pace = Pace(None)
    pace.start_slowly(100.0)
    pace.begin(1)
    for later in range(1, 300):
        pace.ready(100.0 + later)
    assert pace.at_once() == 1
    pace.end(1, succeeded=True, now=400.0)
    pace.ready(400.0)
    assert pace.at_once() == 2


def test_trouble_of_our_own_says_nothing_of_the_target():
    pace = Pace(None)
    pace.start_slowly(100.0)
    pace.begin(1)
    pace.end(1, succeeded=None, now=110.0)
    pace.ready(110.0)
    assert pace.at_once() == 1


def test_a_target_that_nobody_needs_meanwhile_is_not_slow_for_ever():
    pace = Pace(None)
    pace.start_slowly(100.0)
    assert pace.ready(100.0 + STEPS * STEP_SECONDS) == math.inf


def test_a_slow_start_that_ends_while_nobody_looks_leaves_no_limit_behind():
    pace = Pace(None)
    pace.start_slowly(100.0)
    assert pace.ahead(100.0 + STEPS * STEP_SECONDS) == math.inf


def test_a_slow_start_never_exceeds_the_written_rate():
    pace = Pace(Rate(30, 3))
    pace.start_slowly(100.0)
    tries = run(pace, 40)
    assert busiest_second(tries) <= 34
    assert not pace.is_starting
    assert not pace.is_free


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 30), st.sampled_from(["begin", "ok", "bad", "none", "again"])), max_size=60))
def test_a_pace_never_gives_more_than_it_has_and_always_gives_again(steps):
    pace, now, running = Pace(Rate(20, 2)), 1000.0, 0
    pace.start_slowly(now)
    for later, step in steps:
        now += later
        ready = pace.ready(now)
        assert 0 <= ready <= 2
        if step == "begin" and ready:
            pace.begin(1)
            running += 1
        elif step == "again":
            pace.start_slowly(now)
            running = 0
        elif running:
            pace.end(1, {"ok": True, "bad": False}.get(step), now)
            running -= 1
    assert pace.ready(now + max(pace.wait(now), 1.0)) >= 1
