"""Opens the admin listener: a unix socket of mode 0660, or loopback TCP if there is a token.

A stale socket of a daemon that died is removed; one that somebody answers on is not, any other file never.
The caller removes the socket with `forget` when it has stopped serving, and adopts a socket unit's descriptor itself.
"""

import os
import stat
from pathlib import Path
from typing import Final

import trio

from gateway.config.address import Address
from gateway.errors import ConfigError
from gateway.runtime import Runtime

BACKLOG: Final = 64
MODE: Final = 0o660


def default_address(runtime_folder: Path) -> Address:
    """Where the admin listener is unless `[admin] bind` says otherwise."""
    return Address("unix", "", 0, str(runtime_folder / "admin.sock"))


async def listen(address: Address, token: bytes | None, runtime: Runtime) -> trio.SocketListener:
    """Listen on a unix socket, whose folder is made if it is missing, or on a loopback address. Raises ConfigError."""
    try:
        if address.kind == "unix":
            return trio.SocketListener(await _listen_unix(address.name, runtime))
        if not address.private or not token:
            lack = "a token" if address.private else "a loopback address"
            raise ConfigError([f"[admin].bind: {address} needs {lack}: whoever reaches it may change deliveries"])
        return trio.SocketListener(runtime.listen_tcp(address.host, address.port, BACKLOG))
    except OSError as error:
        raise ConfigError([f"[admin].bind: cannot listen on {address}: {error.strerror}; name another"]) from None


def forget(address: Address) -> None:
    """Remove the unix socket's file, if there is one."""
    if address.kind == "unix":
        Path(address.name).unlink(missing_ok=True)


async def _listen_unix(path: str, runtime: Runtime) -> trio.socket.SocketType:
    await _make_way(path, runtime)
    before = os.umask(0o777 & ~MODE)  # the mode holds from the first moment on
    try:
        return runtime.listen_unix(path, BACKLOG)
    finally:
        os.umask(before)


async def _make_way(path: str, runtime: Runtime) -> None:
    Path(path).parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise ConfigError([f"[admin].bind: {path} exists and is no socket; name another path or remove it"])
    try:
        (await runtime.connect_unix(path)).close()
    except ConnectionRefusedError:
        Path(path).unlink()  # noqa: ASYNC240 - once, at start
    else:
        raise ConfigError([f"[admin].bind: another daemon answers on {path}; stop it, or name another path"])
