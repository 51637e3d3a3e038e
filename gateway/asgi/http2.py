"""HTTP/2 by hypercorn and h2, behind the same rules as HTTP/1.1 and a meter for what only HTTP/2 makes possible.

A request's headers are written out as a head of HTTP/1.1 and read by our own parser: what is no good head
there is none here. What would raise in hypercorn does not reach it: bytes of a path above 0x7f, a body after an early
answer, priorities. Extended CONNECT, and with it WebSocket, is refused.
"""

from contextlib import suppress
from typing import Final

import trio
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, PriorityUpdated, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError
from hypercorn.events import Closed, RawData
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.utils import filter_pseudo_headers

from gateway.asgi.link import Desk
from gateway.asgi.meter import WASTE_BYTES, FrameMeter
from gateway.errors import RequestError
from gateway.wire.parser import Head, parse_head
from gateway.wire.reply import Reply, error_reply

REQUESTS_MAX: Final = 10_000
"""Requests on one connection; then it ends as soon as none is under way: h2 keeps something of each."""
_PLAIN: Final = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b""), (b":path", b"/")]
"""What hypercorn is told of a request that it must not read."""


class Http2(H2Protocol):
    """One connection's protocol: `take` is given what arrives."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(*desk.arguments())
        self.context = WorkerContext(None)  # hypercorn's own goodbye overtakes the end of the last answer
        self._desk = desk
        self._meter = FrameMeter(trio.current_time())
        self._taken = 0
        """Bytes of DATA frames that belonged to a request under way."""
        self._open: set[int] = set()
        """Streams whose sender has not ended them."""
        self._sent = trio.Event()
        self._requests = 0

    partial = False
    """A head that never ends is the meter's and the idle deadline's business."""

    @property
    def worn_out(self) -> bool:
        """True if the connection has served its share."""
        return self._requests >= REQUESTS_MAX

    async def take(self, data: bytes) -> None:
        """Handle what arrived."""
        try:
            self._meter.feed(data, trio.current_time())
            await self.handle(RawData(data))
            self._check_waste()
        except RequestError as refusal:
            await self.refuse(refusal)

    async def refuse(self, refusal: RequestError) -> None:
        """End the connection, with a word why."""
        self._desk.state.refused[refusal.reason] += 1
        await self._say_goodbye(ErrorCodes.ENHANCE_YOUR_CALM)

    async def leave(self) -> None:
        """Wait until all answers are out, then say that no further request will be taken."""
        while self.stream_buffers:
            self._sent = trio.Event()
            await self._sent.wait()
        await self._say_goodbye(ErrorCodes.NO_ERROR)

    async def _say_goodbye(self, code: ErrorCodes) -> None:
        with suppress(ProtocolError):
            self.connection.close_connection(error_code=code)
        await self._flush()
        await self.send(Closed())

    def _check_waste(self) -> None:
        if self._meter.data_bytes - self._taken > WASTE_BYTES:
            raise RequestError(400, "http2_waste", "bodies of requests that were answered")

    async def _handle_events(self, events: list[Event]) -> None:
        """Called by hypercorn with what h2 made of the bytes: pass on what hypercorn can bear."""
        for event in events:
            if isinstance(event, RequestReceived):
                await self._take_request(event)
            elif isinstance(event, DataReceived):
                await self._take_data(event)
            elif not isinstance(event, PriorityUpdated):
                if isinstance(event, StreamEnded | StreamReset):
                    self._open.discard(event.stream_id)
                if isinstance(event, StreamReset) and event.stream_id in self.stream_buffers:
                    # Otherwise hypercorn would keep what no answer will ever go through.
                    self.stream_buffers[event.stream_id].set_complete()
                await super()._handle_events([event])
        await self._flush()

    async def _take_request(self, event: RequestReceived) -> None:
        if self._desk.last or self.worn_out:
            with suppress(ProtocolError):  # the same bytes may have taken the request back
                self.connection.reset_stream(event.stream_id, ErrorCodes.REFUSED_STREAM)  # safe to send elsewhere
            return
        self._requests += 1
        self._open.add(event.stream_id)
        try:
            head = self._read_head(event)
            verdict = self._desk.admit(head)
        except RequestError as refusal:
            self._desk.state.refused[refusal.reason] += 1
            verdict = error_reply(refusal.status)
            self._desk.refuse_next(verdict)
            event = RequestReceived(stream_id=event.stream_id, headers=list(_PLAIN))
        else:
            if head.expects_continue and not isinstance(verdict, Reply):
                with suppress(ProtocolError):
                    self.connection.send_headers(event.stream_id, [(b":status", b"100")])
        await super()._handle_events([event])

    def _read_head(self, event: RequestReceived) -> Head:
        """Read the headers by the rules of HTTP/1.1. Raises RequestError."""
        limits = self._desk.state.limits
        pseudo = dict(event.headers)
        pairs = filter_pseudo_headers(event.headers)
        lines = [b"%b %b HTTP/1.1" % (pseudo.get(b":method", b""), pseudo.get(b":path", b""))]
        lines += [b"%b: %b" % pair for pair in pairs]
        raw = b"\r\n".join(lines) + b"\r\n\r\n"
        if len(raw) > limits.header_bytes:
            raise RequestError(431, "head_too_large", f"more than {limits.header_bytes} bytes")
        head = parse_head(raw, limits.header_count)
        if len(head.headers) != len(pairs):
            raise RequestError(400, "bad_head", "a line end in a header")
        return head

    async def _take_data(self, event: DataReceived) -> None:
        if event.stream_id in self.streams:
            self._taken += event.flow_controlled_length
            await super()._handle_events([event])
        else:  # answered before it was whole
            with suppress(ProtocolError):
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    async def _send_data(self, stream_id: int) -> None:
        """Called by hypercorn for each piece of an answer; after the last one the request's body is of no use."""
        await super()._send_data(stream_id)
        if stream_id in self.stream_buffers:
            return
        self._meter.answered()
        if stream_id in self._open:
            self._open.discard(stream_id)
            with suppress(ProtocolError):
                self.connection.reset_stream(stream_id, ErrorCodes.NO_ERROR)  # RFC 9113, 8.1
            await self._flush()
        self._sent.set()
