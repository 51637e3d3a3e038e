"""The admin listener's accept loop: caps connections and drains them at stop.

It serves hypercorn's HTTP/1.1 code connection by connection (`gateway.admin.connection`) and leaves out hypercorn's
worker, whose faults under trio are listed in docs/adr. The listeners come open from the caller.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext

from gateway.admin.body import AsgiApp, WholeBody
from gateway.admin.connection import Connection
from gateway.admin.limits import AdminLimits


@dataclass(frozen=True, slots=True)
class GuardStatistics:
    """How the admin listener fares."""

    connections: int
    turned_away: int
    """Closed at once because the cap was reached."""
    failed: int
    """Ended by an exception that the guard contained."""


class Guard:
    """Serves one ASGI application on open listeners; one per daemon."""

    def __init__(self, app: AsgiApp, limits: AdminLimits) -> None:
        self._limits = limits
        self._app = ASGIWrapper(WholeBody(app, limits))  # type: ignore[arg-type] # hypercorn's message types are closed unions
        self._config = _configure(limits)
        self._context = WorkerContext(None)
        self._connections: set[Connection] = set()
        self._accepting = trio.CancelScope()
        self._turned_away = 0
        self._failed = 0

    async def serve(
        self,
        listeners: Sequence[trio.SocketListener],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until `stop`, then give requests under way their grace; closes the listeners. Cancel to end at once."""
        async with trio.open_nursery() as nursery:
            with self._accepting:
                task_status.started()
                await trio.serve_listeners(self._admit, list(listeners), handler_nursery=nursery)
            await self._context.terminated.set()
            nursery.cancel_scope.deadline = trio.current_time() + self._limits.grace_seconds
            for connection in self._connections:
                connection.stop()

    def stop(self) -> None:
        """Take no more connections; `serve` returns within the grace."""
        self._accepting.cancel()

    def statistics(self) -> GuardStatistics:
        """Tell how many connections there are and what became of others."""
        return GuardStatistics(len(self._connections), self._turned_away, self._failed)

    async def _admit(self, stream: trio.SocketStream) -> None:
        if len(self._connections) >= self._limits.connections:
            self._turned_away += 1
            await trio.aclose_forcefully(stream)
            return
        connection = Connection(stream, self._app, self._config, self._context, self._limits)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
            self._failed += connection.failed


def _configure(limits: AdminLimits) -> Config:
    """Set what differs from the defaults. Unknown names would be taken silently: each has a test of what it does."""
    config = Config()
    config.accesslog = None
    config.errorlog = logging.getLogger("hookgate.admin")
    config.include_server_header = False
    config.h11_max_incomplete_size = limits.head_bytes
    config.max_app_queue_size = (
        limits.raw_bytes
    )  # never full: the application's end must not wait for a reader that left
    return config
