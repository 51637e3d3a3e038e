"""The breaker: opens at once, probes, and delays without ever dropping."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.breaker import FAILURES_IN_A_ROW, OPEN_FIRST_MS, OPEN_MAX_MS, Breaker, restored
from gateway.core.model import Delivered, NotTried, Rejected, Retry, TargetDown

NOW = 1_700_000_000_000
DOWN = TargetDown("refused")
GONE = TargetDown("410", disable=True)
FAILED = Retry("503")
ANSWERS = [Delivered(), Rejected("422")]
OUTCOMES = [*ANSWERS, FAILED, DOWN, GONE, NotTried("stop")]


def opened(times=1):
    breaker, now = Breaker(), NOW
    for _ in range(times):
        breaker = breaker.probe(now) or breaker
        breaker, moves = breaker.after(DOWN, now, 0)
        now = breaker.until
    return breaker, moves


def test_a_target_that_is_down_opens_it_at_once_and_closes_the_gate():
    breaker, (move,) = opened()
    assert (breaker.state, breaker.until, breaker.reason) == ("open", NOW + OPEN_FIRST_MS, "refused")
    assert move == ("breaker", True, breaker.until, "refused")


def after_failures(count, *between):
    breaker, moves = Breaker(), ()
    for number in range(count):
        breaker, moves = breaker.after(FAILED, NOW, 0)
        if number == count // 2:
            for outcome in between:
                breaker, moves = breaker.after(outcome, NOW, 0)
    return breaker, moves


@pytest.mark.parametrize("outcome", [*ANSWERS, NotTried("stop")])
def test_no_answer_of_the_target_opens_it(outcome):
    breaker = Breaker()
    for _ in range(100):
        breaker, moves = breaker.after(outcome, NOW, 0)
        assert (breaker, moves) == (Breaker(), ())


def test_twenty_failures_in_a_row_open_it_and_tell_the_last():
    assert FAILURES_IN_A_ROW == 20
    assert after_failures(FAILURES_IN_A_ROW - 1)[1] == ()
    breaker, (move,) = after_failures(FAILURES_IN_A_ROW)
    assert breaker.state == "open"
    assert move.reason == f"{FAILURES_IN_A_ROW} failures in a row, the last: 503"


@pytest.mark.parametrize("outcome", ANSWERS)
def test_a_message_that_fails_again_and_again_among_others_that_do_not_opens_nothing(outcome):
    assert after_failures(FAILURES_IN_A_ROW, outcome)[0].state == "closed"


def test_what_was_not_tried_does_not_end_a_row_of_failures():
    assert after_failures(FAILURES_IN_A_ROW, NotTried("descriptors"))[0].state == "open"


def test_a_probe_goes_through_only_when_its_time_has_come_and_only_one():
    breaker, _ = opened()
    assert breaker.probe(breaker.until - 1) is None
    probing = breaker.probe(breaker.until)
    assert probing.state == "probing"
    assert probing.probe(breaker.until + 10**9) is None


def test_a_probe_that_fails_as_a_message_would_opens_it_again_for_longer():
    breaker, _ = opened(2)
    again, (move,) = breaker.probe(breaker.until).after(Retry("503", after=60), breaker.until, 0)
    assert (again.state, again.openings) == ("open", 3)
    assert move.until == breaker.until + 60_000, "and for as long as the target asks"


@pytest.mark.parametrize("outcome", ANSWERS)
def test_any_answer_to_the_probe_closes_it_and_opens_the_gate(outcome):
    breaker, _ = opened(3)
    closed, (move,) = breaker.probe(breaker.until).after(outcome, NOW, 0)
    assert closed == Breaker()
    assert (move.kind, move.close) == ("breaker", False)


def test_each_probe_that_fails_doubles_the_wait_up_to_a_bound():
    breaker, now, waits = Breaker(), NOW, []
    for _ in range(12):
        breaker, (move,) = (breaker.probe(now) or breaker).after(DOWN, now, 0)
        assert move.until == breaker.until
        waits.append(breaker.until - now)
        now = breaker.until
    assert waits[:8] == [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]
    assert waits[-1] == waits[-2] == 300_000


def test_a_wait_grows_by_a_tenth_of_itself_at_most():
    assert [Breaker().after(DOWN, NOW, draw)[0].until - NOW for draw in (0, 0.5, 0.998)] == [5_000, 5_250, 5_499]


def test_one_that_opened_a_thousand_times_still_waits_five_minutes():
    assert Breaker("probing", 1000).after(DOWN, NOW, 0)[0].until == NOW + 300_000


def test_a_clock_that_went_back_makes_no_probe_wait_longer_than_it_did():
    breaker = opened()[0]
    hour = 3_600_000
    assert breaker.step_back(hour, NOW - hour).until == NOW - hour + 5_000
    assert breaker.step_back(hour, NOW).until == NOW, "not before now"
    assert breaker.step_back(0, NOW + hour).until == NOW + 5_000, "nor later than it was"
    assert Breaker().step_back(hour, NOW) == Breaker()


def test_every_move_of_a_gate_says_why():
    breaker, _ = opened()
    assert breaker.disable("410")[1][1] == ("breaker", False, None, "disabled instead")
    assert breaker.enable()[1] == (("breaker", False, None, "enabled"),)
    assert breaker.disable("410")[0].openings == 1
    probing = breaker.probe(breaker.until)
    assert probing.after(Delivered(), NOW, 0)[1] == (("breaker", False, None, "the target answers"),)
    assert probing.after(NotTried("x"), NOW, 0)[1] == (("breaker", True, NOW + 1000, "refused"),)


def test_a_target_that_had_no_moment_to_wait_for_is_probed_at_once():
    assert Breaker("open").probe(0).state == "probing"


def test_a_probe_that_was_not_made_is_made_again_soon():
    breaker, _ = opened(4)
    again, (move,) = breaker.probe(breaker.until).after(NotTried("descriptors"), breaker.until, 0)
    assert (again.state, again.openings) == ("open", 4)
    assert move.until == again.until == breaker.until + 1000


@pytest.mark.parametrize("outcome", [*ANSWERS, FAILED, DOWN, NotTried("x")])
def test_late_outcomes_of_what_was_under_way_change_nothing(outcome):
    breaker, _ = opened()
    assert breaker.after(outcome, NOW + 1, 0) == (breaker, ())


def test_what_the_target_asks_for_is_waited_for_but_a_day_at_most():
    assert Breaker().after(TargetDown("503", after=3600), NOW, 0)[0].until == NOW + 3_600_000
    assert Breaker().after(TargetDown("503", after=1e12), NOW, 0)[0].until == NOW + 86_400_000
    assert Breaker().after(TargetDown("503", after=float("nan")), NOW, 0)[0].until == NOW + OPEN_FIRST_MS


@pytest.mark.parametrize("start", [Breaker(), opened()[0], opened()[0].probe(NOW + OPEN_FIRST_MS)])
def test_R5_a_target_that_is_gone_stays_disabled_until_an_operator_enables_it(start):
    breaker, moves = start.after(GONE, NOW, 0)
    assert breaker.state == "disabled"
    assert moves[0] == ("disabled", True, None, "410")
    assert [move.kind for move in moves[1:]] == ([] if start.state == "closed" else ["breaker"])
    for outcome in OUTCOMES:
        assert breaker.after(outcome, NOW + 10**12, 0) == (breaker, ())
    assert breaker.probe(NOW + 10**12) is None
    enabled, (move,) = breaker.enable()
    assert enabled == Breaker()
    assert move == ("disabled", False, None, "enabled")


def test_an_operator_may_close_an_open_one_and_need_not_close_a_closed_one():
    assert opened()[0].enable()[0] == Breaker()
    assert Breaker().enable() == (Breaker(), ())


@pytest.mark.parametrize("times", [1, 5])
def test_P13_it_is_as_it_was_after_a_restart(times):
    breaker, (move,) = opened(times)
    back = restored(move.kind, move.until, move.reason)
    assert (back.state, back.until, back.reason) == (breaker.state, breaker.until, breaker.reason)
    assert restored("disabled", None, "410").probe(NOW) is None
    assert restored("disabled", None, "410") == Breaker("disabled", 0, None, "410")
    assert back.probe(back.until).after(DOWN, NOW, 0)[0].until == NOW + 10_000, "the second opening in a row"


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(OUTCOMES), st.integers(0, 10**6), st.floats(0, 1, exclude_max=True)), max_size=40
    )
)
def test_the_gates_always_mirror_the_state(happenings):
    breaker, now, closed = Breaker(), NOW, {}
    for outcome, later, jitter in happenings:
        now += later
        breaker = breaker.probe(now) or breaker
        breaker, moves = breaker.after(outcome, now, jitter)
        for move in moves:
            if move.close:
                closed[move.kind] = move.until
            else:
                del closed[move.kind]
        expected = {"closed": {}, "open": {"breaker": breaker.until}, "disabled": {"disabled": None}}
        assert closed == expected[breaker.state]
        assert breaker.until is None or breaker.until - now <= OPEN_MAX_MS * 1.1


@pytest.mark.parametrize("start", [Breaker(), opened()[0], opened()[0].probe(NOW + OPEN_FIRST_MS)])
def test_a_rule_of_the_operator_disables_it_once(start):
    breaker, moves = start.disable("82 of 100 failed")
    assert (breaker.state, breaker.reason) == ("disabled", "82 of 100 failed")
    assert moves[0] == ("disabled", True, None, "82 of 100 failed")
    assert breaker.disable("again") == (breaker, ())


BUSY = Retry("HTTP 429", after=60, throttle=True)


def test_P11_a_busy_target_that_asks_for_time_is_left_alone_for_so_long_and_no_longer_each_time():
    breaker, (move,) = Breaker().after(BUSY, NOW, 0)
    assert (breaker.state, breaker.asked) == ("open", True)
    assert move == ("breaker", True, NOW + 60_000, "it asks for time: HTTP 429")
    again, _ = breaker.probe(NOW + 60_000).after(BUSY, NOW + 60_000, 0)
    assert (again.until, again.openings, again.asked) == (NOW + 120_000, 0, True)
    down, _ = again.probe(again.until).after(Retry("HTTP 500"), again.until, 0)
    assert (down.until, down.asked) == (again.until + OPEN_FIRST_MS, False), "then it is down"
    closed, (move,) = again.probe(again.until).after(Delivered(), again.until, 0)
    assert (closed, move.close) == (Breaker(), False)


def test_P11_what_a_single_answer_may_ask_of_the_others_is_bounded():
    assert Breaker().after(BUSY, NOW, 0, 20_000)[0].until == NOW + 20_000
    for outcome, most in ((BUSY, 0), (Retry("HTTP 429", 4.9, throttle=True), 60_000), (Retry("HTTP 500", 60), 60_000)):
        breaker, moves = Breaker().after(outcome, NOW, 0, most)
        assert (breaker.state, breaker.failures, moves) == ("closed", 1, ())
    probing = opened()[0].probe(NOW + OPEN_FIRST_MS)
    assert probing.after(Retry("HTTP 500", 3600), NOW, 0, 60_000)[0].until == NOW + 60_000
    assert probing.after(TargetDown("HTTP 403", 3600), NOW, 0, 60_000)[0].until == NOW + 3_600_000


def test_the_last_of_many_failures_in_a_row_may_ask_for_time():
    breaker = Breaker(failures=FAILURES_IN_A_ROW - 1)
    assert breaker.after(Retry("HTTP 500", 60), NOW, 0)[0].until == NOW + 60_000
