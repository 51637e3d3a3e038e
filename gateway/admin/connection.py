"""One admin connection: reads, writes, deadlines, and nothing of it may reach the daemon.

It stands where hypercorn has its `TCPServer`, which reads idle connections for ever, sends behind a shield without a
deadline, and lets an exception of one connection end the process. Here every wait has an end and every exception stops
at `run`. One cancel scope with a movable deadline covers the connection: head, then request, then linger.
"""

from contextlib import suppress
from typing import Final

import structlog
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import parse_socket_addr

from gateway.admin.limits import AdminLimits
from gateway.admin.protocol import H11Only

READ_BYTES: Final = 64 * 1024
_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError)

log = structlog.get_logger()


class Connection:
    """A connection that was accepted; `run` serves it to its end."""

    def __init__(
        self, stream: trio.SocketStream, app: ASGIWrapper, config: Config, context: WorkerContext, limits: AdminLimits
    ) -> None:
        self._stream = stream
        self._app = app
        self._config = config
        self._context = context
        self._limits = limits
        self._scope = trio.CancelScope()
        self._writing = trio.Lock()
        self._busy = False
        self._closing = False
        self._request_bytes = 0
        self.failed = False

    async def run(self) -> None:
        """Serve requests until either side closes or a deadline is over. Never raises but for cancellation."""
        try:
            with self._scope:
                await self._serve()
        except* OSError:
            pass  # the other side vanished
        except* Exception as failures:
            self.failed = True
            log.exception("connection.failed", problem="admin listener", exc_info=failures)
        finally:
            await trio.aclose_forcefully(self._stream)

    def stop(self) -> None:
        """Close now if no request is under way; else its answer is the last one."""
        if not self._busy:
            self._scope.cancel()

    async def _serve(self) -> None:
        socket = self._stream.socket
        client = parse_socket_addr(socket.family, socket.getpeername())
        server = parse_socket_addr(socket.family, socket.getsockname())
        async with TaskGroup() as tasks:
            protocol = H11Only(
                self._app,
                self._config,
                self._context,
                tasks,
                ConnectionState({}),
                False,
                client,
                server,
                self._handle,
            )
            protocol.head_bytes = self._limits.head_bytes
            protocol.head_count = self._limits.head_count
            self._wait_for_head()
            await self._read(protocol)

    async def _read(self, protocol: H11Only) -> None:
        """Feed the protocol. The end of input ends no request under way: a half-closed client gets its answer."""
        while self._request_bytes <= 4 * self._limits.raw_bytes:
            data = await self._receive()
            self._request_bytes += len(data)
            if self._request_bytes > self._limits.raw_bytes:
                self._stop_listening()
            if not self._closing:
                await protocol.handle(RawData(data))
            if not data:
                return

    async def _receive(self) -> bytes:
        try:
            return bytes(await self._stream.receive_some(READ_BYTES))
        except _GONE:
            return b""

    async def _handle(self, event: Event) -> None:
        """Do what the protocol asks for: write, close, or note that a request began or ended."""
        if isinstance(event, RawData):
            await self._write(event.data)
        elif isinstance(event, Closed):
            await self._finish()
        elif isinstance(event, Updated):
            self._note(event.idle)

    def _note(self, idle: bool) -> None:
        if idle:
            self._wait_for_head()
        else:
            self._busy = True
            self._scope.deadline = trio.current_time() + self._limits.request_seconds

    def _wait_for_head(self) -> None:
        self._busy = False
        self._request_bytes = 0
        self._scope.deadline = trio.current_time() + self._limits.head_seconds

    async def _write(self, data: bytes) -> None:
        """Write, or give the connection up: the other side left, or does not read."""
        written = False
        with trio.move_on_after(self._limits.write_seconds, shield=True), suppress(*_GONE):
            async with self._writing:
                await self._stream.send_all(data)
                written = True
        if not written:
            self._scope.cancel()

    async def _finish(self) -> None:
        """Say that no more will come, and wait a moment for the other side to close."""
        self._stop_listening()
        async with self._writing:
            with suppress(*_GONE):
                await self._stream.send_eof()

    def _stop_listening(self) -> None:
        """Discard further input for a moment, instead of closing at once: a close with unread input is a reset."""
        self._closing = True
        self._scope.deadline = min(self._scope.deadline, trio.current_time() + self._limits.linger_seconds)
