"""HTTP/1.1 by hypercorn, behind a gate: a head reaches it only after our own parser has taken it.

Hypercorn 0.18 offers h2c and WebSocket to anyone on a cleartext listener, has no setting against it, and one malformed
packet in either ends a trio server (docs/adr); h11 takes bare LF, folded lines, and Content-Length together with
Transfer-Encoding. Here both parsers must agree, and what is refused is refused before the application sees anything.
"""

from typing import Final

import h11
from hypercorn.events import Closed, RawData
from hypercorn.protocol.h11 import H11Protocol

from gateway.asgi.link import Desk
from gateway.errors import RequestError
from gateway.wire.parser import Head, check_partial, parse_head
from gateway.wire.reply import Reply, encode_reply, error_reply

FRAMING_BYTES: Final = 128 * 1024
"""Bytes of framing that a body in chunks may have beyond its own size, and what is pipelined behind it."""
_END: Final = b"\r\n\r\n"


class Http1(H11Protocol):
    """One connection's protocol: `take` is given what arrives."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(*desk.arguments())
        self._desk = desk
        self._head = b""
        """Of the next head, what has arrived while h11 waits for it."""
        self._known = 0
        """How much of it h11 has already: it came behind the request before."""
        self._passed: Head | None = None
        """The head of the request that h11 is at work on."""
        self._raw = 0

    worn_out = False

    @property
    def partial(self) -> bool:
        """True within a head."""
        return bool(self._head.strip(b"\r\n"))

    async def take(self, data: bytes) -> None:
        """Handle what arrived."""
        try:
            if self._passed is None:
                data = self._gate(data)
            else:
                self._check_framing(len(data))
            if data:
                await self.handle(RawData(data))
        except RequestError as refusal:
            await self.refuse(refusal)
        except _AnsweredError:
            return

    async def refuse(self, refusal: RequestError) -> None:
        """Answer what is no request; the connection ends."""
        self._desk.state.refused[refusal.reason] += 1
        await self._reply(error_reply(refusal.status), head_only=False)

    async def leave(self) -> None:
        """Nothing is left to say: the replies said that they were the last."""

    def _gate(self, data: bytes) -> bytes:
        """Give what h11 may have: nothing until the head is whole and good."""
        checked = len(self._head)
        self._head += data
        if not self._known and self._head.startswith(b"\r\n"):  # left over from the request before (RFC 9112, 2.2)
            self._head = self._head[2:]
            checked = max(0, checked - 2)
        end = self._head.find(_END, max(0, checked - 3)) + 4
        if end < 4:
            self._check_size(len(self._head))
            check_partial(self._head, checked)
            if self._head:
                self._desk.head_begun()
            return b""
        self._pass(self._head[:end])
        rest = self._head[self._known :]
        self._head = b""
        return rest

    def _pass(self, raw: bytes) -> None:
        self._check_size(len(raw))
        self._passed = parse_head(raw, self._desk.state.limits.header_count)
        self._raw = 0

    def _check_size(self, size: int) -> None:
        if size > self._desk.state.limits.header_bytes:
            raise RequestError(431, "head_too_large", f"more than {self._desk.state.limits.header_bytes} bytes")

    def _check_framing(self, count: int) -> None:
        self._raw += count
        content = self._desk.received()
        if self._raw > FRAMING_BYTES + 2 * content:
            raise RequestError(400, "bad_chunk", "more framing than content")

    async def _check_protocol(self, event: h11.Request) -> None:  # noqa: ARG002 - the gate's parser has read it
        """Called by hypercorn for each head, in place of its own offers to switch protocols."""
        head = self._passed
        if head is None:
            raise RequestError(400, "bad_head", "a head that did not pass the gate")
        verdict = self._desk.admit(head)
        if isinstance(verdict, Reply):
            await self._reply(verdict, head_only=head.method == "HEAD")
            raise _AnsweredError

    async def _maybe_recycle(self) -> None:
        """Called by hypercorn after each answer: what h11 has of the next head must pass the gate too."""
        self._passed = None
        trailing = self.connection.trailing_data[0]
        self._head, self._known = trailing, len(trailing)
        end = trailing.find(_END) + 4
        if end >= 4:
            try:
                self._pass(trailing[:end])
            except RequestError as refusal:
                await self._close_stream()
                return await self.refuse(refusal)
            self._head, self._known = b"", 0
        return await super()._maybe_recycle()

    async def _reply(self, reply: Reply, *, head_only: bool) -> None:
        data = encode_reply(reply, self._desk.state.date, close=True, head_only=head_only)
        await self.send(RawData(data))
        await self.send(Closed())


class _AnsweredError(Exception):
    """Ends hypercorn's handling of a request that has its answer."""
