"""Scheme `ip`: the sender's address is one that the provider publishes.

Weak alone: whoever can send from those addresses, other customers of the provider perhaps, is believed. It is meant
beside another scheme, in `all_of`. Behind a proxy the address is what `[server] trusted_proxies` makes of it.
"""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from pydantic import Field

from gateway.plugin import Options, Proof, Request, VerificationError, verifier

_PROOF: Final = Proof()

Network: TypeAlias = IPv4Network | IPv6Network


class AddressOptions(Options):
    """The addresses."""

    ranges: list[str] = Field(min_length=1, max_length=1000, examples=[["203.0.113.0/24", "2001:db8::/32"]])
    """Networks that the provider sends from, as CIDR."""


@verifier(AddressOptions, needs_secret=False)
class Address:
    """A list of networks. Raises ValueError for one that is none, and for a secret, which nobody would check."""

    def __init__(self, options: AddressOptions, secret: bytes) -> None:
        if secret:
            raise ValueError('scheme "ip" checks no secret: remove it, or put the scheme that needs it into all_of')
        self._networks = tuple(_network(text) for text in options.ranges)

    def verify(self, request: Request) -> Proof:
        """Prove that the sender's address is in one of the networks; a unix socket's peer never is."""
        try:
            address = ip_address(request.client)
        except ValueError:
            raise VerificationError("address", "the sender has no internet address") from None
        mapped = getattr(address, "ipv4_mapped", None)
        found = address if mapped is None else mapped
        if not any(found.version == network.version and found in network for network in self._networks):
            raise VerificationError("address", f"{found} is none of the provider's addresses")
        return _PROOF

    def sign(self, request: Request) -> Request:
        """Give `request` as if it came from the first of the networks."""
        return request._replace(client=str(self._networks[0][0]))


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(f'ranges: expected a network such as "203.0.113.0/24", found "{text[:60]}": {error}') from None
