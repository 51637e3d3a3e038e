"""Who sent a request that came through proxies: the address that listed proxies vouch for, from the nearest hop on.

Pure. What a peer that is not listed says is never read; X-Real-IP and Remote-Addr never are. Sources: RFC 7239 for
Forwarded; X-Forwarded-For as every proxy writes it.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from gateway.core.model import Headers

UNIX: Final = "unix"
"""The address of a peer on a unix socket."""
_HOPS: Final = 32
_FOR: Final = re.compile(r"(?:^|;)\s*for=(\"[^\"]*\"|[^;\s]*)\s*(?:;|$)", re.IGNORECASE)


class TrustedProxies:
    """The proxies an operator listed: addresses or networks ("10.0.0.0/8"), and "unix" for peers on unix sockets."""

    def __init__(self, entries: Sequence[str] = ()) -> None:
        """Raises ValueError for an entry that is neither."""
        self._unix = UNIX in entries
        self._networks = [ip_network(entry) for entry in entries if entry != UNIX]

    def trusts(self, address: str) -> bool:
        """Say whether what this peer tells about others is believed."""
        if address == UNIX:
            return self._unix
        if not self._networks:
            return False
        found = ip_address(address)
        return any(found in network for network in self._networks)

    def client(self, peer: str, headers: Headers) -> str:
        """Give the sender's address as the trusted `peer` tells it; the peer's own where it tells nothing usable.

        Where both headers are there and disagree, one was forged by the sender and passed on: then neither counts.
        """
        told = set()
        for name, read in ((b"x-forwarded-for", _plain_hop), (b"forwarded", _forwarded_hop)):
            lines = [value.decode("latin-1") for key, value in headers if key == name]
            if lines:
                hops = ",".join(lines).split(",")
                told.add(self._outermost(peer, [read(hop) for hop in hops[: -_HOPS - 1 : -1]]))
        return told.pop() if len(told) == 1 else peer

    def _outermost(self, peer: str, hops: list[str]) -> str:
        """Walk from the nearest hop outwards, while each is one of ours."""
        client = peer
        for hop in hops:
            address = _address(hop)
            if address is None:
                return client
            client = address
            if not self.trusts(address):
                return client
        return client


def peer_group(address: str) -> str:
    """Give what a peer is counted by: its IPv4 address, or the /64 of its IPv6 address."""
    if ":" not in address:  # reading it would take a tenth of all that a new connection costs
        return address
    return str(IPv6Network((int(IPv6Address(address)) >> 64 << 64, 64)))


def peer_address(name: object) -> str:
    """Give a peer's address as text, from its name as `accept` gives it: no port, no zone, a mapped IPv4 as IPv4."""
    if not isinstance(name, tuple):
        return UNIX
    address = str(name[0])
    return _normal(address) if ":" in address else address


def _normal(text: str) -> str:
    found = ip_address(text.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)


def _address(hop: str) -> str | None:
    """Read `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`; None for anything else."""
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    try:
        return _normal(hop)
    except ValueError:
        return None


def _plain_hop(text: str) -> str:
    return text.strip()


def _forwarded_hop(text: str) -> str:
    found = _FOR.search(text.strip())
    return found[1].strip('"') if found else ""
