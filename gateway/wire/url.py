"""The URL of an outgoing request, taken apart strictly once, when the configuration is read.

Forms: `http://host[:port][/path][?query]`, `https://…`, and `unix:/path/of/the.sock:/path[?query]`. No user, no
password, no fragment, no host that `gateway.wire.addresses` denies. The parts come from the operator, never from a
payload.
"""

import re
from typing import Final, NamedTuple

from gateway.wire.addresses import check_host, is_literal
from gateway.wire.guard import Guard

_HTTP: Final = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]+\]|[^\[\]/?#@:]+)(?::([0-9]{1,5}))?([/?].*)?")
_UNIX: Final = re.compile(r"unix:(/[^:]{1,107})(?::(/.*))?")
_TARGET: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?\[\]-]|%[0-9A-Fa-f]{2})*")
_PORTS: Final = {"http": 80, "https": 443}


class Url(NamedTuple):
    """Where to connect and what to ask for there."""

    tls: bool
    host: str
    """A name or a numeric address without brackets, vetted by `check_host`; empty for a unix socket."""
    port: int
    socket_path: str
    """The path of a unix socket; empty for TCP."""
    target: str
    """Path and query as they are sent; begins with `/`."""

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        if self.socket_path:
            return "localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.tls else "http"] else f"{host}:{self.port}"

    @property
    def is_numeric(self) -> bool:
        """True if the host is an address: no look-up can make another of it."""
        return is_literal(self.host)

    @property
    def place(self) -> str:
        """Where it connects to, for messages: no path and no query, which may hold a secret."""
        return f"unix:{self.socket_path}" if self.socket_path else self.authority


def parse_url(text: str) -> Url:
    """Read a URL. Raises ValueError that tells what is wrong; path and query may hold a secret and are not quoted."""
    if text.startswith("unix:"):
        return _parse_unix(text)
    found = _HTTP.fullmatch(text)
    if not found:
        raise ValueError(
            "expected http://host:port/path, https://host/path or unix:/path/of/the.sock:/path; no user, no password"
        )
    scheme, host, port, rest = found.groups()
    number = int(port) if port else _PORTS[scheme]
    if not 0 < number < 65536:
        raise ValueError(f"port {number} is out of range: expected 1 to 65535")
    bare = host.strip("[]")
    if host.startswith("[") and not (":" in bare and is_literal(bare)):
        raise ValueError(f"{host[:80]} is no IPv6 address")
    url = Url(scheme == "https", check_host(bare), number, "", check_target(rest or "/"))
    if url.is_numeric:
        Guard().vet_literal(url.host, number)
    return url


def _parse_unix(text: str) -> Url:
    found = _UNIX.fullmatch(text)
    if not found or "\0" in found[1]:
        raise ValueError("expected unix:/path/of/the.sock:/path, with an absolute socket path of at most 108 bytes")
    return Url(tls=False, host="", port=0, socket_path=found[1], target=check_target(found[2] or "/"))


def check_target(target: str) -> str:
    """Give path and query as they are sent, with a leading `/`. Raises ValueError if they are not percent-encoded."""
    if "#" in target:
        raise ValueError("a fragment (#…) is never sent: remove it")
    if not _TARGET.fullmatch(target):
        raise ValueError("path and query hold a character that must be percent-encoded, for example a space as %20")
    return target if target.startswith("/") else f"/{target}"
