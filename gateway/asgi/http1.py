"""HTTP/1.1 by hypercorn, behind a gate: h11 gets heads that our own parser has taken, and bodies that it has framed.

Hypercorn 0.18 offers h2c and WebSocket to anyone on a cleartext listener, has no setting against it, and one malformed
packet in either ends a trio server (docs/adr); h11 takes bare LF, folded lines, and Content-Length together with
Transfer-Encoding. Here both parsers must agree, and what is refused is refused before the application sees anything.
"""

from http import HTTPStatus
from typing import Final

import h11
import trio
from hypercorn.events import Closed, RawData
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.typing import H11SendableEvent

from gateway.asgi.link import Desk
from gateway.errors import RequestError
from gateway.wire.chunks import ChunkedBody
from gateway.wire.parser import CHUNKED, Head, check_partial, parse_head
from gateway.wire.reply import Reply, encode_reply, error_reply

_END: Final = b"\r\n\r\n"
PHRASES: Final = {status.value: status.phrase.encode() for status in HTTPStatus}


class Http1(H11Protocol):
    """One connection's protocol: `take` is given what arrives."""

    worn_out = False

    def __init__(self, desk: Desk) -> None:
        super().__init__(*desk.arguments())
        self._desk = desk
        self._buffer = b""
        """Of the next head, what has arrived."""
        self._skipped = False
        """A line end before it was passed over: one is, however the bytes come in pieces."""
        self._head: Head | None = None
        """Of the request that has no answer yet."""
        self._left = 0
        """Bytes of its body that have not arrived, if it has a length."""
        self._chunks: ChunkedBody | None = None
        """Its body, if that comes in chunks, until it is whole."""
        self._free = trio.Event()
        """The request has its answer."""

    @property
    def partial(self) -> bool:
        """True within a head."""
        return bool(self._buffer)

    async def take(self, data: bytes) -> None:
        """Handle what arrived. Waits for the answer to a request if more is pipelined behind it."""
        try:
            while data and not self._desk.closing:
                if self._head is None:
                    data = await self._take_head(data)
                elif self._chunks:
                    data = await self._take_chunks(self._chunks, data)
                elif self._left:
                    data = await self._take_length(data)
                else:
                    await self._free.wait()
        except RequestError as refusal:
            await self.refuse(refusal)
        except _AnsweredError:
            return

    async def refuse(self, refusal: RequestError) -> None:
        """Answer what is no request; the connection ends."""
        self._desk.state.refused[refusal.reason] += 1
        await self._reply(error_reply(refusal.status), head_only=False)

    async def leave(self) -> None:
        """Close: the replies said that they were the last."""
        await self.send(Closed())

    async def _take_head(self, data: bytes) -> bytes:
        """Give h11 the head once it is whole and good; returns what follows it."""
        checked = len(self._buffer)
        self._buffer += data
        if not self._skipped and self._buffer.startswith(b"\r\n"):  # left over from the request before (RFC 9112, 2.2)
            self._buffer = self._buffer[2:]
            self._skipped = True
            checked = 0
        end = self._buffer.find(_END, max(0, checked - 3)) + 4
        self._check_size(end if end >= 4 else len(self._buffer))
        if end < 4:
            check_partial(self._buffer, checked)
            if self._buffer:
                self._desk.head_begun()
            return b""
        raw, rest = self._buffer[:end], self._buffer[end:]
        self._buffer, self._skipped = b"", False
        head = parse_head(raw, self._desk.state.limits.header_count)
        self._head, self._free = head, trio.Event()
        self._left = max(0, head.length)
        self._chunks = None
        await self.handle(RawData(raw))
        return rest

    async def _take_length(self, data: bytes) -> bytes:
        piece = data[: self._left]
        self._left -= len(piece)
        await self.handle(RawData(piece))
        return data[len(piece) :]

    async def _take_chunks(self, chunks: ChunkedBody, data: bytes) -> bytes:
        """Give h11 what the chunks held, in a frame of ours: many small ones cost as little as one."""
        chunks.feed(data)
        piece = bytes(chunks.content)
        chunks.content.clear()
        framed = b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
        if not chunks.complete:
            if framed:
                await self.handle(RawData(framed))
            return b""
        self._chunks = None
        await self.handle(RawData(framed + b"0\r\n\r\n"))
        return chunks.rest

    def _check_size(self, size: int) -> None:
        if size > self._desk.state.limits.header_bytes:
            raise RequestError(431, "head_too_large", f"more than {self._desk.state.limits.header_bytes} bytes")

    async def _check_protocol(self, event: h11.Request) -> None:  # noqa: ARG002 - our own parser has read it
        """Called by hypercorn for each head, in place of its own offers to switch protocols."""
        head = self._head
        if head is None:
            raise RequestError(400, "bad_head", "h11 found a head where there is none")
        verdict = self._desk.admit(head)
        if not isinstance(verdict, Reply):
            self._chunks = ChunkedBody(verdict) if head.length == CHUNKED else None
        elif head.length:  # without a body the exchange answers, and the connection stays
            await self._reply(verdict, head_only=head.method == "HEAD")
            raise _AnsweredError

    async def _maybe_recycle(self) -> None:
        """Called by hypercorn after each answer."""
        self._head = None
        await super()._maybe_recycle()
        self._free.set()

    async def _send_h11_event(self, event: H11SendableEvent) -> None:
        """Called by hypercorn, which names no reason: some clients want to read one."""
        if isinstance(event, h11.Response | h11.InformationalResponse) and not event.reason:
            reason = PHRASES.get(event.status_code, b"")
            event = type(event)(status_code=event.status_code, headers=event.headers.raw_items(), reason=reason)
        await super()._send_h11_event(event)

    async def _reply(self, reply: Reply, *, head_only: bool) -> None:
        data = encode_reply(reply, self._desk.state.date, close=True, head_only=head_only)
        await self.send(RawData(data))
        await self.send(Closed())


class _AnsweredError(Exception):
    """Ends hypercorn's handling of a request that has its answer."""
