"""A target whose messages a transform writes: the transform's answer is the message's content.

A transform that raises is a failed try (Retry), one that gives no bytes makes the message Rejected; trouble with its
worker is trouble with the target, as it is for a plugin target.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from gateway.core.model import Message, Outcome, TargetDown
from gateway.plugin import BatchTarget, Context, Options, Target, TransformKind, gather_of
from gateway.plugin_host.content import Content, call_transform, judge_content
from gateway.plugin_host.host import Host
from gateway.plugin_host.job import Job


class Transform(Protocol):
    """What makes a message's content."""

    async def open(self, context: Context) -> None:
        """Get ready."""
        ...

    async def apply(self, message: Message) -> Outcome | Content:
        """Give the content, or the outcome of the delivery that has none."""
        ...

    async def close(self) -> None:
        """Give everything back."""
        ...


class WorkerTransform:
    """A transform in a worker process."""

    def __init__(self, job: Job, down: str) -> None:
        self._job = job
        self._down = down

    async def open(self, context: Context) -> None:
        """Get ready; the process starts with the first message."""
        self._host = Host(self._job, context)

    async def apply(self, message: Message) -> Outcome | Content:
        """Ask the worker."""
        if self._down:
            return TargetDown(f"{self._down}: repair it, then hookgate reload")
        return await self._host.call(message)

    async def close(self) -> None:
        """End the process."""
        await self._host.close()


class InlineTransform:
    """A transform in our own process, because the operator trusts it."""

    def __init__(self, kind: TransformKind[Any], options: Options) -> None:
        self._kind = kind
        self._options = options

    async def open(self, context: Context) -> None:
        """Keep the context."""
        self._context = context

    async def apply(self, message: Message) -> Outcome | Content:
        """Call the function; what it raises is the delivery's failure."""
        return judge_content(await call_transform(self._kind, message, self._options, self._context.runtime))

    async def close(self) -> None:
        """Nothing to give back."""


class TransformedTarget:
    """A target behind a transform."""

    def __init__(self, target: Target, transform: Transform) -> None:
        self._target = target
        self._transform = transform
        self.gather = gather_of(target)

    async def open(self, context: Context) -> None:
        """Open both."""
        await self._transform.open(context)
        await self._target.open(context)

    async def deliver(self, message: Message) -> Outcome:
        """Deliver what the transform makes of the message."""
        content = await self._transform.apply(message)
        return await self._target.deliver(_with(message, content)) if isinstance(content, Content) else content

    async def close(self) -> None:
        """Close both."""
        try:
            await self._target.close()
        finally:
            await self._transform.close()


class TransformedBatchTarget(TransformedTarget):
    """A target that takes many at once, behind a transform."""

    async def deliver_many(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Transform one after the other, deliver what has content together."""
        contents = [await self._transform.apply(message) for message in messages]
        whole = [
            _with(message, each) for message, each in zip(messages, contents, strict=True) if isinstance(each, Content)
        ]
        target = self._target
        outcomes = iter(await target.deliver_many(whole) if whole and isinstance(target, BatchTarget) else ())
        return [next(outcomes) if isinstance(each, Content) else each for each in contents]


def transformed(target: Target, transform: Transform) -> Target:
    """Put a transform before a target."""
    return (TransformedBatchTarget if isinstance(target, BatchTarget) else TransformedTarget)(target, transform)


def _with(message: Message, content: Content) -> Message:
    return replace(message, content=content.body, content_type=content.content_type or message.content_type)
