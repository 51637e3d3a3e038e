"""The guard of outgoing connections: which of a host's addresses one target may be connected to.

A URL that an operator wrote may lead to public, private and loopback addresses: that is where services stand. Where
anything else has a word in where a request goes (a selector, a reply), `public_only` holds. An operator's `allow` says
what is allowed instead, `deny` what is not in spite of it. What nobody serves on (`gateway.wire.addresses.NEVER`) no
list opens, and nothing leads to the gateway's own listeners.

Pure: it is called with the answers of a look-up, and whoever connects uses its result and looks nothing up again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, NamedTuple, TypeAlias

from gateway.runtime import AddressInfo
from gateway.wire.addresses import (
    NEVER,
    AddressClass,
    DeniedHostError,
    Network,
    classify,
    inner_addresses,
    literal,
)

MAX_ANSWERS: Final = 64
"""How many answers of a look-up are considered; the others are never connected to."""

Rule: TypeAlias = Network | AddressClass
"""A network, or a class of addresses that may be allowed."""

_CLASSES: Final = {each.value: each for each in (AddressClass.PUBLIC, AddressClass.PRIVATE, AddressClass.LOOPBACK)}


def parse_rule(text: str) -> Rule:
    """Read an entry of `allow` or `deny`: "public", "private", "loopback", an address or a network.

    Raises ValueError that tells what was expected.
    """
    if text in _CLASSES:
        return _CLASSES[text]
    try:
        return ip_network(text)
    except ValueError as error:
        expected = f'expected an address, a network such as "10.0.0.0/8", or {", ".join(map(repr, _CLASSES))}'
        raise ValueError(f"{expected}: {error}".replace("'", '"')) from None


class Own(NamedTuple):
    """One address that the gateway itself listens on."""

    host: str
    """A numeric address, perhaps an unspecified one; empty for a unix socket."""
    port: int
    path: str = ""
    """The unix socket's path with links followed."""

    def takes(self, address: AddressInfo, is_local: Callable[[AddressInfo], bool]) -> bool:
        """Tell whether a connection to `address` would come out here; `is_local` knows this machine's addresses."""
        if not self.host or address[2] != self.port:
            return False
        bound, wanted = ip_address(self.host), _unmapped(address[1])
        if bound == wanted or wanted.is_unspecified:
            return True
        return bound.is_unspecified and (wanted.is_loopback or is_local(address))


@dataclass(frozen=True, slots=True)
class Guard:
    """What one target's connections may lead to."""

    allow: tuple[Rule, ...] = tuple(_CLASSES.values())
    """What may be connected to."""
    deny: tuple[Rule, ...] = ()
    """What may not in spite of `allow`; a denied IPv4 network covers every form that wraps its addresses."""
    own: tuple[Own, ...] = ()
    """What the gateway itself listens on; no connection leads there."""
    sockets: bool = True
    """Whether unix sockets may be connected to."""
    lists: bool = False
    """True if an operator wrote `allow` or `deny`."""

    def public_only(self) -> "Guard":
        """Give it for a host that a payload, or a reply, has a word in: public addresses only, and no unix socket."""
        return Guard((AddressClass.PUBLIC,), self.deny, self.own, sockets=False)

    def narrowed(self, allow: Sequence[Rule], deny: Sequence[Rule]) -> "Guard":
        """Give it with an operator's lists; an empty `allow` leaves what is allowed as it is."""
        if not allow and not deny:
            return self
        return Guard(tuple(allow) or self.allow, tuple(deny), self.own, self.sockets, lists=True)

    def behind_proxy(self) -> "Guard":
        """Give it for places that a proxy connects to: its loopback addresses are its own, not ours."""
        return Guard(self.allow, (*self.deny, AddressClass.LOOPBACK), self.own, self.sockets, self.lists)

    @property
    def must_look_up(self) -> bool:
        """True if nobody else may look a name up (a proxy does): it allows less than what an operator's URL may."""
        return self.lists or not self.sockets

    def vet(self, host: str, answers: Sequence[AddressInfo]) -> list[AddressInfo]:
        """Give the addresses of `host` that may be connected to: all of the first `MAX_ANSWERS`, or none.

        Raises DeniedHostError if one of them may not be, or if a name has public and other addresses at once: that is
        how a name is rebound to a service inside.
        """
        considered = list(dict.fromkeys(answers[:MAX_ANSWERS]))
        classes = {address: self._class_of(host, address) for _, address, _ in considered}
        if AddressClass.PUBLIC in classes.values() and len(set(classes.values())) > 1:
            raise DeniedHostError(
                f"{host} has public and non-public addresses ({', '.join(sorted(classes)[:4])}): "
                "a sign of DNS rebinding"
            )
        return considered

    def vet_literal(self, host: str, port: int) -> list[AddressInfo]:
        """Vet a host that is a numeric address. Raises DeniedHostError."""
        return self.vet(host, [literal(host, port)])

    def refuse_own(self, host: str, answers: Sequence[AddressInfo], is_local: Callable[[AddressInfo], bool]) -> None:
        """Raise DeniedHostError if one of the answers leads to a listener of the gateway's own."""
        for address in answers:
            if any(own.takes(address, is_local) for own in self.own):
                place = f"{_named(host, address[1])} port {address[2]}"
                raise DeniedHostError(f"{place} is denied: the gateway itself listens there, events would go round")

    def vet_socket(self, path: str, real_path: str) -> None:
        """Raise DeniedHostError if the unix socket at `path`, links followed `real_path`, may not be connected to."""
        if not self.sockets:
            raise DeniedHostError(f"unix:{path} is denied: only the operator's own words lead to a unix socket")
        if any(own.path == real_path for own in self.own):
            raise DeniedHostError(f"unix:{path} is denied: the gateway itself listens there, events would go round")

    def _class_of(self, host: str, address: str) -> AddressClass:
        try:
            kind = classify(address)
        except ValueError as error:
            raise DeniedHostError(f"{_named(host, address)} is denied: {error}") from error
        if kind in NEVER:
            raise DeniedHostError(f"{_named(host, address)} is denied: {kind.value}")
        if any(_covers(rule, address, kind, each=False) for rule in self.deny):
            raise DeniedHostError(
                f"{_named(host, address)} is denied: {kind.value}, which deny, or a proxy in between, excludes"
            )
        if not any(_covers(rule, address, kind, each=True) for rule in self.allow):
            why = "it is not in allow" if self.lists else f"{kind.value}, and not the operator alone says where to"
            raise DeniedHostError(f"{_named(host, address)} is denied: {why}")
        return kind


def _covers(rule: Rule, address: str, kind: AddressClass, *, each: bool) -> bool:
    """Tell whether a rule covers an address or (`each`: and) those that it wraps."""
    if isinstance(rule, AddressClass):
        return kind is rule
    number = ip_address(address)
    if number in rule:
        return True
    inner = [wrapped in rule for wrapped in inner_addresses(number)]
    return all(inner) and bool(inner) if each else any(inner)


def _unmapped(address: str) -> IPv4Address | IPv6Address:
    number = ip_address(address)
    return (number.ipv4_mapped or number) if isinstance(number, IPv6Address) else number


def _named(host: str, address: str) -> str:
    return address if host == address else f"{host} at {address}"
