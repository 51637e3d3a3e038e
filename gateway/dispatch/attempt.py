"""Verbs 7 to 9 for one delivery or one batch: *render*, *deliver*, *decide*.

Gives the records to write; writes none itself.

This is the one place where foreign code is called, so it catches everything: whatever a target or a payload does, an
outcome comes out.
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, TypeAlias

import trio

from gateway.blueprint import TargetPlan
from gateway.core.lifecycle import decide
from gateway.core.model import Delivered, Message, NotTried, Outcome, Rejected, Retry, TargetDown
from gateway.core.render import RenderError
from gateway.dispatch.clock import DueClock
from gateway.dispatch.line import Slot
from gateway.plugin import BatchTarget, Target
from gateway.plugin_host.foreign import cancellation_in, raised
from gateway.plugin_host.foreign import writable as _writable
from gateway.runtime import Runtime
from gateway.store.contract import AttemptRow, Claim, Record

REASON_MAX: Final = 500

Note: TypeAlias = list[bytes]
"""What a target wrote down during one try; the last counts."""


class Tried(NamedTuple):
    """One delivery after a try: what the target said, and what becomes of it."""

    slot: Slot
    outcome: Outcome
    record: Record
    asked: bool = True
    """False: there was no message, so that the outcome tells nothing of the target."""


Deliver: TypeAlias = Callable[[list[Message]], Awaitable[object]]
"""Tries messages at a target; what comes back is the target's word for it and not yet believed."""


def deliver_by(target: Target) -> tuple[Deliver, bool]:
    """Give the way to deliver to `target`, and whether it takes many at once. Looked up once, not per try."""

    async def one_by_one(messages: list[Message]) -> object:
        return [await target.deliver(message) for message in messages]

    return (target.deliver_many, True) if isinstance(target, BatchTarget) else (one_by_one, False)


async def attempt(
    plan: TargetPlan, deliver: Deliver, slots: Sequence[Slot], runtime: Runtime, clock: DueClock
) -> list[Tried]:
    """Try each delivery once; never raises but Cancelled.

    The target's timeout bounds the whole call; what had no outcome by then is a `Retry` for a timeout. When it is due
    again goes by `clock`.
    """
    started, began = runtime.now_ms(), runtime.monotonic()
    notes: list[Note] = [[] for _ in slots]
    rendered = [_render(plan, slot, note) for slot, note in zip(slots, notes, strict=True)]
    messages = [each for each in rendered if isinstance(each, Message)]
    found = iter(await _deliver(plan, deliver, messages))
    outcomes = [next(found) if isinstance(each, Message) else each for each in rendered]
    now = clock.now_ms()
    took_ms = int((runtime.monotonic() - began) * 1000)
    return [
        _tried(plan, slot, outcome, note, (started, took_ms, now, runtime.random()), asked=isinstance(each, Message))
        for slot, outcome, note, each in zip(slots, outcomes, notes, rendered, strict=True)
    ]


def answered(outcomes: Sequence[Outcome]) -> bool | None:
    """Tell whether the target did its part for any of a batch; None if it was not asked."""
    if any(isinstance(outcome, Delivered | Rejected) for outcome in outcomes):
        return True
    return False if any(isinstance(outcome, Retry | TargetDown) for outcome in outcomes) else None


def released(claim: Claim, due: int) -> Record:
    """Give the record of a claim that ends without a word: pending again, due at `due`, no attempt counted."""
    it = claim.delivery
    return Record(it.event_id, it.n, it.claims, "pending", due, it.attempts, None, it.progress, it.target, it.waited)


def not_fetched(
    plan: TargetPlan, slot: Slot, outcome: Outcome, began: tuple[int, float], runtime: Runtime, clock: DueClock
) -> Tried:
    """Decide about a delivery that was not tried because its resource did not come; `began` are both clocks before."""
    took_ms = int((runtime.monotonic() - began[1]) * 1000)
    return _tried(plan, slot, outcome, [], (began[0], took_ms, clock.now_ms(), runtime.random()))


def _render(plan: TargetPlan, slot: Slot, note: Note) -> Message | Rejected | Retry:
    try:
        return plan.renderer.render(slot.claim.delivery, slot.claim.event, note.append, slot.resource)
    except RenderError as error:
        return Rejected(str(error)[:REASON_MAX])
    except BaseException as error:  # noqa: BLE001 - a fault of ours at one event must not end the daemon, again and again
        return Retry(f"our own code failed to write the message: {type(error).__name__}")


async def _deliver(plan: TargetPlan, deliver: Deliver, messages: list[Message]) -> Sequence[Outcome]:
    if not messages:
        return ()
    outcomes: object = None
    try:
        with trio.move_on_after(plan.timeout_seconds) as scope:
            outcomes = await deliver(messages)
    except BaseException as error:  # noqa: BLE001 - foreign code: even an exit must not end the daemon
        if cancelled := cancellation_in(error):
            raise cancelled from None
        return [Retry(raised(error)[:REASON_MAX])] * len(messages)
    if scope.cancelled_caught:
        return [Retry(f"timeout: no answer within {plan.timeout_seconds:g} s")] * len(messages)
    return _checked(outcomes, len(messages))


def _checked(outcomes: object, expected: int) -> Sequence[Outcome]:
    """Give `outcomes` if they are what the contract says, else the same number of `TargetDown`."""
    if isinstance(outcomes, list | tuple) and len(outcomes) == expected:
        well_formed = [outcome for each in outcomes if (outcome := _well_formed(each)) is not None]
        if len(well_formed) == expected:
            return well_formed
    return [TargetDown("the plugin broke its contract: expected one outcome for each message")] * expected


def _well_formed(outcome: object) -> Outcome | None:
    """Give `outcome` with a text that can be stored; None if it is none, or its fields are not what they must be."""
    if not isinstance(outcome, Delivered | Retry | Rejected | TargetDown | NotTried):
        return None
    text: object = outcome.detail if isinstance(outcome, Delivered) else outcome.reason
    after: object = getattr(outcome, "after", None)
    if not isinstance(text, str) or not (after is None or (isinstance(after, int | float) and math.isfinite(after))):
        return None
    if text.isascii() or (fit := _writable(text)) == text:
        return outcome
    return replace(outcome, detail=fit) if isinstance(outcome, Delivered) else replace(outcome, reason=fit)


def _tried(
    plan: TargetPlan,
    slot: Slot,
    outcome: Outcome,
    note: Note,
    moment: tuple[int, int, int, float],
    *,
    asked: bool = True,
) -> Tried:
    started, took_ms, now, jitter = moment
    delivery = slot.claim.delivery
    state, due, attempts, reason, name, waited = decide(delivery, outcome, plan.policy, now, jitter)
    row = AttemptRow(started, took_ms, name, reason[:REASON_MAX])
    progress = note[-1] if note and isinstance(note[-1], bytes) else delivery.progress
    key = (delivery.event_id, delivery.n, delivery.claims)
    return Tried(slot, outcome, Record(*key, state, due, attempts, row, progress, delivery.target, waited), asked)
