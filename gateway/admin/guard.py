"""The admin listener: the ASGI application on hypercorn's protocol code, contained by `gateway.asgi`."""

import re
from collections.abc import Callable
from typing import Final

from gateway.admin.limits import ADMIN_LIMITS, BODY_BYTES, REQUEST_SECONDS
from gateway.admin.peer import remembering_peers
from gateway.asgi.connection import over_hypercorn
from gateway.asgi.types import AsgiApp
from gateway.core.model import Headers
from gateway.runtime import Runtime
from gateway.wire.limits import Limits
from gateway.wire.listener import Server
from gateway.wire.reply import Reply, error_reply

FAULT: Final = "fault"
"""Under which the server counts the exceptions that it contained."""
_LABEL: Final = rb"[0-9A-Za-z_-]{1,63}"
_HOST: Final = re.compile(rb"(?:%b(?:\.%b){0,31}\.?|\[[0-9A-Fa-f:.]{2,45}\])?(?::[0-9]{1,5})?" % (_LABEL, _LABEL))


def admin_server(
    app: AsgiApp, runtime: Runtime, on_error: Callable[[Exception], None], limits: Limits = ADMIN_LIMITS
) -> Server:
    """Give a server for `app`, which decides who may ask; every path and method reaches it."""
    connect = over_hypercorn(app, _admit, REQUEST_SECONDS)
    return Server(remembering_peers(connect), limits, runtime, (), on_error)


def _admit(_method: str, _path: str, headers: Headers) -> int | Reply:
    """Refuse what is no host: Quart would raise where none of the application's own handlers stands."""
    host = next((value for name, value in headers if name == b"host"), b"")
    return BODY_BYTES if _HOST.fullmatch(host) else error_reply(400)
