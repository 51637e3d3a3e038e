"""Opens the admin listener: a unix socket of mode 0660, or loopback TCP if there is a token.

A stale socket of a daemon that died is removed; one that somebody answers on is not, any other file never. The
caller removes the socket with `forget` when it has stopped serving.
"""

import os
import stat
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import trio

from gateway.errors import ConfigError
from gateway.runtime import Runtime

BACKLOG: Final = 64
MODE: Final = 0o660
UNIX: Final = "unix:"


async def listen(bind: str, token: bytes | None, runtime: Runtime) -> trio.SocketListener:
    """Listen on `bind`: "unix:<path>" or "<loopback address>:<port>". Raises ConfigError."""
    if bind.startswith(UNIX):
        return trio.SocketListener(await _listen_unix(bind.removeprefix(UNIX), runtime))
    host, _, port = bind.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        loopback = ip_address(host).is_loopback
        number = int(port)
    except ValueError:
        raise ConfigError([f'[admin] bind: expected "unix:<path>" or "127.0.0.1:<port>", found {bind!r}']) from None
    if not loopback or not token:
        lack = "a token" if loopback else "a loopback address"
        raise ConfigError([f"[admin] bind {bind!r} needs {lack}: it lets whoever reaches it change deliveries"])
    try:
        return trio.SocketListener(runtime.listen_tcp(host, number, BACKLOG))
    except OSError as error:
        raise ConfigError([f"[admin] bind {bind!r}: {error.strerror}; another process may listen there"]) from None


def forget(bind: str) -> None:
    """Remove the unix socket's file, if there is one."""
    if bind.startswith(UNIX):
        _remove(bind.removeprefix(UNIX))


async def _listen_unix(path: str, runtime: Runtime) -> trio.socket.SocketType:
    try:
        await _make_way(path, runtime)
        before = os.umask(0o777 & ~MODE)
        try:
            return runtime.listen_unix(path, BACKLOG)
        finally:
            os.umask(before)
    except OSError as error:
        raise ConfigError([f"[admin] bind: cannot make the socket {path}: {error.strerror}"]) from None


async def _make_way(path: str, runtime: Runtime) -> None:
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise ConfigError([f"[admin] bind: {path} exists and is no socket; name another path or remove it"])
    try:
        (await runtime.connect_unix(path)).close()
    except ConnectionRefusedError:
        _remove(path)
    else:
        raise ConfigError([f"[admin] bind: another daemon answers on {path}; stop it, or name another path"])


def _remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)
