"""The public conformance check of targets: what every kind of target owes the gateway, wherever it delivers to.

It opens one target on a place of the caller's that takes messages, and delivers: plain and odd messages, many at once,
in batches, cancelled half-way, with progress of its own and of nobody. It cannot show that a message arrived; the
caller looks at the place afterwards.
"""

import math
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, Final, TypeVar

import trio

from gateway.plugin import (
    BatchTarget,
    Context,
    Delivered,
    Message,
    NotTried,
    Options,
    Outcome,
    Rejected,
    Retry,
    Target,
    TargetDown,
    TargetKind,
)

OptionsT = TypeVar("OptionsT", bound=Options)
T = TypeVar("T")

DETAIL_MAX: Final = 200
REASON_MAX: Final = 500
PROGRESS_MAX: Final = 64 * 1024

_CANCEL_AFTER: Final = (0, 1, 2, 4, 8)
"""Checkpoints until a delivery is cancelled."""


def sample_message(number: int = 1) -> Message:
    """Give a plain message; another number gives another event."""
    content = b'{"id":%d,"state":"completed"}' % number
    return Message(
        id=f"evt_{number:016x}",
        source="acme",
        type="order.completed",
        version="2023-10-30",
        content=content,
        content_type="application/json",
        headers=MappingProxyType({"content-type": "application/json", "x-request-id": f"r{number}"}),
        payload=content,
        target="conformance",
        route="orders",
        attempt=1,
        occurred_at=1_700_000_000_000,
        accepted_at=1_700_000_000_500,
    )


async def check_target(
    kind: TargetKind[OptionsT], options: Mapping[str, Any], context: Context, *, patience: float = 5.0
) -> None:
    """Check a kind of target with one set of options. Raises AssertionError that tells the broken promise.

    Args:
        kind: What `@gateway.plugin.target` made.
        options: As the operator would write them, for a place that takes messages.
        context: Its `connections` is how many deliveries are tried at once.
        patience: Seconds that a cancelled delivery may take to end.
    """
    _demand(
        kind.options.model_config.get("extra") == "forbid",
        "options must refuse unknown keys: derive them from gateway.plugin.Options",
    )
    target = kind.build(kind.options.model_validate(options))
    await _calls(target.open(context), "open")
    try:
        await _check_plain(target)
        for what, message in _odd_messages():
            await _deliver(target, message, what)
        await _check_together(target, context.connections)
        await _check_cancelled(target, patience)
        if isinstance(target, BatchTarget):
            await _check_batches(target)
        await _check_plain(target)
    finally:
        await _calls(target.close(), "close")


async def _check_plain(target: Target) -> None:
    """Two tries of one message: the second happens whenever the first one's record was lost."""
    saved: list[object] = []
    message = replace(sample_message(), save_progress=saved.append)
    for what in ("a plain message", "the same message again"):
        outcome = await _deliver(target, message, what)
        _demand(
            isinstance(outcome, Delivered), f"{what} must be delivered, found {outcome}: does the place take messages?"
        )
    for progress in tuple(saved):  # what is delivered here may save more
        _demand(isinstance(progress, bytes), f"progress must be bytes, found {type(progress).__name__}")
        if isinstance(progress, bytes):
            _demand(len(progress) <= PROGRESS_MAX, f"progress must not exceed {PROGRESS_MAX} bytes")
            await _deliver(target, replace(message, attempt=2, progress=progress), "a message with its own progress")


def _odd_messages() -> Iterator[tuple[str, Message]]:
    plain = sample_message(2)
    yield "empty content", replace(plain, content=b"", content_type="")
    yield "content that is no text", replace(plain, content=bytes(range(256)), content_type="application/octet-stream")
    yield "content of 1 MiB", replace(plain, content=b'"' + b"x" * 2**20 + b'"')
    yield "a payload that is no JSON", replace(plain, content=b"{", payload=b"{")
    yield "a type like a path", replace(plain, type="../../etc/x", version="\n", source="/")
    yield (
        "odd headers",
        replace(plain, headers=MappingProxyType({"": "", "x": "\r\ny: z", "ü": "\U0001f600", "connection": ","})),
    )
    yield "a content type with a line end", replace(plain, content_type="text/plain\r\nx: y")
    yield "another's progress", replace(plain, attempt=7, progress=b"\x00\xff{")
    yield "no version and no time", replace(plain, version="", occurred_at=None)


async def _check_together(target: Target, count: int) -> None:
    async def one(number: int) -> Outcome:
        return await _deliver(target, sample_message(100 + number), "one of several deliveries at once")

    outcomes = await _gather([partial(one, number) for number in range(count)])
    down = [outcome for outcome in outcomes if not isinstance(outcome, Delivered)]
    _demand(not down, f"{count} deliveries at once must all be delivered, found {down[:1]}")


async def _check_cancelled(target: Target, patience: float) -> None:
    for checkpoints in _CANCEL_AFTER:
        message = sample_message(200 + checkpoints)
        what = "a delivery that is cancelled"
        started = trio.current_time()
        await _gather([partial(_deliver, target, message, what)], cancel_after=checkpoints)
        took = trio.current_time() - started
        _demand(took <= patience, f"a cancelled delivery must end within {patience:g} s, found {took:.1f} s")
        again = await _deliver(target, message, "a message again after its delivery was cancelled")
        _demand(isinstance(again, Delivered), f"a message must be delivered after a cancelled try, found {again}")


async def _gather(calls: Sequence[Callable[[], Awaitable[T]]], cancel_after: int | None = None) -> list[T]:
    """Run all at once and give the results of those that ended; the first broken promise is raised as it is."""
    results: list[T] = []
    broken: list[AssertionError] = []

    async def run(call: Callable[[], Awaitable[T]]) -> None:
        try:
            results.append(await call())
        except AssertionError as error:
            broken.append(error)

    async with trio.open_nursery() as nursery:
        for call in calls:
            nursery.start_soon(run, call)
        for _ in range(cancel_after or 0):
            await trio.lowlevel.checkpoint()
        if cancel_after is not None:
            nursery.cancel_scope.cancel()
    for error in broken:
        raise error
    return results


async def _check_batches(target: BatchTarget) -> None:
    messages = [sample_message(300 + number) for number in range(7)]
    messages[3] = replace(messages[3], content=b"\xff\n\x00", content_type="")
    for batch in ([], messages[:1], messages):
        outcomes = await _calls(target.deliver_many(batch), "deliver_many")
        _demand(
            len(outcomes) == len(batch),
            f"deliver_many must give {len(batch)} outcomes, one a message, found {len(outcomes)}",
        )
        for outcome in outcomes:
            _check_outcome(outcome, "one of a batch")


async def _deliver(target: Target, message: Message, what: str) -> Outcome:
    outcome = await _calls(target.deliver(message), f"deliver ({what})")
    _check_outcome(outcome, what)
    return outcome


async def _calls(call: Awaitable[T], what: str) -> T:
    try:
        return await call
    except Exception as error:
        raise AssertionError(
            f"{what} raised {type(error).__name__}: {error}; a failed delivery is an outcome"
        ) from error


def _check_outcome(outcome: object, what: str) -> None:
    match outcome:
        case Delivered(detail):
            _demand(_is_line(detail, DETAIL_MAX), f"{what}: detail must be a line of at most {DETAIL_MAX} characters")
        case Retry(reason, after) | TargetDown(reason, after):
            _check_reason(reason, what)
            _demand(_is_wait(after), f"{what}: after must be seconds from 0 on, or None, found {after!r}")
        case Rejected(reason) | NotTried(reason):
            _check_reason(reason, what)
        case _:
            raise AssertionError(f"{what}: expected an outcome (Delivered, Retry, …), found {type(outcome).__name__}")


def _check_reason(reason: object, what: str) -> None:
    _demand(
        reason != "" and _is_line(reason, REASON_MAX), f"{what}: reason must be a line of 1 to {REASON_MAX} characters"
    )


def _is_line(text: object, limit: int) -> bool:
    return isinstance(text, str) and len(text) <= limit and not set(text) & {"\r", "\n", "\0"}


def _is_wait(after: object) -> bool:
    return after is None or (isinstance(after, int | float) and math.isfinite(after) and after >= 0)


def _demand(kept: bool, promise: str) -> None:
    if not kept:
        raise AssertionError(promise)
