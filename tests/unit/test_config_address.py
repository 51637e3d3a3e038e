import pytest

from gateway.config.address import Address, parse_address
from gateway.config.model_server import Server


@pytest.mark.parametrize(
    ("text", "private"),
    [
        ("127.0.0.1:8080", True),
        ("[::1]:0", True),
        ("0.0.0.0:80", False),
        ("[2001:db8::1]:443", False),
        ("unix:/run/x.sock", True),
        ("fd:hookgate-http", True),
    ],
)
def test_addresses_are_read_and_written_back(text, private):
    address = parse_address(text)
    assert (str(address), address.private) == (text, private)
    assert parse_address(address) is address


@pytest.mark.parametrize(
    "text",
    [
        "8080",
        "127.0.0.1",
        "127.0.0.1:65536",
        "300.0.0.1:80",
        "::1:80",
        "[::g]:1",
        "unix:",
        "fd:a b",
        "unix:" + "x" * 108,
        5,
    ],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match=r'expected "127\.0\.0\.1:8080"'):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("localhost:80", 'write "127.0.0.1:80"'),
        (":80", 'write "0.0.0.0:80"'),
        ("80", 'write "127.0.0.1:80"'),
        ("acme.example:80", "names are not looked up"),
    ],
)
def test_a_name_in_place_of_an_address_is_answered_with_what_to_write(text, hint):
    with pytest.raises(ValueError, match=hint):
        parse_address(text)


def test_trusted_proxies_are_networks_or_unix():
    assert Server(trusted_proxies=("10.0.0.0/8", "::1", "unix")).trusted_proxies == ("10.0.0.0/8", "::1", "unix")
    with pytest.raises(ValueError, match="has host bits set"):
        Server(trusted_proxies=("10.0.0.1/8",))


def test_the_default_is_loopback_only():
    assert Server().bind == (Address("tcp", "127.0.0.1", 8080, ""),)
