"""What is found by looking: sources that refuse too much, and credentials that nobody uses any more."""

import pytest

from gateway.core.disuse import DAY_MS, Disuse, Unused
from gateway.core.refusing import LOOKS, Refusals, RefusalWatch, RefusingRule, Seen

RULE = RefusingRule(0.5, 600_000, 20)
MINUTE = 60_000


def looks(*counters, rule=RULE, every=MINUTE):
    watch = RefusalWatch()
    return [watch.look({"acme": Seen(refused, answered)}, rule, at * every) for at, (refused, answered) in counters]


def each_minute(*counters):
    return looks(*enumerate(counters))


def test_a_source_that_refuses_most_is_found_with_its_most_frequent_reason():
    found = each_minute(({}, 0), ({"signature": 18, "expired": 6}, 10))
    assert found == [[], [Refusals("acme", 24, 34, "signature")]]


def test_the_credentials_that_nothing_proved_meanwhile_are_named():
    watch = RefusalWatch()
    watch.look({"acme": Seen({}, 9, {"orders": 5, "states": 4, "new": 0})}, RULE, 0)
    (found,) = watch.look({"acme": Seen({"token": 30}, 12, {"orders": 5, "states": 7, "new": 0})}, RULE, MINUTE)
    assert found.credentials == ("orders", "new")


@pytest.mark.parametrize(
    "counters",
    [
        pytest.param(({"signature": 19}, 0), id="too few"),
        pytest.param(({"signature": 100}, 101), id="a small share"),
        pytest.param(({}, 0), id="none"),
    ],
)
def test_a_source_that_refuses_little_is_not_found(counters):
    assert each_minute(({}, 0), counters) == [[], []]


def test_what_was_refused_longer_ago_counts_no_more():
    assert looks((0, ({}, 0)), (1, ({"signature": 15}, 0)), (12, ({"signature": 30}, 0)))[-1] == []


def test_what_was_refused_in_pieces_within_the_time_counts_together():
    assert each_minute(*(({"signature": 4 * minute}, 0) for minute in range(6)))[-1]


def test_few_looks_are_kept_however_often_one_looks():
    watch = RefusalWatch()
    for number in range(1000):
        watch.look({"acme": Seen({}, 0)}, RULE, number)
    assert len(watch._looks) == LOOKS + 1


def test_a_clock_that_went_back_begins_anew():
    assert looks((100, ({}, 0)), (1, ({"signature": 100}, 0))) == [[], []]


ORDERS, STATES = ("truework", "orders"), ("truework", "states")
MONTH = 30 * DAY_MS


def test_a_credential_that_is_not_used_while_another_is_is_found():
    disuse = Disuse({})
    disuse.look({ORDERS: 1, STATES: 1}, DAY_MS)
    disuse.look({ORDERS: 2, STATES: 1}, 32 * DAY_MS)
    assert disuse.unused(MONTH, 32 * DAY_MS) == [Unused("truework", "states", DAY_MS, 31)]


def test_one_that_was_never_used_counts_from_when_it_was_first_seen():
    disuse = Disuse({})
    disuse.look({ORDERS: 1, STATES: 0}, 0)
    disuse.look({ORDERS: 2, STATES: 0}, MONTH)
    assert disuse.unused(MONTH, MONTH) == []
    disuse.look({ORDERS: 3, STATES: 0}, 31 * DAY_MS)
    assert disuse.unused(MONTH, 31 * DAY_MS) == [Unused("truework", "states", None, 31)]


def test_a_source_that_is_silent_as_a_whole_has_no_unused_credential():
    disuse = Disuse({})
    disuse.look({ORDERS: 1, STATES: 1}, 0)
    assert disuse.unused(MONTH, 90 * DAY_MS) == []


def test_a_single_credential_is_never_unused():
    disuse = Disuse({})
    disuse.look({ORDERS: 1}, 0)
    disuse.look({ORDERS: 1}, 90 * DAY_MS)
    assert disuse.unused(MONTH, 90 * DAY_MS) == []


def test_uses_are_remembered_over_a_restart_and_counters_begin_at_zero():
    before = Disuse({})
    before.look({ORDERS: 5, STATES: 5}, DAY_MS)
    after = Disuse(before.changes())
    after.look({ORDERS: 0, STATES: 0}, 2 * DAY_MS)
    after.look({ORDERS: 1, STATES: 0}, 40 * DAY_MS)
    assert after.unused(MONTH, 40 * DAY_MS) == [Unused("truework", "states", DAY_MS, 39)]


def test_only_what_changed_is_written_and_what_is_gone_is_removed():
    disuse = Disuse({})
    disuse.look({ORDERS: 1, STATES: 1}, 1)
    first = disuse.changes()
    assert len(first) == 2
    disuse.wrote(first)
    disuse.look({ORDERS: 1, STATES: 1}, 2)
    assert disuse.changes() == {}
    disuse.look({ORDERS: 2}, 3)
    assert list(disuse.changes().values()) == [None, b'["truework","orders",3,true]']


def test_what_could_not_be_written_is_written_later():
    disuse = Disuse({})
    disuse.look({ORDERS: 1}, 1)
    assert disuse.changes() == disuse.changes() != {}


def test_notes_that_cannot_be_read_count_for_nothing():
    disuse = Disuse({"used/a/b": b"{", "used/c/d": b"[1]"})
    disuse.look({ORDERS: 0}, 5)
    assert disuse.unused(MONTH, 10 * MONTH) == []
