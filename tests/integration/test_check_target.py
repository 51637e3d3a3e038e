"""The conformance check of targets finds the targets that break their promises."""

import re

import pytest
import trio
from pydantic import BaseModel

from gateway.plugin import Context, Delivered, Options, Retry, TargetDown, target
from gateway.runtime import Runtime
from gateway.testing.target import check_target


class Nothing(Options):
    """No options."""


class Good:
    """Keeps every promise; the bad ones below break one each."""

    def __init__(self, options):
        self.together = 0

    async def open(self, context):
        await trio.lowlevel.checkpoint()

    async def deliver(self, message):
        message.save_progress(b"seen")
        await trio.lowlevel.checkpoint()
        return Delivered()

    async def deliver_many(self, messages):
        return [await self.deliver(message) for message in messages]

    async def close(self):
        await trio.lowlevel.checkpoint()


async def check(kind, **settings):
    await check_target(kind, {}, Context(name="x", runtime=Runtime(), connections=4), **settings)


async def test_a_target_that_keeps_its_promises_passes():
    await check(target(Nothing)(Good))


async def test_a_function_passes_too():
    @target(Nothing)
    def put(message, options):
        return Delivered()

    await check(put)


class ReturnsNothing(Good):
    async def deliver(self, message):
        return None


class Raises(Good):
    async def deliver(self, message):
        if not message.content:
            raise RuntimeError("no content")
        return await super().deliver(message)


class RaisesTogether(Good):
    async def deliver(self, message):
        self.together += 1
        try:
            if self.together > 2:
                raise RuntimeError("too many at once")
            return await super().deliver(message)
        finally:
            self.together -= 1


class NeverTakesAgain(Good):
    seen = frozenset()

    async def deliver(self, message):
        if message.id in self.seen:
            return Retry("again")
        self.seen |= {message.id}
        return await super().deliver(message)


class StaysStuckAfterCancellation(Good):
    async def deliver(self, message):
        if self.together:
            return Retry("busy")
        if message.content.startswith(b'{"id":20'):
            self.together = 1
        await trio.lowlevel.checkpoint()
        self.together = 0
        return Delivered()


class EndlessReason(Good):
    async def deliver(self, message):
        return Retry("x" * 501) if message.version == "" else Delivered()


class ReasonOfTwoLines(Good):
    async def deliver(self, message):
        return TargetDown("a\nb") if message.version == "" else Delivered()


class WaitsBackwards(Good):
    async def deliver(self, message):
        return Retry("later", after=-1.0) if message.version == "" else Delivered()


class WaitsForEver(Good):
    async def deliver(self, message):
        return Retry("later", after=float("inf")) if message.version == "" else Delivered()


class ProgressOfText(Good):
    async def deliver(self, message):
        message.save_progress("text")
        return Delivered()


class TripsOverProgress(Good):
    async def deliver(self, message):
        if message.progress:
            message.progress.decode("ascii")
        return Delivered()


class WritesIntoTheMessage(Good):
    async def deliver(self, message):
        message.headers["x"] = "y"
        return Delivered()


class ShortBatches(Good):
    async def deliver_many(self, messages):
        return [Delivered()]


class FailsToOpen(Good):
    async def open(self, context):
        raise OSError("no such place")


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (ReturnsNothing, "expected an outcome"),
        (Raises, "raised RuntimeError"),
        (RaisesTogether, "too many at once"),
        (NeverTakesAgain, "the same message again"),
        (StaysStuckAfterCancellation, "after a cancelled try"),
        (EndlessReason, "reason must be a line"),
        (ReasonOfTwoLines, "reason must be a line"),
        (WaitsBackwards, "after must be seconds"),
        (WaitsForEver, "after must be seconds"),
        (ProgressOfText, "progress must be bytes"),
        (TripsOverProgress, "another's progress"),
        (WritesIntoTheMessage, "raised TypeError"),
        (ShortBatches, "one a message"),
        (FailsToOpen, "open raised OSError"),
    ],
)
async def test_a_target_that_breaks_a_promise_is_told_which(bad, words):
    with pytest.raises(AssertionError, match=re.escape(words)):
        await check(target(Nothing)(bad))


async def test_a_delivery_that_ignores_its_cancellation_is_found(autojump_clock):
    class Shielded(Good):
        async def deliver(self, message):
            with trio.CancelScope(shield=True):
                await trio.sleep(30)
            return Delivered()

    with pytest.raises(AssertionError, match="must end within"):
        await check(target(Nothing)(Shielded), patience=5)


async def test_options_that_take_unknown_keys_are_found():
    class Lax(BaseModel):
        pass

    with pytest.raises(AssertionError, match="unknown keys"):
        await check(target(Lax)(Good))
