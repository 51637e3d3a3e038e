"""One connection under hypercorn: reads, writes, deadlines, and nothing of it may reach the daemon.

It stands where hypercorn has its `TCPServer`, which reads idle connections for ever, sends behind a shield without a
deadline, and lets an exception of one connection end the process. Here every wait has an end and every exception stops
at `run`. The listener of `gateway.wire` accepts, counts, sweeps and drains it like a connection of its own.
"""

from collections.abc import Callable, Sequence
from math import inf
from typing import Any, Final

import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.typing import ConnectionState

from gateway.asgi.exchange import Exchange
from gateway.asgi.http1 import Http1
from gateway.asgi.http2 import Http2
from gateway.asgi.service import Context, Service, make_config
from gateway.asgi.stream import Stream
from gateway.asgi.types import AsgiApp
from gateway.core.model import Headers
from gateway.errors import RequestError
from gateway.runtime import Socket
from gateway.wire.limits import LAST_HANDSHAKE_SECONDS, LINGER_BYTES, LINGER_SECONDS
from gateway.wire.parser import Head
from gateway.wire.proxies import UNIX
from gateway.wire.reply import Reply, error_reply
from gateway.wire.state import Connect, ServerState
from gateway.wire.tls import ServerTls

CERTIFICATES: Final = "hookgate.certificates"
"""Where in a scope stands what the client showed in the TLS handshake (`Request.certificates`)."""
OPENING: Final = "opening"
WAITING: Final = "waiting"
HEAD: Final = "head"
BUSY: Final = "busy"
LINGERING: Final = "lingering"
LEAVING: Final = "leaving"


class Connection:
    """A connection that was accepted; `run` serves it to its end, the listener calls the rest.

    It is also what hypercorn's protocols take for their task group, and what they ask of it (`gateway.asgi.link`).
    """

    def __init__(
        self, socket: Socket, peer: str, group: str | None, tls: ServerTls | None, state: ServerState, service: Service
    ) -> None:
        """`group` is what the peer is counted by, None if it is not."""
        self.group = group
        self.state = state
        self.phase = OPENING
        self.deadline = state.now + state.limits.header_seconds
        """When, on trio's clock, the present phase has lasted too long."""
        self._since = state.now
        """When the handshake or the present head began."""
        self.over = False
        self._peer = peer
        self._service = service
        self._stream = Stream(socket, tls.context if tls else None)
        self._protocol: Http1 | Http2 | None = None
        self._io = trio.CancelScope()
        self._talking: trio.Nursery
        self._requests: trio.Nursery
        self._exchanges: set[Exchange] = set()
        self._answered = trio.Event()
        """No request is under way; a new event when one begins."""
        self._verdict: int | Reply = 0
        self._client = peer
        self._last = False
        self._broken = False
        """Its end is counted."""
        self._expired = ""

    @property
    def idle(self) -> bool:
        """True if it waits for a request."""
        return self.phase == WAITING

    @property
    def kept_waiting_since(self) -> float:
        """See `ServedConnection`; with several requests, all must be waiting for their bodies."""
        if self.over:
            return inf
        if self.phase == BUSY:
            return max((exchange.kept_waiting_since for exchange in self._exchanges), default=inf)
        return self._since if self.phase in {OPENING, HEAD} else inf

    @property
    def held(self) -> int:
        """See `ServedConnection`."""
        return sum(exchange.held for exchange in self._exchanges)

    @property
    def last(self) -> bool:
        """True if the connection ends after the requests under way."""
        return self._last or self.state.draining

    @property
    def closing(self) -> bool:
        """True once the last has been said: what arrives now is of no use."""
        return self.over or self.phase == LINGERING

    async def run(self) -> None:
        """Serve requests until either side closes or a deadline is over. Raises nothing but cancellation."""
        try:
            async with trio.open_nursery() as self._requests:
                try:
                    with self._io:
                        await self._talk()
                finally:
                    self._end()
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            if not self._broken:
                self.state.refused["tls" if self.phase == OPENING else "disconnected"] += 1
        except* Exception as failures:  # noqa: BLE001 - no connection's fault may end the server
            self.state.report(failures)

    def sweep(self) -> None:
        """Look whether the present phase has lasted too long; a body's own deadlines are its exchange's."""
        if self.deadline <= self.state.now:
            self.expire()

    def drain(self) -> None:
        """End soon: at once if idle, after its requests if there are any; a handshake gets a moment to complete."""
        if self.phase == WAITING:
            self.expire()
        elif self.phase == OPENING:
            self.deadline = min(self.deadline, self.state.now + LAST_HANDSHAKE_SECONDS)

    def expire(self) -> None:
        """End the present phase now; what has arrived by now is still served."""
        self.deadline = inf
        if self.phase in {WAITING, HEAD}:
            self._last = True
            self._expired = "head_timeout" if self.phase == HEAD else ""
            self._stream.stop_reading()
        elif self.phase == OPENING:
            self.break_off("opening_timeout")
        else:
            self._io.cancel()

    def give_way(self) -> None:
        """See `ServedConnection`."""
        self.break_off("gave_way")

    def break_off(self, reason: str) -> None:
        """See `Link`."""
        if not self.over:
            self._broken = True
            if not any(exchange.gone for exchange in self._exchanges):  # else its leaving is counted already
                self.state.refused[reason] += 1
            self._stream.reset()
            self._end()
            self._io.cancel()

    def done(self, exchange: Exchange) -> None:
        """See `Link`."""
        self._exchanges.discard(exchange)
        if self._exchanges:
            return
        self._answered.set()
        if self.phase == BUSY and self._protocol is not None:
            self.phase, self._since = HEAD if self._protocol.partial else WAITING, self.state.now
            limits = self.state.limits
            self.deadline = self.state.now + (limits.header_seconds if self.phase == HEAD else limits.idle_seconds)
            if self.phase == WAITING and (self.last or self._protocol.worn_out):
                self.expire()

    def arguments(self) -> Sequence[Any]:
        """See `Desk`."""
        context, state = Context(self.state), ConnectionState({})
        encrypted, server = self._stream.encrypted, self._stream.server
        service = self._service
        return service.app, service.config, context, self, state, encrypted, None, server, self._handle

    def admit(self, head: Head) -> int | Reply:
        """See `Desk`."""
        proxies = self.state.proxies
        self._client = proxies.client(self._peer, head.headers) if proxies.trusts(self._peer) else self._peer
        try:
            self._verdict = self._service.admit(head.method, head.path, head.headers)
        except Exception as error:  # noqa: BLE001 - the handler's fault ends this request, not the server
            self.state.report(error)
            self._verdict = error_reply(500)
        if not isinstance(self._verdict, Reply) and head.length > self._verdict:
            raise RequestError(413, "body_too_large", f"{head.length} of at most {self._verdict} bytes")
        return self._verdict

    def refuse_next(self, reply: Reply) -> None:
        """See `Desk`."""
        self._verdict = reply

    def head_begun(self) -> None:
        """See `Desk`."""
        if self.phase == WAITING:
            self.phase, self._since = HEAD, self.state.now
            self.deadline = self._since + self.state.limits.header_seconds

    async def spawn_app(self, app: Any, _config: Config, scope: Any, send: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - hypercorn's own types are closed unions of messages
        """Begin a request; called by hypercorn once its head is read. Gives what hypercorn feeds its body to."""
        scope["client"] = None if self._client == UNIX else (self._client, 0)
        scope[CERTIFICATES] = self._stream.certificates
        exchange = Exchange(app, scope, self._verdict, send, self, self.state, self._service.request_seconds)
        self._exchanges.add(exchange)
        self._answered = trio.Event()
        self.phase, self.deadline = BUSY, inf
        self._requests.start_soon(exchange.run)
        return exchange.put

    def spawn(self, run: Callable[..., Any], *arguments: Any) -> None:  # noqa: ANN401 - hypercorn's signature
        """Start a task of hypercorn's: what sends the answers of HTTP/2."""
        self._talking.start_soon(run, *arguments)

    async def _talk(self) -> None:
        agreed = await self._stream.open()
        protocol = self._protocol = Http2(self) if agreed == "h2" else Http1(self)
        self.phase = WAITING
        async with trio.open_nursery() as self._talking:
            await protocol.initiate()
            await self._read(protocol)
            self._talking.cancel_scope.cancel()

    async def _read(self, protocol: Http1 | Http2) -> None:
        """Feed the protocol until the end of input, which ends no request that is there."""
        dropped = 0
        while dropped < LINGER_BYTES and (data := await self._stream.receive()):
            if self.phase == LINGERING:
                dropped += len(data)
            else:
                await protocol.take(data)
        if self._expired:
            await protocol.refuse(RequestError(408, self._expired))
        elif self.phase != LINGERING:
            await self._leave(protocol)

    async def _leave(self, protocol: Http1 | Http2) -> None:
        """Answer what is there, and go."""
        self._last = True
        if protocol.partial and not self._broken:
            self.state.refused["disconnected"] += 1
        for exchange in self._exchanges:
            exchange.end_of_input()
        if self._exchanges:
            await self._answered.wait()
        if self.phase != LINGERING:
            self.phase, self.deadline = LEAVING, self.state.now + self.state.limits.send_seconds
            await protocol.leave()

    async def _handle(self, event: Event) -> None:
        """Do what hypercorn asks for: write, or close. Its news of idleness are known better here."""
        if isinstance(event, RawData):
            await self._write(event.data)
        elif isinstance(event, Closed):
            await self._finish()

    async def _write(self, data: bytes) -> None:
        """Write, or give the connection up: the other side left, or does not read."""
        if self.over:
            return
        written = False
        try:
            written = await self._stream.send(data, self.state.limits.send_seconds)
        finally:
            if not written:
                self.break_off("sending_timeout")

    async def _finish(self) -> None:
        """Say that no more will come, and give the other side a moment to take it and close."""
        if self.over or self.phase == LINGERING:
            return
        self.phase, self.deadline = LINGERING, self.state.now + LINGER_SECONDS
        await self._stream.finish()

    def _end(self) -> None:
        """Close, without waiting for anything; a handler at work goes on, its answer goes nowhere."""
        self.over = True
        for exchange in self._exchanges:
            exchange.leave()
        self._stream.close()


def over_hypercorn(
    app: AsgiApp, admit: Callable[[str, str, Headers], int | Reply], request_seconds: float = inf
) -> Connect:
    """Serve `app` on connections of HTTP/1.1, and of HTTP/2 where a listener's TLS offers it.

    `admit` is asked once a head is read (see `gateway.wire.state.Handler`); the body is whole when `app` is called.
    """
    service = Service(app, admit, request_seconds, make_config())

    def connect(socket: Socket, peer: str, group: str | None, tls: ServerTls | None, state: ServerState) -> Connection:
        return Connection(socket, peer, group, tls, state, service)

    return connect
