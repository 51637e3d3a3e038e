"""The life of a delivery: all states, all that can happen to one, and the verb *decide*.

Everything that changes a state is in `TRANSITIONS`; the schema's constraints and the documentation mirror it, and a
test compares them.

- `pending`: waits for its time, or behind a gate. It is born so, or `in_flight` if it goes on in memory at once.
- `in_flight`: claimed by a process (its epoch) under a number (`claims`); who holds both may write its next state.
- `delivered`: the target has it. Final.
- `dead`: given up, or never deliverable. It rests until an operator, or a repeat from the provider, makes it `pending`.
- `cancelled`: an operator does not want it, it has expired, or a newer one took its place. Final.

Only `Delivered`, `Retry` and `Rejected` cost an attempt. A target that is down and trouble of our own do not: the
delivery is soon due again and waits behind the gate meanwhile. A claim that ended without an outcome was `interrupted`:
the delivery is backed off, runs alone after three of them (it may be what ended the process), never dead by count.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias, assert_never

from gateway.core.model import Delivered, Delivery, NotTried, Outcome, Rejected, Retry, State, TargetDown
from gateway.core.moments import write_moment
from gateway.core.retry import Policy

OutcomeName: TypeAlias = Literal["delivered", "retry", "rejected", "target_down", "not_tried", "interrupted"]
Happening: TypeAlias = Literal["claim", "release", "cancel", "expire", "revive"] | OutcomeName
"""What can happen to one. `release`: a claim was given back untried; `revive`: an operator's retry, or a repeat."""

TRANSITIONS: Final[Mapping[State, Mapping[Happening, tuple[State, ...]]]] = {
    "pending": {
        "claim": ("in_flight",),
        "cancel": ("cancelled",),
        "expire": ("cancelled",),
    },
    "in_flight": {
        "delivered": ("delivered",),
        "retry": ("pending", "dead"),
        "rejected": ("dead",),
        "target_down": ("pending",),
        "not_tried": ("pending",),
        "interrupted": ("pending",),
        "release": ("pending",),
        "cancel": ("cancelled",),
    },
    "dead": {
        "revive": ("pending",),
        "cancel": ("cancelled",),
    },
    "delivered": {},
    "cancelled": {},
}

SOON_MS: Final = 1000
"""How soon a delivery that was not really tried is due again; jitter adds up to as much."""
INTERRUPTED_FIRST_MS: Final = 30_000
INTERRUPTED_MAX_MS: Final = 600_000
INTERRUPTED_REASON: Final = "the process ended while this was being delivered"
RUNS_ALONE_AFTER: Final = 3
"""Interrupted claims after which a delivery runs with no other beside it."""


class IllegalTransitionError(RuntimeError):
    """Something was to happen to a delivery that cannot happen in its state: a bug, never the world's doing."""


class Decision(NamedTuple):
    """What becomes of a delivery."""

    state: State
    due: int | None
    """Milliseconds since 1970 at which it may be claimed again; set if and only if `state` is `pending`."""
    attempts: int
    reason: str
    """For the operator."""
    outcome_name: OutcomeName
    waited: int
    """Milliseconds that the delivery's policy had it wait so far, the wait until `due` included if that is one."""


def next_states(state: State, happening: Happening) -> tuple[State, ...]:
    """Give the states that `happening` may lead to. Raises IllegalTransitionError if it cannot happen in `state`."""
    try:
        return TRANSITIONS[state][happening]
    except KeyError:
        raise IllegalTransitionError(f"a delivery that is {state} cannot be met by {happening}") from None


def decide(delivery: Delivery, outcome: Outcome, policy: Policy, now_ms: int, jitter: float) -> Decision:
    """The verb *decide*: what becomes of a delivery in flight after `outcome`. `jitter` is a draw from [0, 1)."""
    tried, waited = delivery.attempts + 1, delivery.waited
    match outcome:
        case Delivered(detail):
            return Decision("delivered", None, tried, detail, "delivered", waited)
        case Rejected(reason):
            return Decision("dead", None, tried, reason, "rejected", waited)
        case Retry(reason, after):
            delay = policy.next_delay(tried, waited / 1000, jitter, after)
            if delay is None:
                return Decision("dead", None, tried, f"given up after {tried} tries: {reason}", "retry", waited)
            wait_ms = round(delay * 1000)
            return Decision("pending", now_ms + wait_ms, tried, reason, "retry", waited + wait_ms)
        case TargetDown(reason):
            return Decision("pending", _soon(now_ms, jitter), delivery.attempts, reason, "target_down", waited)
        case NotTried(reason):
            return Decision("pending", _soon(now_ms, jitter), delivery.attempts, reason, "not_tried", waited)
        case _:
            assert_never(outcome)


def interrupted(delivery: Delivery, now_ms: int) -> Decision:
    """Give what becomes of a delivery whose claim ended without an outcome; `delivery.interrupted` counts it too."""
    due = now_ms + interrupted_delay_ms(delivery.interrupted)
    return Decision("pending", due, delivery.attempts, INTERRUPTED_REASON, "interrupted", delivery.waited)


def is_expired(delivery: Delivery, now_ms: int) -> bool:
    """Tell whether the delivery is of no use any more, so that it must not be tried."""
    return delivery.expires_at is not None and delivery.expires_at <= now_ms


def expired_reason(expires_at: int) -> str:
    """Say, for the operator, why a delivery that expired at `expires_at` was cancelled."""
    return f"expired: its target's policy gave it until {write_moment(expires_at)}"


def interrupted_delay_ms(times: int) -> int:
    """Give the wait after the claim was interrupted `times` times: none, 30 s, doubled each time, at most 10 min."""
    return min(INTERRUPTED_FIRST_MS << min(times - 2, 10), INTERRUPTED_MAX_MS) if times > 1 else 0


def runs_alone(delivery: Delivery) -> bool:
    """Tell whether the delivery may be what ends the process, so that nothing else should run beside it."""
    return delivery.interrupted >= RUNS_ALONE_AFTER


def _soon(now_ms: int, jitter: float) -> int:
    return now_ms + SOON_MS + int(SOON_MS * jitter)
