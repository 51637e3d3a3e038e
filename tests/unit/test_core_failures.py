"""The rule that closes a target which fails too often: counted in a sliding window, in bounded memory."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.failures import BUCKETS, DisableRule, FailureWindow

MINUTE = 60_000
NOW = 1_700_000_000_000 // MINUTE * MINUTE
TRUORA = DisableRule(0.8, 60 * MINUTE, 20)


def window(*counts, rule=TRUORA):
    found = FailureWindow(rule)
    for at, total, failed in counts:
        found.add(at, total, failed)
    return found


@pytest.mark.parametrize(
    ("total", "failed", "reached"), [(100, 80, True), (100, 79, False), (20, 16, True), (19, 19, False), (0, 0, False)]
)
def test_the_rule_is_reached_at_its_share_of_enough_deliveries(total, failed, reached):
    assert window((NOW, total, failed)).reached(NOW) is reached


def test_what_is_older_than_the_window_counts_no_more():
    found = window((NOW, 1000, 0), (NOW + 30 * MINUTE, 20, 20))
    assert not found.reached(NOW + 59 * MINUTE)
    assert found.reached(NOW + 60 * MINUTE)
    assert found.counts(NOW + 91 * MINUTE) == (0, 0)


def test_a_million_deliveries_are_counted_in_no_more_than_sixty_buckets():
    found = FailureWindow(TRUORA)
    for minute in range(1000):
        found.add(NOW + minute * MINUTE, 1000, 900)
    assert len(found.rows()) <= BUCKETS + 1
    assert found.counts(NOW + 999 * MINUTE) == (60_000, 54_000)


def test_a_window_that_is_cleared_begins_anew():
    found = window((NOW, 100, 100))
    found.clear()
    assert not found.reached(NOW)
    assert found.rows() == []


def test_a_restart_goes_on_counting_also_under_another_rule():
    kept = window((NOW, 10, 10), (NOW + 5 * MINUTE, 9, 9)).rows()
    again = FailureWindow(TRUORA, kept)
    again.add(NOW + 6 * MINUTE, 1, 1)
    assert again.reached(NOW + 6 * MINUTE)
    hourly = FailureWindow(DisableRule(0.5, 600 * MINUTE, 19), kept)
    assert hourly.counts(NOW + 6 * MINUTE) == (19, 19)


def test_a_clock_that_goes_back_makes_nothing_count_longer():
    found = window((NOW, 30, 30))
    found.step_back(24 * 60 * MINUTE)
    then = NOW - 24 * 60 * MINUTE
    assert found.reached(then)
    assert not found.reached(then + 61 * MINUTE)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20 * MINUTE), st.integers(1, 50), st.integers(0, 50)), max_size=60))
def test_the_counts_are_those_of_the_last_hour_to_the_minute(steps):
    found, now, all_of_them = FailureWindow(TRUORA), NOW, []
    for later, total, failed in steps:
        now += later
        found.add(now, total, min(failed, total))
        all_of_them.append((now, total, min(failed, total)))
    recent = [one for one in all_of_them if one[0] // MINUTE > (now - 60 * MINUTE) // MINUTE]
    assert found.counts(now) == (sum(one[1] for one in recent), sum(one[2] for one in recent))
