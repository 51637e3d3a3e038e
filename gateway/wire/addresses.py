"""What a host is: the strict grammar of its spelling, and the class of each IP address.

The table of classes is our own: `ipaddress.is_global` calls NAT64 forms of 127.0.0.1, multicast and fec0::/10 global,
and differs between Python versions. Sources: the IANA special-purpose address registries, and the metadata services of
the large clouds.

It resolves nothing, connects to nothing, and decides nothing: what may be connected to is `gateway.wire.guard`'s.
"""

import re
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

import trio

from gateway.runtime import AddressInfo

Network: TypeAlias = IPv4Network | IPv6Network


class AddressClass(StrEnum):
    """What an address stands for."""

    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    LINK_LOCAL = "link-local"
    METADATA = "cloud metadata"
    MULTICAST = "multicast"
    UNSPECIFIED = "unspecified"
    RESERVED = "reserved"
    WRAPPED = "a wrapped form of an address that is not public"


NEVER: Final = frozenset(AddressClass) - {AddressClass.PUBLIC, AddressClass.PRIVATE, AddressClass.LOOPBACK}
"""Classes that nobody serves on; services stand in the others, also in private networks."""


def _table(*rows: tuple[AddressClass, str]) -> tuple[tuple[Network, AddressClass], ...]:
    return tuple((ip_network(text), kind) for kind, texts in rows for text in texts.split())


# The first network that holds an address names its class, so that the single addresses stand before their blocks.
_V4: Final = _table(
    (AddressClass.METADATA, "169.254.169.254/32 100.100.100.200/32 192.0.0.192/32 168.63.129.16/32"),
    (AddressClass.UNSPECIFIED, "0.0.0.0/8"),
    (AddressClass.LOOPBACK, "127.0.0.0/8"),
    (AddressClass.PRIVATE, "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10"),
    (AddressClass.LINK_LOCAL, "169.254.0.0/16"),
    (AddressClass.MULTICAST, "224.0.0.0/4"),
    (AddressClass.RESERVED, "192.0.0.0/24 192.88.99.0/24 192.0.2.0/24 198.51.100.0/24 203.0.113.0/24"),
    (AddressClass.RESERVED, "198.18.0.0/15 240.0.0.0/4"),
)
_V6: Final = _table(
    (AddressClass.METADATA, "fd00:ec2::/32 fd20:ce::254/128 fd00:42::42/128"),
    (AddressClass.UNSPECIFIED, "::/128"),
    (AddressClass.LOOPBACK, "::1/128"),
    (AddressClass.PRIVATE, "fc00::/7"),
    (AddressClass.LINK_LOCAL, "fe80::/10"),
    (AddressClass.MULTICAST, "ff00::/8"),
    (AddressClass.PUBLIC, "::ffff:0:0/96 64:ff9b::/96 2001::/32"),  # translated: their IPv4 address decides
    (AddressClass.RESERVED, "2001::/23 2001:db8::/32 3fff::/20"),
    (AddressClass.PUBLIC, "2000::/3"),
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})
_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")


class DeniedHostError(ValueError):
    """A host or its addresses that no connection may go to; the text says which and why."""


def check_host(host: str) -> str:
    """Give `host` in lower case if it is a strict IPv4 or IPv6 address (no brackets, no zone) or an ASCII DNS name.

    Raises DeniedHostError for all else, above all for the spellings of IPv4 that only the C library reads (`127.1`,
    `0x7f.1`, `0177.0.0.1`, `2130706433`), for Unicode digits and for names that are not written in ASCII.
    """
    if is_literal(host):
        return host.lower()
    if "%" in host:
        raise DeniedHostError(f"host {host[:80]!r}: an address with a zone id is not taken; write one without %")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        raise DeniedHostError(
            f"host {host[:80]!r} is no name and no IPv4 address; write four decimal numbers without leading zeros"
        )
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise DeniedHostError(
            f"host {host[:80]!r} is no DNS name: expected ASCII letters, digits, '-', '_' between dots (or xn--)"
        )
    return host.lower()


def is_literal(host: str) -> bool:
    """Tell whether `host` is a numeric address in its strict form."""
    try:
        return host.isascii() and "%" not in host and bool(ip_address(host))
    except ValueError:
        return False


def literal(host: str, port: int) -> AddressInfo:
    """Give a numeric address in the form of an answer."""
    return (trio.socket.AF_INET6 if ":" in host else trio.socket.AF_INET), host, port


def classify(text: str) -> AddressClass:
    """Put a numeric address in its class. Raises ValueError for anything that is not one, or has a zone id."""
    if "%" in text or not text.isascii():
        raise ValueError(f"{text[:80]!r} is no plain numeric address")
    address = ip_address(text)
    if isinstance(address, IPv4Address):
        return _look_up(address, _V4, AddressClass.PUBLIC)
    inner = inner_addresses(address)
    if any(_look_up(each, _V4, AddressClass.PUBLIC) is not AddressClass.PUBLIC for each in inner):
        return AddressClass.WRAPPED
    return _look_up(address, _V6, AddressClass.RESERVED)


def _look_up(
    address: IPv4Address | IPv6Address, table: tuple[tuple[Network, AddressClass], ...], otherwise: AddressClass
) -> AddressClass:
    return next((kind for network, kind in table if address in network), otherwise)


def inner_addresses(address: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """Give the IPv4 addresses that translators and tunnels make of `address`; none if it stands for itself."""
    if isinstance(address, IPv4Address):
        return []
    inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64 or (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        inner.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in inner if each is not None]
