"""What an operator's lists allow and deny, and that nothing leads to the gateway's own listeners."""

import pytest

from gateway.wire.addresses import DeniedHostError, literal
from gateway.wire.guard import Guard, Own, parse_rule

PUBLIC_ONLY = Guard().public_only()


def passes(guard, *addresses, host="api.example"):
    try:
        return len(guard.vet(host, [literal(address, 80) for address in addresses])) == len(addresses)
    except DeniedHostError:
        return False


def narrowed(allow="", deny=""):
    return Guard().narrowed([parse_rule(each) for each in allow.split()], [parse_rule(each) for each in deny.split()])


@pytest.mark.parametrize("address", ["8.8.8.8", "10.0.0.1", "127.0.0.1", "::1", "fd12::1", "2606:4700::1111"])
def test_an_operators_url_may_lead_to_public_private_and_loopback_addresses(address):
    assert passes(Guard(), address)
    assert passes(PUBLIC_ONLY, address) == (address in ("8.8.8.8", "2606:4700::1111"))


@pytest.mark.parametrize(
    ("allow", "deny", "address", "expected"),
    [
        ("10.1.0.0/16", "", "10.1.2.3", True),
        ("10.1.0.0/16", "", "10.2.0.1", False),
        ("10.1.0.0/16", "", "8.8.8.8", False),
        ("10.1.0.0/16 public", "", "8.8.8.8", True),
        ("public", "", "192.168.0.1", False),
        ("", "10.0.0.0/8", "10.0.0.1", False),
        ("", "10.0.0.0/8", "192.168.0.1", True),
        ("", "private loopback", "8.8.4.4", True),
        ("", "private loopback", "::1", False),
        ("10.0.0.0/8", "10.0.0.7", "10.0.0.7", False),
        ("", "8.8.8.0/24", "8.8.8.8", False),
        ("", "8.8.8.0/24", "::ffff:8.8.8.8", False),
        ("", "8.8.8.0/24", "64:ff9b::808:808", False),
        ("", "8.8.8.0/24", "2002:808:808::1", False),
        ("", "8.8.8.0/24", "2001:0:808:808::fefe:fefe", False),
        ("", "8.8.8.0/24", "2001:0:101:101::f7f7:f7f7", False),
        ("", "8.8.8.0/24", "2001:0:101:101::fefe:fefe", True),
        ("8.8.8.0/24", "", "2001:0:808:808::fefe:fefe", False),
        ("8.8.8.0/24", "", "2001:0:808:808::f7f7:f7f7", True),
        ("8.8.8.0/24", "", "2606:4700::1111", False),
        ("8.8.8.0/24", "", "::ffff:8.8.8.8", True),
        ("8.8.8.0/24", "", "::ffff:8.8.4.4", False),
        ("2606:4700::/32", "", "2606:4700::1111", True),
        ("2606:4700::/32", "", "8.8.8.8", False),
    ],
)
def test_allow_says_what_is_allowed_instead_and_deny_what_is_not_in_spite_of_it(allow, deny, address, expected):
    assert passes(narrowed(allow, deny), address) is expected


@pytest.mark.parametrize("address", ["169.254.169.254", "224.0.0.1", "0.0.0.0", "::ffff:127.0.0.1", "fe80::1"])
def test_no_list_opens_what_nobody_serves_on(address):
    assert not passes(narrowed("0.0.0.0/0 ::/0"), address)


def test_a_name_with_public_and_other_addresses_at_once_is_denied_though_each_is_allowed():
    assert not passes(narrowed("10.0.0.0/8 public"), "8.8.8.8", "10.0.0.1")


def test_one_denied_answer_denies_them_all():
    assert not passes(narrowed("", "10.0.0.2"), "10.0.0.1", "10.0.0.2")


def test_a_denial_says_which_address_and_why():
    with pytest.raises(DeniedHostError, match=r"crm\.example at 10\.0\.0\.2 is denied: private, which deny"):
        narrowed("", "10.0.0.0/8").vet("crm.example", [literal("10.0.0.2", 80)])
    with pytest.raises(DeniedHostError, match=r"10\.0\.0\.2 is denied: private, and not the operator alone says"):
        PUBLIC_ONLY.vet("10.0.0.2", [literal("10.0.0.2", 80)])


@pytest.mark.parametrize("text", ["10.0.0.1/8", "metadata", "crm.example", "", "10.0.0.0/33", "fe80::1%eth0/64 "])
def test_an_entry_that_is_neither_network_nor_class_is_refused(text):
    with pytest.raises(ValueError, match="expected an address, a network"):
        parse_rule(text)


OURS = "10.0.0.7"


@pytest.mark.parametrize(
    ("bound", "wanted", "expected"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("0.0.0.0", "127.9.9.9", True),
        ("0.0.0.0", OURS, True),
        ("0.0.0.0", "10.0.0.8", False),
        ("::", "::1", True),
        ("::", "fd12::1", False),
        (OURS, OURS, True),
        (OURS, "10.0.0.8", False),
    ],
)
def test_C6_what_would_come_out_at_our_own_listener_is_recognised(bound, wanted, expected):
    def is_local(address):
        return address[1] == OURS

    assert Own(bound, 8080).takes(literal(wanted, 8080), is_local) is expected
    assert not Own(bound, 8080).takes(literal(wanted, 8081), is_local)


def test_C6_a_denial_says_where_the_gateway_itself_listens():
    guard = Guard(own=(Own("10.0.0.7", 8080),))
    with pytest.raises(DeniedHostError, match=r"crm\.example at 10\.0\.0\.7 port 8080 is denied: the gateway itself"):
        guard.refuse_own("crm.example", [literal("10.0.0.8", 8080), literal("10.0.0.7", 8080)], lambda _: False)


def test_a_unix_socket_needs_the_operators_own_words_and_is_not_ours():
    guard = Guard(own=(Own("", 0, "/run/hookgate/admin.sock"),))
    guard.vet_socket("/run/crm.sock", "/run/crm.sock")
    with pytest.raises(DeniedHostError, match="the gateway itself listens there"):
        guard.vet_socket("/tmp/link.sock", "/run/hookgate/admin.sock")
    with pytest.raises(DeniedHostError, match="only the operator's own words"):
        PUBLIC_ONLY.vet_socket("/run/crm.sock", "/run/crm.sock")
