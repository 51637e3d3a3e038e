"""Talks to the running daemon: JSON over HTTP/1.1 on its admin socket, or on loopback TCP with a token.

This is part of a short-lived command, not of the daemon: it may import `socket`, which else only `gateway.runtime`
does.
"""

import json
import os
import pwd
import socket
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from gateway.cli.failures import Failure, NotRunning

READ_SECONDS: Final = 15.0
CHANGE_SECONDS: Final = 65.0
"""A little more than the daemon gives a request."""


class UnixConnection(HTTPConnection):
    """An HTTP connection to a unix socket."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket's path."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self._path)
        except OSError:
            self.sock.close()
            raise


class Client:
    """The admin API of one daemon. `address` is "unix:<path>" or "<host>:<port>"."""

    def __init__(self, address: str, token: str = "") -> None:
        self._address = address
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._headers["Hookgate-User"] = user_name()

    def get(self, path: str, fields: dict[str, str] | None = None) -> dict[str, Any]:
        """Read. Raises NotRunning, or Failure with the daemon's own words."""
        return self._call("GET", f"{quote(path)}?{urlencode(fields)}" if fields else quote(path), None)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Change. Raises NotRunning, or Failure with the daemon's own words."""
        return self._call("POST", quote(path), body)

    def _call(self, method: str, target: str, body: dict[str, Any] | None) -> dict[str, Any]:
        headers = {**self._headers, "Connection": "close"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = self._connection(READ_SECONDS if body is None else CHANGE_SECONDS)
        try:
            connection.request(method, target, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            status, content = answer.status, answer.read()
        except OSError as error:
            raise NotRunning(_told(self._address), error.strerror or str(error)) from None
        except HTTPException as error:
            raise Failure(f"no usable answer from {self._address}: {error!r}", "hookgate status") from None
        finally:
            connection.close()
        return _read(self._address, status, content)

    def _connection(self, seconds: float) -> HTTPConnection:
        kind, _, rest = self._address.partition(":")
        return UnixConnection(rest, seconds) if kind == "unix" else HTTPConnection(self._address, timeout=seconds)


def _told(address: str) -> str:
    """Write an address so that it tells where a relative path leads."""
    kind, _, rest = address.partition(":")
    return f"unix:{Path(rest).absolute()}" if kind == "unix" else address


def user_name() -> str:
    """Give the name of whoever types, also behind sudo: for the audit, where the kernel does not tell it."""
    if sudo := os.environ.get("SUDO_USER"):
        return quote(sudo)
    try:
        return quote(pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:
        return f"uid-{os.getuid()}"


def _read(address: str, status: int, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Failure(f"{address} answered {status} without JSON: is it the admin listener?", "hookgate check")
    if "error" in found:
        raise Failure(str(found["error"]), str(found.get("next", "hookgate status")))
    return found
