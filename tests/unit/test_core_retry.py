"""Retry policies: their schedules, their bounds, and what a configuration may say."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.match_table import parse_match
from gateway.core.problems import ProblemsError
from gateway.core.retry import DEFAULT_POLICY, NAMED_POLICIES, RETRY_AFTER_MAX, Policy, parse_policy

DAY = 86_400.0
JITTERS = st.floats(0, 1, exclude_max=True)


def schedule(policy, jitter=0.0, retry_after=None):
    """The time waited before each try of a delivery that fails each time."""
    waited = [0.0]
    while (delay := policy.next_delay(len(waited), waited[-1], jitter, retry_after)) is not None:
        waited.append(waited[-1] + delay)
    return waited


def waits(policy):
    ages = schedule(policy)
    return [after - before for before, after in pairwise(ages)]


def test_truora_retries_five_times_as_its_page_says():
    assert waits(NAMED_POLICIES["truora"]) == [30, 120, 480, 1920, 7680]


@settings(deadline=None)
@given(JITTERS)
def test_truework_spans_48_hours_whatever_the_jitter(jitter):
    assert 2 * DAY <= schedule(NAMED_POLICIES["truework"], jitter)[-1] <= 2 * DAY + 1


@settings(deadline=None)
@given(JITTERS)
def test_P11_the_default_policy_spans_three_days_whatever_the_jitter(jitter):
    assert 3 * DAY <= schedule(DEFAULT_POLICY, jitter)[-1] <= 3 * DAY + 1


DELAYS = st.lists(st.floats(0, 3600), min_size=1, max_size=8)
POLICIES = st.builds(
    Policy,
    delays=DELAYS.map(tuple),
    then=st.none() | st.floats(1, 3600),
    give_up=st.floats(1, 7 * 3600),
    jitter=st.floats(0, 1) | st.just("full"),
    attempts=st.none() | st.integers(1, 50),
)


@settings(deadline=None)
@given(POLICIES, JITTERS)
def test_every_schedule_ends_and_within_its_limits(policy, jitter):
    waited = schedule(policy, jitter)
    assert policy.attempts is None or len(waited) <= policy.attempts
    assert waited[-1] <= policy.give_up + 1
    assert len(waited) <= 1 + len(policy.delays) + policy.give_up + 1, "after the list, each wait is a second or more"


@settings(deadline=None)
@given(POLICIES, JITTERS)
def test_P11_a_number_as_jitter_only_makes_a_wait_longer_and_by_no_more_than_its_part(policy, jitter):
    base = policy.delays[0]
    wait = policy.next_delay(1, 0, jitter)
    if wait is not None and base * 2 < policy.give_up and policy.jitter != "full":
        assert base <= wait <= base * (1 + policy.jitter)


@settings(deadline=None)
@given(st.floats(0, 3600), JITTERS)
def test_full_jitter_makes_a_wait_anything_from_a_second_to_its_length(base, jitter):
    wait = Policy((base,), jitter="full").next_delay(1, 0, jitter)
    assert min(base, 1.0) <= wait <= base
    assert wait == max(base * jitter, min(base, 1.0))


@settings(deadline=None)
@given(POLICIES, st.integers(1, 20), st.floats(0, 10**5), JITTERS, JITTERS)
def test_a_wait_grows_with_its_draw_and_shrinks_only_towards_the_end(policy, attempts, waited, one, other):
    low, high = (policy.next_delay(attempts, waited, draw) for draw in sorted((one, other)))
    assert (low is None) == (high is None)
    assert low is None or low <= high
    earlier = policy.next_delay(attempts, waited / 2, one)
    later = policy.next_delay(attempts, waited, one)
    assert later is None or (earlier is not None and later <= earlier), "what has waited longer never waits longer"


@settings(deadline=None)
@given(st.floats(1, 3600), st.floats(1, 100), st.floats(1, 10**5), JITTERS)
def test_waits_of_a_growing_policy_never_shrink_and_never_exceed_the_longest(first, factor, longest, jitter):
    policy = parse_policy({"first": first, "factor": factor, "max": longest, "attempts": 40})
    found = [policy.next_delay(tries, 0, jitter) for tries in range(1, 40)]
    assert found == sorted(found)
    assert found[0] == min(first, longest)
    assert found[-1] <= longest


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


def test_a_last_try_comes_a_second_after_the_one_before_at_least():
    assert schedule(Policy((60,), then=60, give_up=120.2)) == [0, 60, 120, 121]
    assert schedule(Policy((60,), then=60, give_up=120)) == [0, 60, 120]


def test_there_are_ten_thousand_tries_at_most():
    endless = Policy((), then=1, attempts=None)
    assert endless.next_delay(9_999, 0, 0) == 1
    assert endless.next_delay(10_000, 0, 0) is None
    assert Policy((), then=1, attempts=20_000).next_delay(10_000, 0, 0) is None


def test_a_retry_after_counts_for_a_day():
    assert Policy((1,), then=1).next_delay(1, 0, 0, 90_000) == 86_400
    assert DEFAULT_POLICY.next_delay(1, 0, 0, 0.5) == 5
    assert Policy((0.1,)).next_delay(1, 0, 0, 0.5) == 0.5


def test_the_named_policies_are_those_of_the_documentation():
    hour = 3600
    assert Policy((5, 30, 120, 480, 1920, 2 * hour), 6 * hour, 72 * hour, 0.1) == DEFAULT_POLICY
    assert NAMED_POLICIES["truework"] == Policy((60, 300, 900, hour, 3 * hour), 6 * hour, 48 * hour, 0.1)
    assert (DEFAULT_POLICY.pause, DEFAULT_POLICY.attempts, DEFAULT_POLICY.expires) == (300, None, None)


@pytest.mark.parametrize(
    ("key", "lowest", "highest"),
    [
        ("give_up", 1, 365 * DAY),
        ("attempts", 1, 10_000),
        ("jitter", 0, 1),
        ("pause", 0, DAY),
        ("expires", 1, 365 * DAY),
        ("then", 1, 30 * DAY),
    ],
)
def test_a_figure_may_be_anything_within_its_bounds_and_nothing_beyond(key, lowest, highest):
    table = {"delays": [1], "attempts": 9}
    for value in (lowest, highest):
        assert getattr(parse_policy({**table, key: value}), key) == value
    for value in (lowest - 1, highest + 1):
        with pytest.raises(ProblemsError, match=f"{key}: expected"):
            parse_policy({**table, key: value})


@pytest.mark.parametrize(
    ("key", "lowest", "highest"), [("first", 1, 30 * DAY), ("max", 1, 30 * DAY), ("factor", 1, 100)]
)
def test_what_grows_has_its_bounds_too(key, lowest, highest):
    table = {"first": 1, "attempts": 9}
    for value in (lowest, highest):
        parse_policy({**table, key: value})
    for value in (lowest - 1, highest + 1):
        with pytest.raises(ProblemsError, match=f"{key}: expected"):
            parse_policy({**table, key: value})


def test_a_list_has_up_to_100_waits_of_up_to_30_days():
    assert parse_policy({"delays": [0] * 99 + [30 * DAY]}).delays == (*[0] * 99, 30 * DAY)
    with pytest.raises(ProblemsError, match="list of 1 to 100 waits"):
        parse_policy({"delays": [0] * 101})
    with pytest.raises(ProblemsError, match=r"delays\[1\]: expected 0ms to 30d"):
        parse_policy({"delays": [0, 30 * DAY + 1]})


def test_growing_waits_grow_for_100_steps_and_twofold_unless_said_otherwise():
    slow = parse_policy({"first": 1, "factor": 1.01, "attempts": 3})
    assert len(slow.delays) == 100
    assert slow.then == slow.delays[-1] < 30 * DAY
    assert parse_policy({"first": 1, "attempts": 3}).delays[:4] == (1, 2, 4, 8)
    assert parse_policy({"first": 1, "attempts": 3}).delays[-1] == 30 * DAY
    assert parse_policy({"first": 60, "max": 10, "attempts": 3}) == Policy((10,), then=10, attempts=3)


@pytest.mark.parametrize("key", ["jitter", "attempts", "give_up", "pause", "expires", "then"])
def test_what_is_wrong_is_told_by_its_key_alone(key):
    with pytest.raises(ProblemsError) as caught:
        parse_policy({"delays": ["1s"], "attempts": 3, key: "half"})
    assert [problem.path for problem in caught.value.problems] == [(key,)]


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(ProblemsError) as caught:
        parse_policy({"delays": ["1s"], "first": "1s", "then": "1h", "jitter": 7, "attempts": 0, "oops": 1})
    for key in ("delays", "then", "jitter", "attempts", "oops"):
        assert f"{key}: " in str(caught.value)
    with pytest.raises(ProblemsError, match="max: has a meaning only with first"):
        parse_policy({"delays": ["1s"], "max": "1h"})
    with pytest.raises(ProblemsError, match="factor: has a meaning only with first"):
        parse_policy({"factor": 2, "attempts": 3})


def test_the_last_try_comes_at_the_age_of_giving_up():
    assert schedule(Policy((60,), then=60, give_up=150)) == [0, 60, 120, 150]


def test_attempts_are_tries_in_all():
    assert len(schedule(parse_policy({"first": "1s", "attempts": 1}))) == 1, "the first try is one of them"
    assert len(schedule(parse_policy({"delays": ["1s", "1s"], "then": "1s", "attempts": 5}))) == 5


def test_a_wait_that_the_target_asked_for_may_go_beyond_giving_up_once():
    assert schedule(Policy((60,), then=60, give_up=150), retry_after=3600) == [0, 3600]


def test_without_a_schedule_a_policy_is_the_default_but_for_what_is_written():
    assert parse_policy({"attempts": 3}) == replace(DEFAULT_POLICY, attempts=3)
    expected = replace(DEFAULT_POLICY, expires=600, jitter="full", give_up=3600)
    assert parse_policy({"expires": "10m", "jitter": "full", "give_up": "1h"}) == expected


def test_an_end_may_be_that_the_delivery_expires():
    assert parse_policy({"delays": ["1s"], "then": "10s", "expires": "5m"}) == Policy((1,), then=10, expires=300)


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
        ({}, r'expected delays such as \["30s", "2m"\], first, or what differs'),
        ({"then": "1h", "attempts": 3}, "then: has a meaning only with delays"),
        ({"max": "1h", "attempts": 3}, "max: has a meaning only with first"),
        ({"delays": ["1s"], "expires": "0s"}, "expires: expected 1s to 365d"),
        ({"delays": []}, "delays: expected a list"),
        ({"delays": "30s"}, "delays: expected a list"),
        ({"delays": ["1s"] * 101}, "delays: expected a list"),
        ({"delays": ["30"]}, r"delays\[0\]: expected a duration"),
        ({"delays": [True]}, r"delays\[0\]: expected a duration"),
        ({"delays": ["31d"]}, r"delays\[0\]: expected 0ms to 30d, found 31d"),
        ({"delays": [float("nan")]}, r"delays\[0\]: expected 0ms to 30d"),
        ({"delays": ["1s"], "then": "500ms", "give_up": "1d"}, "then: expected 1s to 30d, found 500ms"),
        ({"delays": ["1s"], "then": "1h"}, "expected an end: write give_up, attempts or expires"),
        ({"first": "1s"}, "expected an end"),
        ({"delays": ["1s"], "give_up": "366d"}, "give_up: expected 1s to 365d"),
        ({"delays": ["1s"], "attempts": 0}, "attempts: expected a number from 1"),
        ({"delays": ["1s"], "attempts": 2.5}, "attempts: expected a number"),
        ({"delays": ["1s"], "attempts": True}, "attempts: expected a number"),
        ({"delays": ["1s"], "jitter": 1.5}, "jitter: expected a number from 0 to 1"),
        ({"delays": ["1s"], "jitter": "half"}, 'jitter: expected a number from 0 to 1, or "full"'),
        ({"delays": ["1s"], "factor": 2}, "factor: has a meaning only with first"),
        ({"first": "1s", "then": "1h", "attempts": 3}, "then: cannot stand beside first"),
        ({"first": "1s", "factor": 0.5, "attempts": 3}, "factor: expected a number from 1 to 100"),
        ({"delays": ["1s"], "giveup": "3d"}, "giveup: unknown key 'giveup'; did you mean 'give_up'?"),
    ],
)
def test_a_bad_policy_is_told_with_its_key(table, told):
    with pytest.raises(ProblemsError, match=told):
        parse_policy(table)


def test_C8_a_number_beyond_all_floats_is_a_problem_and_no_traceback():
    huge = 10**400
    for table in ({"delays": [huge]}, {"first": huge}, {"delays": ["1s"], "give_up": huge}, {"jitter": huge}):
        with pytest.raises(ProblemsError):
            parse_policy(table)
    for operator in ("eq", "gt", "in"):
        with pytest.raises(ProblemsError):
            parse_match({"body.n": {operator: [huge] if operator == "in" else huge}})
