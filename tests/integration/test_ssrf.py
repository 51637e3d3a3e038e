"""No way leads to an address that is denied: at least 400 addresses by each of seven ways, connections counted (P24).

The whole `http` target is asked; the Runtime's door counts what it would open. Two guards: what an operator's own URL
may lead to, and `public_only`, for which private and loopback addresses are denied too.
"""

import errno
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hostile_http import hostile

from gateway.core.model import TargetDown
from gateway.plugin import Context
from gateway.runtime import Runtime
from gateway.targets.http import Http, HttpOptions
from gateway.testing.target import sample_message
from gateway.wire.addresses import literal
from gateway.wire.guard import Guard

PUBLIC_ONLY = Guard().public_only()

PUBLIC = "93.184.216.34"
WAYS = ["literal", "the only answer", "the first answer", "the last answer", "rebound", "redirect", "proxy variable"]
NEVER_V4 = [
    *("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "192.0.0.0/24", "192.88.99.0/24", "192.0.2.0/24"),
    *("198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15", "169.254.169.254/32", "100.100.100.200/32"),
    *("192.0.0.192/32", "168.63.129.16/32", "169.254.170.2/32", "169.254.169.123/32", "255.255.255.255/32"),
]
INSIDE_V4 = ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"]
NEVER_V6 = [
    *("::/128", "fe80::/10", "fec0::/10", "ff00::/8", "2001:db8::/32", "3fff::/20", "100::/64", "fd00:ec2::/32"),
    *("64:ff9b:1::/48", "2001:2::/48", "2001:10::/28", "2001:20::/28", "5f00::/16", "4000::/3", "fd20:ce::254/128"),
    *("::7f00:0/104", "::a00:0/104", "::ffff:0:7f00:0/104", "fd00:42::42/128", "fd00:ec2::254/128"),
]
INSIDE_V6 = ["::1/128", "fc00::/7", "fd12:3456:789a::/48"]
ODD = [
    *("127.1", "127.0.1", "0x7f.1", "0x7f000001", "0177.0.0.1", "017700000001", "2130706433", "0", "0x0", "00.0.0.0"),
    *(
        "127.0.0.1.",
        "127.0.0.01",
        "127.0.0.256",
        "1.1.1.1.1",
        "0x7f.0x0.0x0.0x1",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "\uff11\uff12\uff17.0.0.1",
    ),
    *(
        "[::1%25eth0]",
        "[fe80::1%25lo]",
        "[fe80::1%lo]",
        "[::1%1]",
        "[::ffff:127.0.0.1%0]",
        "[127.0.0.1]",
        "[localhost]",
    ),
    *("2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "0xa9.254.169.254", "a@127.0.0.1", "[::1]@x"),
    *(
        "127.0.0.1#.example",
        "x%2f@127.0.0.1",
        "localhost\t",
        "127.0.0.1\\@x",
        "\u2488\u2488",
        "[0:0:0:0:0:ffff:7f00:1%]",
    ),
]


def spread(networks):
    """The first, last and some addresses between, of each network."""
    for text in networks:
        network = ip_network(text)
        size = network.num_addresses
        yield from {
            str(network[place]) for place in (0, 1, size // 3, size // 2, size - 2, size - 1) if 0 <= place < size
        }


def wrapped(text):
    """Every form in which something on the way may find this IPv4 address."""
    number = int(IPv4Address(text))
    for prefix, shift in (("::ffff:0:0", 0), ("64:ff9b::", 0), ("2002::", 80), ("2a00:1450::5efe:0:0", 0)):
        yield str(IPv6Address(int(IPv6Address(prefix)) | number << shift))
    yield str(IPv6Address(int(IPv6Address("2a00:1450::200:5efe:0:0")) | number))
    yield str(IPv6Address(int(IPv6Address("2001::")) | number << 64 | 0xF7F7F7F7))
    yield str(IPv6Address(int(IPv6Address("2001:0:808:808::")) | number ^ 0xFFFFFFFF))


def vectors(v4, v6, inner):
    plain = [*spread(v4), *spread(v6)]
    return sorted({*plain, *(form for text in spread(inner) for form in wrapped(text))})


EVERYWHERE = vectors(NEVER_V4, NEVER_V6, [*NEVER_V4, *INSIDE_V4])
INSIDE_TOO = vectors([*NEVER_V4, *INSIDE_V4], [*NEVER_V6, *INSIDE_V6], [*NEVER_V4, *INSIDE_V4])


class Door(Runtime):
    """Answers look-ups as it is told and notes every connection that is wanted; opens none but to `served`."""

    def __init__(self, *answers, served=None):
        super().__init__()
        self.answers = list(answers)
        self.served = served
        self.wanted = []

    async def resolve(self, host, port, seconds):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [literal(address, port) for address in answer]

    async def connect(self, address):
        self.wanted.append(address[1])
        if address[1] == PUBLIC and self.served:
            return await super().connect(self.served)
        raise OSError(errno.ECONNREFUSED, "refused")

    async def connect_unix(self, path):
        self.wanted.append(path)
        raise OSError(errno.ECONNREFUSED, "refused")


async def deliver(door, guard, url="http://api.example/hooks"):
    target = Http.build(HttpOptions(url=url))
    await target.open(Context("crm", door, 1, guard=guard))
    try:
        return await target.deliver(sample_message())
    finally:
        await target.close()


async def by_name(door, guard):
    outcome = await deliver(door, guard)
    assert isinstance(outcome, TargetDown)
    return outcome.reason


async def try_way(way, denied, guard, monkeypatch, server):
    """Go one way with one denied address; give every address that somebody wanted to connect to, but PUBLIC."""
    host = f"[{denied}]" if ":" in denied else denied
    if way == "literal":
        door = Door([])
        with suppress(ValueError):  # refused when the configuration is read
            await deliver(door, guard, f"http://{host}/hooks")
        return door.wanted
    if way in ("redirect", "proxy variable"):
        server.location = host
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://{host}:80")
        door = Door([PUBLIC], [denied], served=literal("127.0.0.1", server.port))
        assert not (await by_name(door, guard)).startswith("denied")
        assert door.wanted == [PUBLIC]
        return door.wanted[1:]
    answers = {
        "the only answer": [[denied]],
        "the first answer": [[denied, PUBLIC]],
        "the last answer": [[PUBLIC, denied]],
        "rebound": [[PUBLIC], [denied]],
    }[way]
    door = Door(*answers)
    if way == "rebound":
        assert (await by_name(door, guard)).startswith("refused")
    assert (await by_name(door, guard)).startswith("denied-address")
    return door.wanted[1:] if way == "rebound" else door.wanted


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("guard", "addresses"), [(Guard(), EVERYWHERE), (PUBLIC_ONLY, INSIDE_TOO)], ids=["operator's url", "public only"]
)
async def test_P24_of_400_denied_addresses_none_is_connected_to_by_any_way(guard, addresses, way, monkeypatch):
    assert len(addresses) >= 400
    opened = []

    async def redirect(peer):
        while await peer.request():
            place = f"Location: http://{server.location}/hooks"
            await peer.send(f"HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\n{place}\r\n\r\n".encode())

    async with hostile(redirect) as server:
        for denied in addresses:
            opened += [(denied, each) for each in await try_way(way, denied, guard, monkeypatch, server)]
    assert opened == []


@pytest.mark.parametrize("host", ODD)
def test_R10_spellings_that_only_the_C_library_reads_are_no_url(host):
    with pytest.raises(ValueError, match=r"expected|host|IPv6"):
        HttpOptions(url=f"http://{host}/hooks")
