"""Verbs 7 to 9 for one delivery or one batch: *render*, *deliver*, *decide*.

Gives the records to write; writes none itself.

This is the one place where foreign code is called, so it has the one `except Exception`: whatever a target does, an
outcome comes out.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import trio

from gateway.blueprint import TargetPlan
from gateway.core.lifecycle import decide
from gateway.core.model import Message, Outcome, Rejected, Retry, TargetDown
from gateway.core.render import RenderError
from gateway.dispatch.line import Slot
from gateway.plugin import BatchTarget, Target
from gateway.runtime import Runtime
from gateway.store.contract import AttemptRow, Claim, Record

REASON_MAX: Final = 500
OUTCOMES: Final = (*Outcome.__args__,)


class Tried(NamedTuple):
    """One delivery after a try: what the target said, and what becomes of it."""

    slot: Slot
    outcome: Outcome
    record: Record


async def attempt(plan: TargetPlan, target: Target, slots: Sequence[Slot], runtime: Runtime) -> list[Tried]:
    """Try each delivery once, together if the target delivers many at a time; never raises but Cancelled.

    The target's timeout bounds the whole call; what had no outcome by then is a `Retry("timeout")`.
    """
    started = runtime.now_ms()
    progress: dict[tuple[int, int], bytes] = {}
    outcomes: dict[tuple[int, int], Outcome] = {}
    messages: list[tuple[Slot, Message]] = []
    for slot in slots:
        rendered = _render(plan, slot.claim, progress)
        if isinstance(rendered, Message):
            messages.append((slot, rendered))
        else:
            outcomes[_key(slot)] = rendered
    began = runtime.monotonic()
    found = await _deliver(plan, target, [message for _, message in messages])
    outcomes.update((_key(slot), outcome) for (slot, _), outcome in zip(messages, found, strict=True))
    took_ms = int((runtime.monotonic() - began) * 1000)
    return [_tried(plan, slot, outcomes[_key(slot)], progress, started, took_ms, runtime) for slot in slots]


def _key(slot: Slot) -> tuple[int, int]:
    return slot.claim.delivery.event_id, slot.claim.delivery.n


def _render(plan: TargetPlan, claim: Claim, progress: dict[tuple[int, int], bytes]) -> Message | Rejected:
    key = claim.delivery.event_id, claim.delivery.n

    def save(noted: bytes) -> None:
        progress[key] = noted

    try:
        return plan.renderer.render(claim.delivery, claim.event, save)
    except RenderError as error:
        return Rejected(str(error)[:REASON_MAX])


async def _deliver(plan: TargetPlan, target: Target, messages: list[Message]) -> Sequence[Outcome]:
    if not messages:
        return ()
    outcomes: Sequence[Outcome] = ()
    with trio.move_on_after(plan.timeout_seconds) as scope:
        try:
            outcomes = await _call(target, messages)
        except Exception as error:  # noqa: BLE001 - the one door to foreign code: its failure is an outcome
            return [Retry(f"{type(error).__name__}: {error}"[:REASON_MAX])] * len(messages)
    if scope.cancelled_caught:
        return [Retry(f"timeout: no answer within {plan.timeout_seconds:g} s")] * len(messages)
    return _checked(outcomes, len(messages))


async def _call(target: Target, messages: list[Message]) -> Sequence[Outcome]:
    if isinstance(target, BatchTarget):
        return await target.deliver_many(messages)
    return [await target.deliver(message) for message in messages]


def _checked(outcomes: object, expected: int) -> Sequence[Outcome]:
    well_formed = isinstance(outcomes, (list, tuple)) and len(outcomes) == expected
    if well_formed and all(isinstance(outcome, OUTCOMES) for outcome in outcomes):  # type: ignore[attr-defined]  # narrowed above
        return outcomes  # type: ignore[return-value]  # just checked
    return [TargetDown(f"the plugin broke its contract: expected an outcome, got {type(outcomes).__name__}")] * expected


def _tried(
    plan: TargetPlan,
    slot: Slot,
    outcome: Outcome,
    progress: dict[tuple[int, int], bytes],
    started: int,
    took_ms: int,
    runtime: Runtime,
) -> Tried:
    delivery = slot.claim.delivery
    decision = decide(delivery, outcome, plan.policy, runtime.now_ms(), runtime.random())
    row = AttemptRow(started, took_ms, decision.outcome_name, decision.reason[:REASON_MAX])
    noted = progress.get((delivery.event_id, delivery.n), delivery.progress)
    record = Record(
        delivery.event_id,
        delivery.n,
        delivery.claims,
        decision.state,
        decision.due,
        decision.attempts,
        row,
        noted,
        delivery.target,
    )
    return Tried(slot, outcome, record)
