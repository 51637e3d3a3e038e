"""The life of a delivery: the table of transitions and the decision after each outcome."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.lifecycle import (
    RUNS_ALONE_AFTER,
    TRANSITIONS,
    IllegalTransitionError,
    decide,
    expired_reason,
    interrupted,
    interrupted_delay_ms,
    is_expired,
    next_states,
    runs_alone,
)
from gateway.core.model import Delivered, Delivery, NotTried, Rejected, Retry, TargetDown
from gateway.core.retry import NAMED_POLICIES, Policy

DAY = 86_400_000
NOW = 1_700_000_000_000
DELIVERY = Delivery(1, 0, "crm", "orders", 1, 0, 0, None, NOW - 1000)
POLICY = Policy((10, 20))
OUTCOMES = {
    "delivered": Delivered("200 in 3 ms"),
    "retry": Retry("503"),
    "rejected": Rejected("422"),
    "target_down": TargetDown("refused"),
    "not_tried": NotTried("no descriptors"),
}
HAPPENINGS = {name for below in TRANSITIONS.values() for name in below}


def test_the_table_is_what_the_design_says():
    edges = {(state, to) for state, below in TRANSITIONS.items() for states in below.values() for to in states}
    assert edges == {
        ("pending", "in_flight"),
        ("pending", "cancelled"),
        ("in_flight", "delivered"),
        ("in_flight", "pending"),
        ("in_flight", "dead"),
        ("in_flight", "cancelled"),
        ("dead", "pending"),
        ("dead", "cancelled"),
    }


def test_what_can_happen_in_each_state_is_what_the_design_says():
    assert {state: set(below) for state, below in TRANSITIONS.items()} == {
        "pending": {"claim", "cancel", "expire"},
        "in_flight": {*OUTCOMES, "interrupted", "release", "cancel"},
        "dead": {"revive", "cancel"},
        "delivered": set(),
        "cancelled": set(),
    }


def test_every_state_but_the_final_ones_leads_on_and_every_state_can_be_reached():
    assert {state for state, below in TRANSITIONS.items() if not below} == {"delivered", "cancelled"}
    reached, before = {"pending"}, set()
    while reached != before:
        before = set(reached)
        reached |= {to for state in before for states in TRANSITIONS[state].values() for to in states}
    assert reached == set(TRANSITIONS)


@pytest.mark.parametrize("happening", sorted(HAPPENINGS))
@pytest.mark.parametrize("state", sorted(TRANSITIONS))
def test_what_is_not_in_the_table_cannot_happen(state, happening):
    if happening in TRANSITIONS[state]:
        assert set(next_states(state, happening)) <= set(TRANSITIONS)
    else:
        with pytest.raises(IllegalTransitionError, match=f"{state} cannot be met by {happening}"):
            next_states(state, happening)


@pytest.mark.parametrize("name", sorted(OUTCOMES))
@pytest.mark.parametrize("state", sorted(TRANSITIONS))
def test_an_outcome_is_only_for_a_delivery_in_flight(state, name):
    if state == "in_flight":
        assert next_states(state, name)
    else:
        with pytest.raises(IllegalTransitionError):
            next_states(state, name)


@settings(deadline=None)
@given(
    st.sampled_from(sorted(OUTCOMES)),
    st.sampled_from(sorted(NAMED_POLICIES)),
    st.integers(0, 40),
    st.integers(-(10**9), 10**10),
    st.floats(0, 1, exclude_max=True),
)
def test_every_decision_is_in_the_table_and_due_exactly_if_pending(name, policy, attempts, age_ms, jitter):
    delivery = DELIVERY._replace(attempts=attempts, accepted_at=NOW - age_ms)
    decision = decide(delivery, OUTCOMES[name], NAMED_POLICIES[policy], NOW, jitter)
    assert decision.outcome_name == name
    assert decision.state in next_states("in_flight", name)
    assert (decision.due is not None) == (decision.state == "pending")
    assert decision.due is None or decision.due > NOW
    assert decision.attempts - attempts == (name in ("delivered", "retry", "rejected"))


def test_a_delivered_one_is_settled_with_its_detail():
    assert decide(DELIVERY, Delivered("200 in 3 ms"), POLICY, NOW, 0) == (
        "delivered",
        None,
        1,
        "200 in 3 ms",
        "delivered",
        0,
    )


def test_a_rejected_one_is_dead_at_once():
    assert decide(DELIVERY, Rejected("422"), POLICY, NOW, 0) == ("dead", None, 1, "422", "rejected", 0)


def test_a_failed_one_waits_as_its_policy_says_and_is_dead_after_the_last():
    delivery = DELIVERY
    due = []
    while (decision := decide(delivery, Retry("503"), POLICY, NOW, 0)).state == "pending":
        due.append(decision.due - NOW)
        delivery = delivery._replace(attempts=decision.attempts, waited=decision.waited)
    assert due == [10_000, 20_000]
    assert decision == ("dead", None, 3, "given up after 3 tries: 503", "retry", 30_000)


def test_P11_a_target_that_asks_to_wait_is_given_the_time():
    assert decide(DELIVERY, Retry("429", after=120), POLICY, NOW, 0).due == NOW + 120_000


@pytest.mark.parametrize("name", ["target_down", "not_tried"])
@settings(deadline=None)
@given(st.floats(0, 1, exclude_max=True))
def test_what_is_not_the_messages_fault_costs_no_attempt_and_is_soon_due(name, jitter):
    tired = DELIVERY._replace(attempts=99, accepted_at=0)
    decision = decide(tired, OUTCOMES[name], POLICY, NOW, jitter)
    assert (decision.state, decision.attempts) == ("pending", 99)
    assert decision.due - NOW == 1000 + int(1000 * jitter)


@pytest.mark.parametrize("step", [-10 * DAY, -1, 1, DAY, 100 * DAY])
def test_K1_P27_no_clock_and_no_time_behind_a_gate_brings_a_delivery_nearer_to_giving_up(step):
    policy = Policy((10,), then=10, give_up=60)
    tried = DELIVERY._replace(attempts=3, waited=30_000)
    usual = decide(tried, Retry("503"), policy, NOW, 0)
    later = decide(tried, Retry("503"), policy, NOW + step, 0)
    assert (later.state, later.waited) == (usual.state, usual.waited) == ("pending", 40_000)
    assert later.due - step == usual.due


@pytest.mark.parametrize("name", ["target_down", "not_tried"])
def test_waiting_behind_a_gate_is_not_waiting_between_tries(name):
    assert decide(DELIVERY._replace(waited=5), OUTCOMES[name], POLICY, NOW, 0.5).waited == 5
    assert interrupted(DELIVERY._replace(waited=5), NOW).waited == 5


def test_a_delivery_expires_at_its_moment_and_says_so():
    assert [is_expired(DELIVERY._replace(expires_at=NOW), NOW + by) for by in (-1, 0, 1)] == [False, True, True]
    assert not is_expired(DELIVERY, 2**60)
    assert expired_reason(NOW) == "expired: its target's policy gave it until 2023-11-14T22:13:20.000Z"


def test_an_interrupted_claim_backs_off_costs_no_attempt_and_is_never_dead():
    waits = []
    for times in range(1, 100):
        decision = interrupted(DELIVERY._replace(attempts=2, interrupted=times), NOW)
        assert decision.state in next_states("in_flight", "interrupted")
        assert (decision.attempts, decision.outcome_name) == (2, "interrupted")
        waits.append(decision.due - NOW)
    assert waits[:4] == [0, 30_000, 60_000, 120_000]
    assert waits == sorted(waits)
    assert waits[-1] == interrupted_delay_ms(10**9) == 600_000


def test_after_three_interrupted_claims_a_delivery_runs_alone():
    assert [runs_alone(DELIVERY._replace(interrupted=times)) for times in range(5)] == [False, False, False, True, True]
    assert RUNS_ALONE_AFTER == 3
