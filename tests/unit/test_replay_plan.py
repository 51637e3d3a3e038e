"""What a replay is to do: written, read again, told; and how its pace is cut into steps."""

import pytest

from gateway.replay_plan import STEP_MAX, ReplayPlan, read_pace, read_plan
from gateway.store.operator import EventFilter

PLANS = [
    ReplayPlan(EventFilter()),
    ReplayPlan(EventFilter("acme", None, "order.*", "unmatched", 5, 6), same=True, per_second=0.01),
    ReplayPlan(EventFilter(event_ids=(1, 2**62)), ("crm", "ä\u2028"), also=("mail",)),
]


@pytest.mark.parametrize("plan", PLANS)
def test_a_plan_is_read_as_it_was_written(plan):
    assert read_plan(plan.write()) == plan


def test_a_plan_is_told_in_the_words_of_the_command():
    assert PLANS[0].told() == "everything to today's routes"
    assert PLANS[1].told() == (
        "source=acme type=order.* hold=unmatched since=1970-01-01T00:00:00.005Z until=1970-01-01T00:00:00.006Z "
        "to the same targets"
    )
    many = ReplayPlan(EventFilter(event_ids=(1, 2, 3, 4)), ("crm",), also=("mail",))
    assert many.told() == (
        "evt_0000000000000001 evt_0000000000000002 evt_0000000000000003 and 1 more events to crm, also mail"
    )


@pytest.mark.parametrize("rate", [0.001, 0.5, 1.0, 3.0, 50.0, 399.0, 400.0, 1000.0])
def test_steps_are_small_and_make_up_the_rate(rate):
    size, seconds = ReplayPlan(EventFilter(), per_second=rate).step()
    assert 1 <= size <= STEP_MAX
    assert size / seconds == pytest.approx(rate)
    assert size == 1 or seconds <= 0.3


@pytest.mark.parametrize(("text", "rate"), [("50/s", 50.0), ("30/m", 0.5), ("3.6/h", 0.001), ("1000/s", 1000.0)])
def test_a_pace_is_read(text, rate):
    assert read_pace(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["", "50", "0/s", "1001/s", "-1/s", "1e3/s", "50/d"])
def test_a_pace_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        read_pace(text)
