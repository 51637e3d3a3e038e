"""A kind of target: what it must do, and how a class or a function becomes one."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Literal, Protocol, TypeAlias, runtime_checkable

from gateway.config.units import parse_duration
from gateway.core.model import Message, Outcome
from gateway.kinds.context import Context
from gateway.kinds.options import OptionsT

SendForm: TypeAlias = Literal["payload", "request", "envelope", "empty"]
Replays: TypeAlias = Literal["yes", "ask", "never"]
"""Whether a target takes replayed events: always, only if the operator names it, or not at all."""


class Target(Protocol):
    """A configured place to deliver to.

    One object per target and configuration; deliveries may run at the same time.
    """

    async def open(self, context: Context) -> None:
        """Get ready before the first delivery. A failure makes the target down; it is called again at each probe."""
        ...

    async def deliver(self, message: Message) -> Outcome:
        """Try once.

        Cancelled when the target's timeout is over; must leave nothing half-done that a second try would spoil.
        """
        ...

    async def close(self) -> None:
        """Give everything back; called once after `open` succeeded, no delivery runs."""
        ...


@runtime_checkable
class BatchTarget(Protocol):
    """A target that delivers many at once (file: one write and one fsync for many).

    One that rather waits until there are more, as a digest does, has an attribute `gather`, a `Gather`.
    """

    async def deliver_many(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Try each once; give one outcome for each, in order."""
        ...


@runtime_checkable
class RestingTarget(Protocol):
    """A target that keeps something between deliveries for speed alone: connections, say."""

    def rest(self) -> None:
        """Give back what is not worth keeping; called about twice a minute while there is little to do.

        Deliveries may run meanwhile. Must be quick.
        """
        ...


@dataclass(frozen=True, slots=True)
class Gather:
    """How long a target rather waits for more messages; what waits is in the store meanwhile, not in memory."""

    seconds: float
    """From when the first of them was due."""
    count: int
    """So many are delivered at once, and never more together."""


def gather_of(target: Target) -> Gather | None:
    """Give what a target gathers for; None if it takes what there is."""
    found = getattr(target, "gather", None)
    return found if isinstance(found, Gather) else None


@dataclass(frozen=True, slots=True)
class TargetKind(Generic[OptionsT]):
    """A kind of target, as the operator names it in `type`."""

    options: type[OptionsT]
    build: Callable[[OptionsT], Target]
    """Make the target; no side effects, `open` comes later. Raises ValueError for options that do not fit together."""
    timeout_seconds: float | None
    """None: the operator must write one."""
    concurrency: int
    send: SendForm
    """The form of message unless the operator writes another."""
    replay: Replays = "yes"
    """Whether it takes replayed events unless the operator writes so; "ask" where a repeat is seen or felt."""


DeliverFunction: TypeAlias = Callable[[Message, OptionsT], Outcome | Awaitable[Outcome]]


class FunctionTarget(Generic[OptionsT]):
    """A target made of one function; a plain one runs in a thread of the file pool."""

    def __init__(self, function: Callable[[Message, OptionsT], Any], options: OptionsT) -> None:
        self._function = function
        self._options = options
        self._asynchronous = inspect.iscoroutinefunction(function)

    async def open(self, context: Context) -> None:
        """Keep the context."""
        self._context = context

    async def deliver(self, message: Message) -> Outcome:
        """Call the function."""
        if self._asynchronous:
            outcome: Outcome = await self._function(message, self._options)
        else:
            outcome = await self._context.runtime.in_file_thread(lambda: self._function(message, self._options))
        return outcome

    async def close(self) -> None:
        """Nothing to give back."""


def target(
    options: type[OptionsT],
    *,
    timeout: str | None = "30s",
    concurrency: int = 16,
    send: SendForm = "envelope",
    replay: Replays = "yes",
) -> Callable[[Callable[..., Any]], TargetKind[OptionsT]]:
    """Mark a class (built with its options) or a function `(message, options) -> Outcome` as a kind of target."""

    def mark(thing: Callable[..., Any]) -> TargetKind[OptionsT]:
        build: Callable[[OptionsT], Target] = thing
        if not inspect.isclass(thing):
            build = partial(FunctionTarget, thing)
        seconds = None if timeout is None else parse_duration(timeout)
        return TargetKind(options, build, seconds, concurrency, send, replay)

    return mark
