"""ASGI wrapper between hypercorn and Quart: reads the body whole and bounded before the application is called.

Quart's own body limits differ between its versions and do not bound a chunked body in all of them, so Quart only ever
sees a finished body. Nor does it see a disconnect: a handler runs to its end whatever the client does, and quart-trio
never cancels itself out of an answer (which would leave the connection open for ever).
"""

from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, TypeAlias

import trio

from gateway.admin.limits import AdminLimits

Message: TypeAlias = MutableMapping[str, Any]
AsgiReceive: TypeAlias = Callable[[], Awaitable[Message]]
AsgiSend: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Message, AsgiReceive, AsgiSend], Awaitable[None]]


class WholeBody:
    """The wrapper; takes HTTP requests only."""

    def __init__(self, app: AsgiApp, limits: AdminLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Message, receive: AsgiReceive, send: AsgiSend) -> None:
        """Answer one request: 413 or 408 here, everything else by the application."""
        body: bytes | None = None
        status = HTTPStatus.REQUEST_TIMEOUT
        with trio.move_on_after(self._limits.body_seconds):
            body = await self._read(receive)
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        if body is None:
            await _refuse(send, status)
        else:
            await self._app(scope, _once(body), send)

    async def _read(self, receive: AsgiReceive) -> bytes | None:
        """Give the whole body, or None as soon as it is too large."""
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self._limits.body_bytes:
                return None
            if not message.get("more_body", False):
                return bytes(body)


def _once(body: bytes) -> AsgiReceive:
    pending = [body]

    async def receive() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        await trio.sleep_forever()
        raise AssertionError("sleep_forever returned")

    return receive


async def _refuse(send: AsgiSend, status: HTTPStatus) -> None:
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status.value, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
