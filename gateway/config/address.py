"""Addresses to listen on: "127.0.0.1:8080", "[::1]:8080", "unix:/run/x.sock", "fd:hookgate-http"."""

import re
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

_TCP: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<v4>[0-9.]+)):(?P<port>\d{1,5})")
_UNIX_PATH_MAX: Final = 107
"""Bytes that Linux has room for in the address of a unix socket."""
_EXPECTED: Final = 'expected "127.0.0.1:8080", "[::1]:8080", "unix:/path" or "fd:NAME"'


@dataclass(frozen=True, slots=True)
class Address:
    """One place to listen on."""

    kind: Literal["tcp", "unix", "fd"]
    host: str
    """A numeric address; empty unless `kind` is tcp."""
    port: int
    name: str
    """The path of a unix socket or the name of an inherited descriptor; empty for tcp."""

    @property
    def private(self) -> bool:
        """True if only this machine, or what the operator handed to us, reaches it."""
        return self.kind != "tcp" or ip_address(self.host).is_loopback

    def __str__(self) -> str:
        if self.kind != "tcp":
            return f"{self.kind}:{self.name}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(value: object) -> Address:
    """Read an address to listen on. Raises ValueError that tells what was expected."""
    if isinstance(value, Address):
        return value
    text = value if isinstance(value, str) else ""
    kind, _, name = text.partition(":")
    if kind == "unix" and 0 < len(name.encode()) <= _UNIX_PATH_MAX and "\0" not in name:
        return Address("unix", "", 0, name)
    if kind == "fd" and re.fullmatch(r"[\w.@-]{1,255}", name):
        return Address("fd", "", 0, name)
    found = _TCP.fullmatch(text)
    if not found or int(found["port"]) > 65535:
        raise ValueError(f"{_EXPECTED}, found {_shown(value)}{_hint(text)}")
    try:
        host = ip_address(found["v6"] or found["v4"])
    except ValueError:
        raise ValueError(f"{_EXPECTED}, found {_shown(value)}") from None
    return Address("tcp", str(host), int(found["port"]), "")


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _hint(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not port.isdigit():
        return ""
    known = "127.0.0.1" if not colon else {"localhost": "127.0.0.1", "*": "0.0.0.0", "": "0.0.0.0"}.get(host)  # noqa: S104 - what people mean by *
    return f': write "{known}:{port}"' if known else ": names are not looked up, write a numeric address"


def _check_network(text: str) -> str:
    if text != "unix":
        try:
            ip_network(text)
        except ValueError as error:
            raise ValueError(f'expected a network such as "10.0.0.0/8", an address or "unix": {error}') from None
    return text


ListenAddress = Annotated[
    Address,
    BeforeValidator(parse_address),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "examples": ["127.0.0.1:8080", "[::1]:8080", "unix:/run/x.sock", "fd:http"]}),
]

Network = Annotated[str, AfterValidator(_check_network)]
"""A CIDR network, an address, or "unix" for peers on unix sockets."""
