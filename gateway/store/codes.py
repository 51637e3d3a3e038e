"""The small numbers that stand for words in the store's tables; the CHECK constraints of the schema mirror them."""

from enum import IntEnum
from typing import Final

from gateway.core.model import HoldReason, State
from gateway.store.contract import GateKind
from gateway.store.operator import ReplayState

STATE_CODES: Final[dict[State, int]] = {"pending": 0, "in_flight": 1, "delivered": 2, "dead": 3, "cancelled": 4}
STATES: Final[tuple[State, ...]] = tuple(STATE_CODES)

HOLD_CODES: Final[dict[HoldReason | None, int | None]] = {
    None: None,
    "unmatched": 1,
    "version": 2,
    "conflict": 3,
    "ignored": 4,
}
HOLDS: Final[dict[int | None, HoldReason | None]] = {code: reason for reason, code in HOLD_CODES.items()}

OUTCOME_CODES: Final[dict[str, int]] = {
    "delivered": 1,
    "retry": 2,
    "rejected": 3,
    "target_down": 4,
    "not_tried": 5,
    "interrupted": 6,
    "cancelled": 7,
}
OUTCOMES: Final[dict[int, str]] = {code: outcome for outcome, code in OUTCOME_CODES.items()}

GATE_CODES: Final[dict[GateKind, int]] = {"breaker": 1, "disabled": 2, "held": 3, "restored": 4}
GATES: Final[dict[int, GateKind]] = {code: kind for kind, code in GATE_CODES.items()}

REPLAY_STATE_CODES: Final[dict[ReplayState, int]] = {"running": 0, "done": 1, "cancelled": 2}
REPLAY_STATES: Final[dict[int, ReplayState]] = {code: state for state, code in REPLAY_STATE_CODES.items()}


class NameKind(IntEnum):
    """What a kept name is the name of."""

    SOURCE = 1
    CREDENTIAL = 2
    TYPE = 3
    VERSION = 4
    ROUTE = 5
    TARGET = 6
