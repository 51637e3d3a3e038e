"""What the connections under hypercorn of one listener share: the application, and hypercorn as it is set here."""

import logging
from collections.abc import Callable
from sys import maxsize
from typing import Final, NamedTuple

from hypercorn.config import Config
from hypercorn.trio.worker_context import EventWrapper, WorkerContext

from gateway.asgi.types import AsgiApp
from gateway.core.model import Headers
from gateway.wire.reply import Reply
from gateway.wire.state import ServerState

STREAMS_MAX: Final = 100
"""Requests under way at once on one connection of HTTP/2; h2 tells the client, and ends the connection of one that
begins more.
"""


class Service(NamedTuple):
    """An application, and what is asked before its requests' bodies are read."""

    app: AsgiApp
    admit: Callable[[str, str, Headers], int | Reply]
    """See `gateway.wire.state.Handler`."""
    request_seconds: float
    """How long the application may take for one request, from its whole body to its whole answer."""
    config: Config


def make_config() -> Config:
    """Set what differs from hypercorn's defaults. It takes unknown names silently: a test shows what each does."""
    config = Config()
    config.accesslog = None
    config.errorlog = logging.getLogger("hookgate.hypercorn")
    config.include_server_header = False
    config.h11_max_incomplete_size = 64 * 1024  # our own parser has bounded heads before
    config.h2_max_concurrent_streams = STREAMS_MAX
    config.keep_alive_max_requests = maxsize  # its goodbye would drop the answers that are under way
    return config


class Context(WorkerContext):
    """hypercorn's view of the server: whether it is about to stop."""

    def __init__(self, state: ServerState) -> None:
        super().__init__(None)
        self.terminated = _Draining(state)


class _Draining(EventWrapper):
    def __init__(self, state: ServerState) -> None:
        super().__init__()
        self._state = state

    def is_set(self) -> bool:
        return self._state.draining
