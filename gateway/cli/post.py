"""Posts requests to a running listener, over TCP, TLS or a unix socket; one connection for many."""

import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from gateway.cli.client import UnixConnection
from gateway.cli.failures import Failure
from gateway.config.address import Address
from gateway.core.model import Request

SECONDS: Final = 30.0


class Postman:
    """A connection to the listener that `to` names: "http://host:port", "https://…" or "unix:<path>"."""

    def __init__(self, to: str, certificate: Path | None = None) -> None:
        self._to = to
        self._connection = _connection(to, certificate)

    def send(self, request: Request) -> None:
        """Send one request, whose `answer` is to be asked for. Raises Failure if nobody takes it."""
        target = f"{request.path}?{request.query}" if request.query else request.path
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
        try:
            self._connection.request("POST", target, request.body, headers)
        except (OSError, HTTPException) as error:
            raise self._silent(error) from None

    def answer(self) -> tuple[int, str]:
        """Give status and text of the answer to what was sent. Raises Failure if nobody answers."""
        try:
            answer = self._connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        except (OSError, HTTPException) as error:
            raise self._silent(error) from None

    def _silent(self, error: Exception) -> Failure:
        why = error.strerror if isinstance(error, OSError) and error.strerror else repr(error)
        return Failure(f"{self._to} does not answer: {why}", "hookgate status")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def listener_address(bind: tuple[Address, ...], tls: bool) -> str:
    """Give the first address that can be posted to, in the form `Postman` takes."""
    for address in bind:
        if address.kind == "unix":
            return f"unix:{address.name}"
        if address.kind == "tcp":
            host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104 - compared only
            shown = f"[{host}]" if ":" in host else host
            return f"{'https' if tls else 'http'}://{shown}:{address.port}"
    raise Failure("the listener's address is known to systemd only", "hookgate send … --to http://127.0.0.1:8080")


def _connection(to: str, certificate: Path | None) -> HTTPConnection:
    if to.startswith("unix:"):
        return UnixConnection(to.removeprefix("unix:"), SECONDS)
    try:
        parts = urlsplit(to)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in {"http", "https"} or not host or parts.path not in {"", "/"}:
        raise Failure(f"--to {to!r}: expected http://HOST:PORT, https://HOST:PORT or unix:PATH", "hookgate send --help")
    if parts.scheme == "http":
        return HTTPConnection(host, port, timeout=SECONDS)
    return HTTPSConnection(host, port, timeout=SECONDS, context=_context(certificate))


def _context(certificate: Path | None) -> ssl.SSLContext:
    """Trust our own listener's certificate, whatever name it is for; of other hosts what the machine trusts."""
    context = ssl.create_default_context(cafile=None if certificate is None else str(certificate))
    if certificate is not None:
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
