"""Retry policies: their schedules, their bounds, and what a configuration may say."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.problems import ProblemsError
from gateway.core.retry import DEFAULT_POLICY, NAMED_POLICIES, RETRY_AFTER_MAX, Policy, parse_policy

DAY = 86_400.0
JITTERS = st.floats(0, 1, exclude_max=True)


def schedule(policy, jitter=0.0, took=0.0, retry_after=None):
    """Ages at which a delivery is tried that fails each time."""
    ages = [0.0]
    while (delay := policy.next_delay(len(ages), ages[-1] + took, jitter, retry_after)) is not None:
        ages.append(ages[-1] + took + delay)
    return ages


def waits(policy):
    ages = schedule(policy)
    return [after - before for before, after in pairwise(ages)]


def test_truora_retries_five_times_as_its_page_says():
    assert waits(NAMED_POLICIES["truora"]) == [30, 120, 480, 1920, 7680]


@settings(deadline=None)
@given(JITTERS, st.floats(0, 60))
def test_truework_spans_48_hours_whatever_the_jitter(jitter, took):
    last = schedule(NAMED_POLICIES["truework"], jitter, took)[-1]
    assert 2 * DAY - took <= last <= 2 * DAY + 3600, "the last try ends after the span, or begins after it"


@settings(deadline=None)
@given(JITTERS, st.floats(0, 60))
def test_P11_the_default_policy_spans_three_days_whatever_the_jitter(jitter, took):
    ages = schedule(DEFAULT_POLICY, jitter, took)
    assert 3 * DAY - took <= ages[-1] <= 3 * DAY + 3600
    assert len(ages) <= DEFAULT_POLICY.attempts_max


DELAYS = st.lists(st.floats(0, 3600), min_size=1, max_size=8)
POLICIES = st.builds(
    Policy,
    delays=DELAYS.map(tuple),
    then=st.none() | st.floats(1, 3600),
    give_up=st.floats(1, 7 * 3600),
    jitter=st.floats(0, 1),
    attempts=st.none() | st.integers(1, 50),
)


@settings(deadline=None)
@given(POLICIES, JITTERS)
def test_every_schedule_ends_and_within_its_limits(policy, jitter):
    ages = schedule(policy, jitter)
    assert len(ages) <= policy.attempts_max
    assert policy.attempts is None or len(ages) <= policy.attempts
    assert ages[-1] <= policy.give_up + 1


@settings(deadline=None)
@given(POLICIES, JITTERS)
def test_P11_jitter_only_makes_a_wait_longer_and_by_no_more_than_its_part(policy, jitter):
    base = policy.delays[0]
    wait = policy.next_delay(1, 0, jitter)
    if wait is not None and base * 2 < policy.give_up:
        assert base <= wait <= base * (1 + policy.jitter)


@settings(deadline=None)
@given(POLICIES, JITTERS, st.integers(1, 60), st.floats(-10, 10**6), st.floats(0, 10**7))
def test_P11_retry_after_is_honoured_and_counts_for_a_day_at_most(policy, jitter, attempts, age, asked):
    plain = policy.next_delay(attempts, age, jitter)
    wait = policy.next_delay(attempts, age, jitter, asked)
    if plain is None:
        assert wait is None
    else:
        assert wait == max(plain, min(asked, RETRY_AFTER_MAX))


@pytest.mark.parametrize("asked", [None, 0.0, -5.0, float("nan")])
def test_a_retry_after_that_asks_for_nothing_changes_nothing(asked):
    assert DEFAULT_POLICY.next_delay(1, 0, 0.5, asked) == DEFAULT_POLICY.next_delay(1, 0, 0.5)


def test_the_same_draw_gives_the_same_wait_and_another_draw_another():
    assert DEFAULT_POLICY.next_delay(3, 0, 0.25) == DEFAULT_POLICY.next_delay(3, 0, 0.25)
    assert DEFAULT_POLICY.next_delay(3, 0, 0.25) < DEFAULT_POLICY.next_delay(3, 0, 0.75)


def test_the_last_try_comes_at_the_age_of_giving_up():
    assert schedule(Policy((60,), then=60, give_up=150)) == [0, 60, 120, 150]


def test_an_old_event_still_gets_the_written_list_once_but_no_more():
    policy = Policy((10, 20, 30), then=60, give_up=3600)
    late = [policy.next_delay(tries, 10 * DAY, 0) for tries in range(1, 6)]
    assert late == [10, 20, 30, None, None]


def test_a_clock_that_steps_cannot_make_many_tries_before_giving_up():
    policy = Policy((60,), then=60, give_up=3600)
    assert policy.next_delay(2, 3599.9999, 0) == 1.0
    assert policy.next_delay(policy.attempts_max, 0, 0) is None


def test_a_growing_policy_is_written_as_the_list_it_means():
    policy = parse_policy({"first": "10s", "factor": 3, "max": "2m", "attempts": 7})
    assert waits(policy) == [10, 30, 90, 120, 120, 120]
    assert waits(parse_policy({"first": "5s", "factor": 1, "attempts": 4})) == [5, 5, 5]
    assert waits(parse_policy({"first": "1s", "attempts": 5})) == [1, 2, 4, 8]


def test_a_listed_policy_is_read_from_text_or_seconds():
    table = {"delays": ["30s", "2m"], "then": "6h", "give_up": "3d", "jitter": 0.1, "attempts": 9}
    expected = Policy((30, 120), then=21_600, give_up=3 * DAY, jitter=0.1, attempts=9)
    assert parse_policy(table) == expected
    seconds = {"delays": (30.0, 120), "then": 21_600.0, "give_up": 3 * DAY, "jitter": 0.1, "attempts": 9}
    assert parse_policy({**seconds, "first": None, "factor": None, "max": None}) == expected


def test_policies_are_known_by_name():
    assert parse_policy("default") is DEFAULT_POLICY
    assert set(NAMED_POLICIES) == {"default", "truora", "truework"}
    with pytest.raises(ProblemsError, match="unknown policy 'trueora'; did you mean 'truora'"):
        parse_policy("trueora")


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({}, "delays: expected a list of 1 to 100 waits"),
        ({"delays": []}, "delays: expected a list"),
        ({"delays": "30s"}, "delays: expected a list"),
        ({"delays": ["1s"] * 101}, "delays: expected a list"),
        ({"delays": ["30"]}, r"delays\[0\]: expected a duration"),
        ({"delays": [True]}, r"delays\[0\]: expected a duration"),
        ({"delays": ["31d"]}, r"delays\[0\]: expected 0ms to 30d, found 31d"),
        ({"delays": [float("nan")]}, r"delays\[0\]: expected 0ms to 30d"),
        ({"delays": ["1s"], "then": "500ms", "give_up": "1d"}, "then: expected 1s to 30d, found 500ms"),
        ({"delays": ["1s"], "then": "1h"}, "expected an end: write give_up or attempts"),
        ({"first": "1s"}, "expected an end"),
        ({"delays": ["1s"], "give_up": "366d"}, "give_up: expected 1s to 365d"),
        ({"delays": ["1s"], "attempts": 0}, "attempts: expected a number from 1"),
        ({"delays": ["1s"], "attempts": 2.5}, "attempts: expected a number"),
        ({"delays": ["1s"], "attempts": True}, "attempts: expected a number"),
        ({"delays": ["1s"], "jitter": 1.5}, "jitter: expected a number from 0 to 1"),
        ({"delays": ["1s"], "jitter": "0.1"}, "jitter: expected a number"),
        ({"delays": ["1s"], "factor": 2}, "factor: has a meaning only with first"),
        ({"first": "1s", "then": "1h", "attempts": 3}, "then: cannot stand beside first"),
        ({"first": "1s", "factor": 0.5, "attempts": 3}, "factor: expected a number from 1 to 100"),
        ({"delays": ["1s"], "giveup": "3d"}, "giveup: unknown key 'giveup'; did you mean 'give_up'?"),
    ],
)
def test_a_bad_policy_is_told_with_its_key(table, told):
    with pytest.raises(ProblemsError, match=told):
        parse_policy(table)
