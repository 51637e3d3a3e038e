"""One connection: requests in, replies out, in order, until either side ends it.

A plain loop without cancel scopes: the sweeper looks at `deadline` and calls `expire`, which wakes this task by its
socket. A request that was read whole is handled to its end whatever the client does. Decides nothing about requests.
"""

from math import inf
from typing import Final

import trio

from gateway.core.model import Request
from gateway.errors import RequestError
from gateway.runtime import Socket
from gateway.wire.channel import Channel, PlainChannel, TlsChannel
from gateway.wire.chunks import ChunkedBody
from gateway.wire.limits import (
    BODY_RATE_GRACE_SECONDS,
    LAST_HANDSHAKE_SECONDS,
    LINGER_BYTES,
    LINGER_SECONDS,
    RECEIVE_BYTES,
)
from gateway.wire.parser import CHUNKED, Head, check_partial, parse_head
from gateway.wire.reply import CONTINUE, Reply, encode_reply, error_reply
from gateway.wire.state import Connect, Handler, ServerState
from gateway.wire.tls import ServerTls

OPENING: Final = "opening"
WAITING: Final = "waiting"
HEAD: Final = "head"
BODY: Final = "body"
HANDLING: Final = "handling"
SENDING: Final = "sending"
LINGERING: Final = "lingering"
GAVE_WAY: Final = "gave_way"

_FAILED: Final = error_reply(500)
_END: Final = b"\r\n\r\n"


class Connection:
    """One connection's task is `run`; the sweeper and the server call `sweep` and `expire`."""

    def __init__(self, channel: Channel, peer: str, group: str | None, state: ServerState, handler: Handler) -> None:
        """`group` is what the peer is counted by, None if it is not."""
        self.group = group
        self.phase = OPENING
        self.deadline = state.now + state.limits.header_seconds
        """When, on trio's clock, the present phase has lasted too long."""
        self._channel = channel
        self._peer = peer
        self._proxies = state.proxies
        self._trusted = state.proxies.trusts(peer)
        self._state = state
        self._handler = handler
        self._buffer = b""
        self._expired = ""
        self._last = False
        self._held = 0
        self._since = state.now
        """The beginning of the present phase."""
        self._received = 0

    @property
    def idle(self) -> bool:
        """True if it waits for a request."""
        return self.phase == WAITING

    @property
    def kept_waiting_since(self) -> float:
        """See `ServedConnection`."""
        return self._since if self.phase in {OPENING, HEAD, BODY, SENDING} and not self._expired else inf

    @property
    def held(self) -> int:
        """See `ServedConnection`."""
        return self._held if self.phase == BODY else 0

    async def run(self) -> None:
        """Serve the connection to its end and close it. Raises nothing but cancellation."""
        state = self._state
        try:
            await self._serve()
        except OSError:
            state.refused[self._expired or ("tls" if self.phase == OPENING else "disconnected")] += 1
        except Exception as error:  # noqa: BLE001 - no connection's fault may end the server
            state.report(error)
        finally:
            self._release()
            self._channel.close()

    def sweep(self) -> None:
        """Look whether the present phase has lasted too long, or a body comes too slowly."""
        state = self._state
        if self.deadline <= state.now:
            self.expire()
        elif self.phase == BODY:
            seconds = state.now - self._since
            if seconds > BODY_RATE_GRACE_SECONDS and self._received < seconds * state.limits.body_rate:
                self.expire()

    def drain(self) -> None:
        """End soon: at once if idle, after its request if there is one; a handshake gets a moment to complete."""
        if self.phase == WAITING:
            self.expire()
        elif self.phase == OPENING:
            self.deadline = min(self.deadline, self._state.now + LAST_HANDSHAKE_SECONDS)

    def expire(self) -> None:
        """End the present phase now: wakes the task, which says 408 where a request was on its way and closes."""
        self.deadline = inf
        if self.phase == WAITING:
            self._last = True  # what has arrived by now is still served
            self._channel.stop_reading()
            return
        self._expired = f"{self.phase}_timeout"
        if self.phase in {OPENING, SENDING}:
            self._channel.abort()
        else:
            self._channel.stop_reading()

    def give_way(self) -> None:
        """See `ServedConnection`."""
        self._expired = GAVE_WAY
        self._release()
        self._channel.abort()

    def _overdue(self) -> Exception:
        """Why nothing more is read: who gave way hears nothing, who was too slow is told."""
        return ConnectionError(GAVE_WAY) if self._expired == GAVE_WAY else RequestError(408, self._expired)

    async def _serve(self) -> None:
        await self._channel.open()
        self.phase = WAITING
        try:
            while raw := await self._read_head():
                head = parse_head(raw, self._state.limits.header_count)
                if not await self._answer(await self._reply(head), head):
                    break
        except RequestError as refusal:
            self._release()
            self._state.refused[refusal.reason] += 1
            await self._answer(error_reply(refusal.status), None)

    async def _read_head(self) -> bytes:
        """Give the bytes of the next head, empty if the client has no further request."""
        buffer = self._buffer
        if buffer:
            await trio.lowlevel.checkpoint()  # pipelined requests must not keep the others waiting
        checked = 0
        while (end := buffer.find(_END, max(0, checked - 3)) + 4) < 4:
            if buffer:
                self._begin_head(buffer, checked)
                checked = len(buffer)
            received = await self._channel.receive(RECEIVE_BYTES)
            if self._expired:
                raise self._overdue()
            if not received:
                return self._end_of_input(buffer)
            buffer = buffer + received if buffer else received
        self._check_size(end)
        self._buffer = buffer[end:]
        # An empty line before a request is left over from the one before (RFC 9112, 2.2).
        return buffer[2:end] if buffer.startswith(b"\r\n") else buffer[:end]

    def _begin_head(self, partial: bytes, checked: int) -> None:
        """Look at a head that is not whole yet, of which the first `checked` bytes were looked at."""
        if self.phase == WAITING:
            self.phase, self._since = HEAD, self._state.now
            self.deadline = self._since + self._state.limits.header_seconds
        self._check_size(len(partial))
        check_partial(partial, checked)

    def _check_size(self, size: int) -> None:
        if size > self._state.limits.header_bytes:
            raise RequestError(431, "head_too_large", f"more than {self._state.limits.header_bytes} bytes")

    def _end_of_input(self, partial: bytes) -> bytes:
        if partial.strip(b"\r\n"):
            raise ConnectionError("the client left within a head")
        return b""

    async def _reply(self, head: Head) -> Reply:
        """Ask the handler. The body's bytes count as held until the handler is done with them."""
        state = self._state
        try:
            verdict = self._handler.admit(head.method, head.path, head.headers)
        except Exception as error:  # noqa: BLE001 - the handler's fault ends this connection, not the server
            state.report(error)
            return _FAILED
        if isinstance(verdict, Reply):
            return verdict._replace(close=True) if head.length else verdict
        body = self._take_body(head.length, verdict)
        if body is None:
            body = await self._read_body(head, verdict)
        self.phase = HANDLING
        self.deadline = inf
        state.requests += 1
        if state.proxies is not self._proxies:  # a reload may have listed the peer, or not list it any more
            self._proxies = state.proxies
            self._trusted = state.proxies.trusts(self._peer)
        client = self._proxies.client(self._peer, head.headers) if self._trusted else self._peer
        try:
            return await self._handler.handle(
                Request(
                    head.method,
                    head.path,
                    head.query,
                    head.headers,
                    body,
                    client,
                    state.runtime.now_ms(),
                    self._channel.certificates,
                )
            )
        except Exception as error:  # noqa: BLE001 - as above
            state.report(error)
            return _FAILED
        finally:
            self._release()

    def _take_body(self, length: int, limit: int) -> bytes | None:
        """Give the body if it came whole with its head, as small ones do."""
        if not 0 <= length <= len(self._buffer):
            return None
        if length > limit:
            raise _too_large(length, limit)
        self._hold(length)
        body = self._buffer[:length]
        self._buffer = self._buffer[length:]
        return body

    async def _read_body(self, head: Head, limit: int) -> bytes:
        length = head.length
        if length > limit:
            raise _too_large(length, limit)
        if head.expects_continue and not self._buffer and not self._channel.send_nowait(CONTINUE):
            await self._flush()
        self.phase, self._since = BODY, self._state.now
        self.deadline = self._since + self._state.limits.body_seconds
        self._received = 0
        if length == CHUNKED:
            return await self._read_chunks(limit)
        return await self._read_length(length)

    async def _read_length(self, length: int) -> bytes:
        body = bytearray(self._buffer)
        self._buffer = b""
        self._hold(len(body))
        while len(body) < length:
            received = await self._receive(min(4 * RECEIVE_BYTES, length - len(body)))
            self._hold(len(received))
            body += received
        return bytes(body)

    async def _read_chunks(self, limit: int) -> bytes:
        body = ChunkedBody(limit)
        body.feed(self._buffer)
        self._hold(len(body.content))
        while not body.complete:
            before = len(body.content)
            body.feed(await self._receive(RECEIVE_BYTES))
            self._hold(len(body.content) - before)
        self._buffer = body.rest
        return bytes(body.content)

    async def _receive(self, size: int) -> bytes:
        """Give the next bytes of a body."""
        received = await self._channel.receive(size)
        if self._expired:
            raise self._overdue()
        if not received:
            raise ConnectionError("the client left within a body")
        self._received += len(received)
        return received

    def _hold(self, count: int) -> None:
        self._state.hold(count)
        self._held += count

    def _release(self) -> None:
        self._state.body_bytes -= self._held
        self._held = 0

    async def _answer(self, reply: Reply, head: Head | None) -> bool:
        """Send the reply; True if the connection stays for another request."""
        state = self._state
        close = reply.close or head is None or not head.keep_alive or self._last or state.draining
        head_only = head is not None and head.method == "HEAD"
        try:
            data = encode_reply(reply, state.date, close=close, head_only=head_only)
        except ValueError as error:
            state.report(error)
            close = True
            data = encode_reply(_FAILED, state.date, close=True, head_only=head_only)
        if not self._channel.send_nowait(data):
            await self._flush()
        if close or state.draining:
            await self._linger()
            return False
        self.phase = WAITING
        self.deadline = state.now + state.limits.idle_seconds
        return True

    async def _flush(self) -> None:
        self.phase, self._since = SENDING, self._state.now
        self.deadline = self._since + self._state.limits.send_seconds
        await self._channel.flush()

    async def _linger(self) -> None:
        """Let the client take the last reply: closing over unread bytes would reset it away (RFC 9112, 9.6)."""
        self.phase = LINGERING
        self.deadline = self._state.now + LINGER_SECONDS
        self._channel.finish()
        left = LINGER_BYTES
        while left > 0:
            dropped = await self._channel.discard()
            if not dropped:
                return
            left -= dropped


def over_http1(handler: Handler) -> Connect:
    """Serve `handler` on connections of HTTP/1.1."""

    def connect(socket: Socket, peer: str, group: str | None, tls: ServerTls | None, state: ServerState) -> Connection:
        channel = PlainChannel(socket) if tls is None else TlsChannel(socket, tls.context)
        return Connection(channel, peer, group, state, handler)

    return connect


def _too_large(length: int, limit: int) -> RequestError:
    return RequestError(413, "body_too_large", f"{length} of at most {limit} bytes")
