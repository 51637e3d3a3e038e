"""Which hosts and addresses the client may connect to (rows R9, R10)."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.addresses import (
    NEVER,
    AddressClass,
    DeniedHostError,
    check_host,
    classify,
    literal,
)
from gateway.wire.guard import Guard
from gateway.wire.url import parse_url

NON_PUBLIC_V4 = [
    *("127.0.0.1", "10.0.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "169.254.169.254", "0.0.0.0"),
    *("224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.0.192", "168.63.129.16", "198.18.0.1", "203.0.113.9"),
]


def wrapped(text):
    """Every IPv6 form that something on the way may turn into this IPv4 address."""
    number = int(ipaddress.IPv4Address(text))
    high, low = number >> 16, number & 0xFFFF
    other = 0x08080808
    return [
        f"::ffff:{text}",
        f"::ffff:{high:x}:{low:x}",
        f"0:0:0:0:0:ffff:{high:x}:{low:x}",
        f"64:ff9b::{high:x}:{low:x}",
        f"2002:{high:x}:{low:x}::",
        f"2002:{high:x}:{low:x}:1:2:3:4:5",
        f"2001:0:{high:x}:{low:x}:0:0:{(other >> 16) ^ 0xFFFF:x}:{(other & 0xFFFF) ^ 0xFFFF:x}",
        f"2001:0:808:808:0:0:{high ^ 0xFFFF:x}:{low ^ 0xFFFF:x}",
        f"2a00:1450::5efe:{high:x}:{low:x}",
        f"2a00:1450::200:5efe:{high:x}:{low:x}",
        f"::{high:x}:{low:x}" if number > 0xFFFF else "::2",
        f"64:ff9b:1::{high:x}:{low:x}",
    ]


@pytest.mark.parametrize("inner", NON_PUBLIC_V4)
def test_R10_no_wrapped_form_of_an_address_that_is_not_public_passes(inner):
    for form in wrapped(inner):
        assert classify(form) in NEVER, form
        with pytest.raises(DeniedHostError):
            Guard().vet(form, [literal(form, 80)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8.8.8.8", AddressClass.PUBLIC),
        ("192.0.1.1", AddressClass.PUBLIC),
        ("2606:4700::1111", AddressClass.PUBLIC),
        ("::ffff:8.8.8.8", AddressClass.PUBLIC),
        ("64:ff9b::808:808", AddressClass.PUBLIC),
        ("2001:0:808:808::f7f7:f7f7", AddressClass.PUBLIC),
        ("10.1.2.3", AddressClass.PRIVATE),
        ("100.127.255.255", AddressClass.PRIVATE),
        ("fd12::1", AddressClass.PRIVATE),
        ("127.8.9.10", AddressClass.LOOPBACK),
        ("::1", AddressClass.LOOPBACK),
        ("169.254.1.1", AddressClass.LINK_LOCAL),
        ("fe80::1", AddressClass.LINK_LOCAL),
        ("fe80::5efe:808:808", AddressClass.LINK_LOCAL),
        ("169.254.169.254", AddressClass.METADATA),
        ("100.100.100.200", AddressClass.METADATA),
        ("192.0.0.192", AddressClass.METADATA),
        ("168.63.129.16", AddressClass.METADATA),
        ("fd00:ec2::254", AddressClass.METADATA),
        ("fd20:ce::254", AddressClass.METADATA),
        ("224.0.0.1", AddressClass.MULTICAST),
        ("ff02::1", AddressClass.MULTICAST),
        ("0.0.0.0", AddressClass.UNSPECIFIED),
        ("0.1.2.3", AddressClass.UNSPECIFIED),
        ("::", AddressClass.UNSPECIFIED),
        ("192.0.0.8", AddressClass.RESERVED),
        ("192.88.99.1", AddressClass.RESERVED),
        ("255.255.255.255", AddressClass.RESERVED),
        ("::127.0.0.1", AddressClass.RESERVED),
        ("::2", AddressClass.RESERVED),
        ("100::1", AddressClass.RESERVED),
        ("fec0::1", AddressClass.RESERVED),
        ("2001:db8::1", AddressClass.RESERVED),
        ("2001:2::1", AddressClass.RESERVED),
        ("5f00::1", AddressClass.RESERVED),
        ("4000::1", AddressClass.RESERVED),
        ("64:ff9b::7f00:1", AddressClass.WRAPPED),
        ("2002:7f00:1::", AddressClass.WRAPPED),
        ("::ffff:127.0.0.1", AddressClass.WRAPPED),
    ],
)
def test_R10_every_address_has_its_class(text, expected):
    assert classify(text) is expected


@pytest.mark.parametrize("text", ["fe80::1%eth0", "::1%", "\u0661.1.1.1", "crm", ""])
def test_what_is_no_plain_numeric_address_has_no_class(text):
    with pytest.raises(ValueError):
        classify(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("169.254.169.254", "cloud metadata"),
        ("169.254.1.1", "link-local"),
        ("224.0.0.1", "multicast"),
        ("0.0.0.0", "unspecified"),
        ("240.0.0.1", "reserved"),
        ("64:ff9b::7f00:1", "a wrapped form of an address that is not public"),
    ],
)
def test_R10_a_denial_names_the_kind_of_address(text, kind):
    with pytest.raises(DeniedHostError) as caught:
        Guard().vet(text, [literal(text, 80)])
    assert str(caught.value) == f"{text} is denied: {kind}"


@given(st.ip_addresses())
def test_every_address_has_some_class_and_ours_is_never_laxer_than_the_standard_library(address):
    kind = classify(str(address))
    if address.is_multicast or address.is_link_local or address.is_unspecified:
        assert kind in NEVER
    if kind is AddressClass.PUBLIC and address.version == 4:
        assert address.is_global


@pytest.mark.parametrize(
    "host",
    [
        *("0177.0.0.1", "0x7f.1", "2130706433", "127.1", "①②⑦.⓪.⓪.①", "0x7f000001", "017700000001", "127.0.1", "0"),
        *("127.0.0.1.", "1.2.3.4.5", "256.0.0.1", "127.0.0.01", "\u0660.\u0660.\u0660.\u0660", "host.0x", "host.123"),
        *("fe80::1%eth0", "::1%1", "127.0.0.1%lo", "a b", "a\0b", "", ".", "a..b", "-a.example", "a-.example"),
        *("example.com.", "exämple.com", "ex。com", "a" * 64, "a." * 127 + "aa", "user@host", "a/b", "[::1]"),
    ],
)
def test_R10_a_host_that_is_neither_strict_address_nor_name_is_refused(host):
    with pytest.raises(DeniedHostError):
        check_host(host)


def test_a_zone_is_told_as_what_is_wrong_with_an_address():
    with pytest.raises(DeniedHostError, match="zone id"):
        check_host("fe80::1%eth0")


def test_a_name_has_253_characters_at_most():
    longest = "a." * 126 + "a"
    assert check_host(longest) == longest
    with pytest.raises(DeniedHostError, match="no DNS name"):
        check_host("b" + longest)


def test_a_numeric_address_has_the_form_of_an_answer():
    assert literal("10.0.0.1", 80) == (socket.AF_INET, "10.0.0.1", 80)
    assert literal("::1", 443) == (socket.AF_INET6, "::1", 443)


@pytest.mark.parametrize(
    "host", ["crm", "my_service", "EXAMPLE.com", "xn--exmple-cua.com", "1.2.3.4", "::1", "3com.example"]
)
def test_plain_names_and_addresses_are_taken_in_lower_case(host):
    assert check_host(host) == host.lower()


def answers(*addresses):
    return [literal(address, 443) for address in addresses]


def test_R9_a_name_with_public_and_private_answers_is_denied():
    for mixed in (("93.184.216.34", "10.0.0.1"), ("10.0.0.1", "93.184.216.34"), ("2606:4700::1", "::1")):
        with pytest.raises(DeniedHostError, match="rebinding"):
            Guard().vet("api.example", answers(*mixed))


def test_R9_one_denied_answer_denies_the_name():
    with pytest.raises(DeniedHostError, match="cloud metadata"):
        Guard().vet("api.example", answers("10.0.0.1", "169.254.169.254"))


def test_R9_of_1000_answers_the_first_64_are_considered():
    many = answers(*(f"93.184.{n // 250}.{n % 250 + 1}" for n in range(1000)))
    assert Guard().vet("api.example", many) == many[:64]


def test_answers_inside_and_on_this_machine_pass():
    assert len(Guard().vet("localhost", answers("::1", "127.0.0.1", "127.0.0.1"))) == 2
    assert Guard().vet("db", answers("10.0.0.1", "127.0.1.1")) == answers("10.0.0.1", "127.0.1.1")


def test_R10_an_answer_with_a_zone_is_denied():
    with pytest.raises(DeniedHostError):
        Guard().vet("printer", answers("fe80::1%eth0"))


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://2130706433/",
            "http://0x7f.1/",
            "http://127.1/",
            "http://[::ffff:127.0.0.1]/",
            "http://[fe80::1%25lo]/",
        ),
        *("http://169.254.169.254/latest", "http://[fd00:ec2::254]/", "http://0.0.0.0:80/", "http://[::]/"),
        *("http://user:secret-x@host/", "http://user@host/", "http://host:0/", "http://host:65536/", "http://host:/"),
        *("ftp://host/", "//host/", "host", "http:/host", "http://", "http://?x", "http://[/", "http://host/#secret-x"),
        *("http://host/secret-x y", "http://host/\r\nsecret-x", "http://host/%zz", "http://host/ä", "HTTP://host/"),
        *("unix:relative.sock:/", "unix:", "unix:/", f"unix:/{'x' * 200}:/", "unix:/a\0b:/", "unix:/a.sock:no-slash"),
        *("http://host\\@evil/", "http://ho\tst/", "http://[1.2.3.4]/", "http://host:٨٠/"),
    ],
)
def test_R10_a_url_is_refused_when_it_is_read_and_no_path_is_quoted(url):
    with pytest.raises(ValueError) as caught:
        parse_url(url)
    assert "secret-x" not in str(caught.value)


def test_urls_are_taken_apart():
    assert parse_url("http://crm:9000/hooks?a=b&c[]=%20") == (False, "crm", 9000, "", "/hooks?a=b&c[]=%20")
    assert parse_url("https://CRM.example") == (True, "crm.example", 443, "", "/")
    assert parse_url("https://[::1]:8443?x") == (True, "::1", 8443, "", "/?x")
    assert parse_url("unix:/run/crm.sock:/hooks") == (False, "", 0, "/run/crm.sock", "/hooks")
    assert parse_url("unix:/run/crm.sock").target == "/"


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://crm", "crm"),
        ("http://crm:8080", "crm:8080"),
        ("https://crm:80", "crm:80"),
        ("https://crm:443", "crm"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("unix:/run/x.sock:/", "localhost"),
    ],
)
def test_the_host_header_names_what_the_operator_wrote(url, authority):
    assert parse_url(url).authority == authority
