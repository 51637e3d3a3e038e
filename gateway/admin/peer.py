"""Who asks, for the log and the audit: what the kernel says of the other end of the admin socket.

A unix socket tells the user that made the connection, but in a unit with PrivateUsers= only root and the daemon's own
user have their numbers; on loopback TCP whoever has the token is known no better. So the command also tells a name,
which is written down as what it is: said, not proved.
"""

import re
import struct
from contextvars import ContextVar
from typing import Final

import trio

from gateway.admin.desk import Asker
from gateway.runtime import Socket
from gateway.wire.state import Connect, ServedConnection, ServerState
from gateway.wire.tls import ServerTls

USER_HEADER: Final = "Hookgate-User"
_NAME: Final = re.compile(r"[\w.@-]{1,64}", re.ASCII)
_CREDENTIALS: Final = struct.Struct("3i")
_uid: ContextVar[int | None] = ContextVar("uid", default=None)


def remembering_peers(connect: Connect) -> Connect:
    """Make connections as `connect` does; note who made each, for the task that the listener starts for it next."""

    def noting(
        socket: Socket, peer: str, group: str | None, tls: ServerTls | None, state: ServerState
    ) -> ServedConnection:
        uid = None
        if socket.family == trio.socket.AF_UNIX:
            found = socket.getsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_PEERCRED, _CREDENTIALS.size)
            _, uid, _ = _CREDENTIALS.unpack(found)
        _uid.set(uid)
        return connect(socket, peer, group, tls, state)

    return noting


def asker(says: str) -> Asker:
    """Give who made the connection that this task serves, and the name that the request gives, if it is one."""
    return Asker(_uid.get(), says if _NAME.fullmatch(says) else "")
