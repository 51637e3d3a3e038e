"""The admin listener: the ASGI application on hypercorn's protocol code, contained by `gateway.asgi`."""

from collections.abc import Callable
from typing import Final

from gateway.admin.limits import ADMIN_LIMITS, BODY_BYTES, REQUEST_SECONDS
from gateway.admin.peer import remembering_peers
from gateway.asgi.connection import over_hypercorn
from gateway.asgi.types import AsgiApp
from gateway.runtime import Runtime
from gateway.wire.limits import Limits
from gateway.wire.listener import Server

FAULT: Final = "fault"
"""Under which the server counts the exceptions that it contained."""


def admin_server(
    app: AsgiApp, runtime: Runtime, on_error: Callable[[Exception], None], limits: Limits = ADMIN_LIMITS
) -> Server:
    """Give a server for `app`, which decides who may ask; every path and method reaches it."""
    connect = over_hypercorn(app, lambda *_: BODY_BYTES, REQUEST_SECONDS)
    return Server(remembering_peers(connect), limits, runtime, (), on_error)
