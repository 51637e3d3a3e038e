"""Who the client is, by the word of listed proxies only."""

import pytest

from gateway.wire.proxies import TrustedProxies, peer_address, peer_group

PROXIES = TrustedProxies(["10.0.0.0/8", "2001:db8:1::/48", "unix"])


def forwarded_for(*values: bytes):
    return tuple((b"x-forwarded-for", value) for value in values)


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ((), "10.0.0.1"),
        (forwarded_for(b"192.0.2.7"), "192.0.2.7"),
        (forwarded_for(b"192.0.2.7:4711"), "192.0.2.7"),
        (forwarded_for(b"[2001:db8::7]:4711"), "2001:db8::7"),
        (forwarded_for(b"2001:DB8::7"), "2001:db8::7"),
        (forwarded_for(b"::ffff:192.0.2.7"), "192.0.2.7"),
        (forwarded_for(b"6.6.6.6, 192.0.2.7"), "192.0.2.7"),
        (forwarded_for(b"6.6.6.6, 192.0.2.7, 10.9.9.9,2001:db8:1::2"), "192.0.2.7"),
        (forwarded_for(b"6.6.6.6", b"192.0.2.7", b"10.9.9.9"), "192.0.2.7"),
        (forwarded_for(b"10.1.1.1, 10.2.2.2"), "10.1.1.1"),
        (forwarded_for(b"192.0.2.7, unknown"), "10.0.0.1"),
        (forwarded_for(b"192.0.2.7, junk, 10.2.2.2"), "10.2.2.2"),
        (forwarded_for(b""), "10.0.0.1"),
        (forwarded_for(b"\xff, 127.1"), "10.0.0.1"),
        (forwarded_for(b"192.0.2.7, " + b"10.0.0.2, " * 50 + b"10.0.0.2"), "10.0.0.2"),
        (forwarded_for(b"192.0.2.7, " + b"10.0.0.2, " * 30 + b"10.0.0.3"), "192.0.2.7"),
        (forwarded_for(b"192.0.2.7, " + b"10.0.0.2, " * 31 + b"10.0.0.3"), "10.0.0.2"),
        (((b"forwarded", b"for=192.0.2.7;proto=https"),), "192.0.2.7"),
        (((b"forwarded", b"for=X192.0.2.7"),), "10.0.0.1"),
        (((b"forwarded", b'for=6.6.6.6, proto=http; For="[2001:db8::7]:80" ;by=x'),), "2001:db8::7"),
        (((b"forwarded", b"for=_hidden"),), "10.0.0.1"),
        (((b"forwarded", b"proto=http;xfor=192.0.2.7"),), "10.0.0.1"),
        (((b"forwarded", b"for=192.0.2.7"), (b"x-forwarded-for", b"192.0.2.7")), "192.0.2.7"),
        (((b"x-real-ip", b"192.0.2.7"), (b"remote-addr", b"192.0.2.7")), "10.0.0.1"),
    ],
)
def test_H19_the_client_is_the_first_hop_that_is_not_ours_from_the_right(headers, client):
    assert PROXIES.client("10.0.0.1", headers) == client


def test_H19_two_headers_that_disagree_count_for_nothing():
    headers = ((b"forwarded", b"for=192.0.2.7"), (b"x-forwarded-for", b"192.0.2.8"))
    assert PROXIES.client("10.0.0.1", headers) == "10.0.0.1"


@pytest.mark.parametrize(
    ("address", "trusted"),
    [("10.1.2.3", True), ("11.0.0.1", False), ("2001:db8:1::9", True), ("2001:db8:2::9", False), ("unix", True)],
)
def test_a_peer_is_a_proxy_if_its_network_is_listed(address, trusted):
    assert PROXIES.trusts(address) is trusted
    assert not TrustedProxies().trusts(address)


def test_an_entry_that_is_no_network_is_an_error():
    with pytest.raises(ValueError, match=r"proxy\.example"):
        TrustedProxies(["proxy.example"])


@pytest.mark.parametrize(
    ("address", "group"),
    [("192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("::1", "::/64")],
)
def test_a_peer_is_counted_by_address_or_by_its_64(address, group):
    assert peer_group(address) == group


@pytest.mark.parametrize(
    ("name", "address"),
    [
        (("192.0.2.7", 80), "192.0.2.7"),
        (("::ffff:192.0.2.7", 80, 0, 0), "192.0.2.7"),
        (("fe80::1%eth0", 80, 0, 2), "fe80::1"),
        ("", "unix"),
        (b"", "unix"),
    ],
)
def test_a_peers_address_is_text_without_port_or_zone(name, address):
    assert peer_address(name) == address
