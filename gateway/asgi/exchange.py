"""One request under way on a connection of hypercorn's: its body in, whole and bounded; its answer out, in time.

It takes the place of hypercorn's queue and task: the application is called only once the body is there, is told of no
disconnect, and runs to its end whatever the sender does. Decides nothing about requests.
"""

from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

import trio

from gateway.asgi.link import Link
from gateway.asgi.replies import send_reply
from gateway.asgi.types import AsgiApp, Message
from gateway.errors import RequestError
from gateway.wire.limits import BODY_RATE_GRACE_SECONDS
from gateway.wire.reply import Reply, error_reply
from gateway.wire.state import ServerState


class Exchange:
    """`put` is fed by hypercorn with what arrives, `run` is the task that answers."""

    def __init__(
        self,
        app: AsgiApp,
        scope: Message,
        verdict: int | Reply,
        send: Callable[[Any], Awaitable[None]],
        link: Link,
        state: ServerState,
        request_seconds: float,
    ) -> None:
        """`verdict` is the most bytes that the body may have, or the answer that is final without it."""
        self.received = 0
        self._app = app
        self._scope = scope
        self._verdict = verdict
        self._send = send
        self._link = link
        self._state = state
        self._request_seconds = request_seconds
        self._since = trio.current_time()
        self._body = bytearray()
        self._held = 0
        self._whole = False
        self._problem: RequestError | None = None
        self.gone = False
        """Its sender left, or sends no more, before the body was whole."""
        self._arrived = trio.Event()
        self._waiting = trio.CancelScope()
        self._saying = trio.CancelScope()
        self._given = False
        self._ends = False
        self._started = False
        self._pace()

    @property
    def kept_waiting_since(self) -> float:
        """When its head had been read, while its body is not whole; inf from then on."""
        return inf if self._whole or self._problem or self.gone else self._since

    @property
    def held(self) -> int:
        """Bytes of a body that is not whole."""
        return 0 if self._whole else self._held

    async def put(self, message: Message) -> None:
        """Take a piece of the body, or the news that no more will come. Never waits."""
        if message["type"] == "http.disconnect":
            self.end_of_input()
        elif not (self._whole or self._problem or self.gone):
            self._take(message["body"])
            if not message["more_body"]:
                self._whole = True
                self._arrived.set()

    def end_of_input(self) -> None:
        """Nothing more will come: a request whose body is not whole is forgotten."""
        if not self._whole:
            self.gone = True
            self._arrived.set()

    def leave(self) -> None:
        """Give up what comes and what is being sent: the connection is over. A handler at work is left alone."""
        self.end_of_input()
        if self.gone:
            self._release()
        self._saying.cancel()

    async def run(self) -> None:
        """Answer, unless the sender leaves within the body."""
        try:
            await self._answer()
        except RequestError as refusal:
            self._state.refused[refusal.reason] += 1
            self._release()
            await self._refuse(refusal.status)
        except Exception as error:  # noqa: BLE001 - the application's fault ends this request, not the server
            self._state.report(error)
        finally:
            self._release()
            try:
                await self._finish()
            finally:
                self._link.done(self)

    def _take(self, piece: bytes) -> None:
        self.received += len(piece)
        if isinstance(self._verdict, Reply):
            return
        try:
            self._check_size(self._verdict)
            self._state.hold(len(piece))
        except RequestError as problem:
            self._problem = problem.with_traceback(None)
            self._arrived.set()
        else:
            self._held += len(piece)
            self._body += piece
            self._pace()

    def _check_size(self, limit: int) -> None:
        if self.received > limit:
            raise RequestError(413, "body_too_large", f"more than {limit} bytes")

    def _pace(self) -> None:
        """Say until when the next piece must be there."""
        limits = self._state.limits
        seconds = min(limits.body_seconds, max(BODY_RATE_GRACE_SECONDS, self.received / limits.body_rate))
        self._waiting.deadline = self._since + seconds

    def _release(self) -> None:
        self._state.body_bytes -= self._held
        self._held = 0
        self._body = bytearray()

    async def _answer(self) -> None:
        if isinstance(self._verdict, Reply):
            self._ends = self._verdict.close
            await send_reply(self._say, self._verdict)
            return
        with self._waiting:
            await self._arrived.wait()
        if self._problem:
            raise self._problem
        if self.gone:
            if not self._link.over:  # else why it is over has been counted
                self._state.refused["disconnected"] += 1
        elif not self._whole:
            raise RequestError(408, "body_timeout")
        else:
            self._state.requests += 1
            with trio.move_on_after(self._request_seconds):
                await self._app(self._scope, self._receive, self._say)

    async def _receive(self) -> Message:
        """Give the whole body, then nothing for ever: the application learns of no disconnect."""
        if self._given:
            await trio.sleep_forever()
        self._given = True
        body, self._body = bytes(self._body), bytearray()
        return {"type": "http.request", "body": body, "more_body": False}

    async def _say(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            self._release()
            if self._link.last or self._ends or not self._whole:
                message = self._closing(message)
        await self._out(message)

    def _closing(self, message: Message) -> Message:
        """Say that the connection ends, where the protocol has a header for it."""
        if not self._scope["http_version"].startswith("1"):
            return message
        return {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}

    async def _refuse(self, status: int) -> None:
        self._ends = True
        await send_reply(self._say, error_reply(status))

    async def _finish(self) -> None:
        """See that there is an answer, which a sender that only stopped sending still reads; put the stream away."""
        if not (self._started or self._link.over):
            await self._refuse(400 if self.gone else 500)
        await self._out(None)

    async def _out(self, message: Message | None) -> None:
        if self._link.over:
            return
        self._saying = trio.CancelScope(deadline=trio.current_time() + self._state.limits.send_seconds)
        with self._saying:
            await self._send(message)
        if self._saying.cancelled_caught:
            self._link.break_off("sending_timeout")
