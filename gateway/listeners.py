"""Opens what the configuration's addresses name: TCP, unix sockets, and sockets that the service manager passed."""

import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import trio

from gateway.config.address import Address, parse_address
from gateway.errors import ConfigError
from gateway.runtime import Runtime
from gateway.systemd import pick_inherited
from gateway.wire.guard import Own

BACKLOG: Final = 4096
SOCKET_MODE: Final = 0o660


def open_listeners(
    addresses: Sequence[Address], key: str, runtime: Runtime, inherited: Mapping[str, list[int]]
) -> list[trio.socket.SocketType]:
    """Open every address of the configuration key `key`.

    Raises ConfigError for the first that fails, with the others closed.
    """
    opened: list[trio.socket.SocketType] = []
    try:
        for address in addresses:
            opened += _open(address, runtime, inherited)
    except OSError as error:
        for one in opened:
            one.close()
        raise ConfigError(
            [f"{key}: cannot listen on {address}: {error.strerror or error}. {_advice(error)}"]
        ) from error
    except ConfigError:
        for one in opened:
            one.close()
        raise
    return opened


def refuse_clear(listeners: Sequence[trio.socket.SocketType]) -> None:
    """Raise ConfigError if one of these plain listeners is open to the network.

    The blueprint has refused such addresses; this is for what the service manager passed, seen only now.
    """
    for listener in listeners:
        if listener.family != trio.socket.AF_UNIX and not parse_address(describe(listener)).private:
            told = f"[server].bind: the socket that was passed for {describe(listener)} would speak plain HTTP"
            remedy = "write tls = { cert = …, key = … }, or behind_proxy = true if a proxy in front speaks TLS"
            raise ConfigError([f"{told} to the network: {remedy}"])


def describe(listener: trio.socket.SocketType) -> str:
    """Give the address that a listener really has, in the configuration's spelling; a path from the root on."""
    name = listener.getsockname()
    if listener.family == trio.socket.AF_UNIX:
        return f"unix:{os.path.abspath(name) if name and isinstance(name, str) else os.fsdecode(name)}"  # noqa: PTH100
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def own_address(listener: trio.socket.SocketType) -> Own:
    """Give where a listener can be reached, for the guard of outgoing connections."""
    name = listener.getsockname()
    if listener.family == trio.socket.AF_UNIX:
        return Own("", 0, os.path.realpath(name) if isinstance(name, str) and name else "")
    return Own(name[0], name[1])


def _open(address: Address, runtime: Runtime, inherited: Mapping[str, list[int]]) -> list[trio.socket.SocketType]:
    if address.kind == "fd":
        return [runtime.adopt_listener(descriptor) for descriptor in pick_inherited(inherited, address.name)]
    if address.kind == "tcp":
        return [runtime.listen_tcp(address.host, address.port, BACKLOG)]
    path = Path(address.name)
    _make_way(path, runtime)
    listener = runtime.listen_unix(str(path), BACKLOG)
    path.chmod(SOCKET_MODE)
    return [listener]


def _make_way(path: Path, runtime: Runtime) -> None:
    """Remove a socket that an earlier run left behind; one that somebody answers on stays, any other file too."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    if path.is_socket() and not runtime.is_answered(str(path)):
        path.unlink()


def _advice(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "Ports below 1024 need a socket unit; a unix socket needs a folder that the daemon may write."
    if error.errno == errno.EINVAL:
        return "Its socket unit needs ListenStream= and Accept=no."
    return "Is another program, or another Hookgate, listening there? Choose another address or stop it."
