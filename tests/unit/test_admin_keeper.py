"""Who may ask the admin API: decided from headers and peer alone."""

import pytest

from gateway.admin.keeper import GUESSES_MAX, PEERS_MAX, WINDOW_SECONDS, Keeper

RIGHT = {"host": "localhost", "authorization": "Bearer right"}


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def keeper(token=b"right", clock=None):
    return Keeper(token, clock or Clock())


def status(denied):
    return denied.status if denied else None


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", None),
        ("localhost:9090", None),
        ("127.0.0.1:9090", None),
        ("127.8.9.10", None),
        ("[::1]:9090", None),
        ("[::1]", None),
        ("", 403),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example:80", 403),
        ("10.0.0.1", 403),
        ("0.0.0.0:9090", 403),
        ("localhost, evil.example", 403),
    ],
)
def test_A1_on_tcp_the_host_must_name_this_machine(host, expected):
    assert status(keeper().refusal("127.0.0.1", "GET", {**RIGHT, "host": host})) == expected


@pytest.mark.parametrize(
    ("peer", "origin", "expected"),
    [
        ("127.0.0.1", "http://localhost", None),
        ("127.0.0.1", "https://localhost", 403),
        ("127.0.0.1", "http://localhost:1", 403),
        ("127.0.0.1", "null", 403),
        (None, "http://localhost", 403),
    ],
)
def test_A1_only_the_page_of_this_very_listener_may_ask(peer, origin, expected):
    assert status(keeper().refusal(peer, "GET", {**RIGHT, "origin": origin})) == expected


@pytest.mark.parametrize(
    "sent",
    ["", "Bearer", "Bearer ", "Bearer wrong", "Bearer right ", "bearer right", "right", "Bearer right, Bearer right"],
)
def test_A2_only_the_exact_token_counts(sent):
    assert status(keeper().refusal("127.0.0.1", "GET", {**RIGHT, "authorization": sent})) == 401


@pytest.mark.parametrize("token", [None, b""])
def test_A2_no_token_lets_nobody_in(token):
    for sent in ("", "Bearer ", "Bearer None"):
        assert status(keeper(token).refusal("127.0.0.1", "GET", {"host": "localhost", "authorization": sent})) == 401


def test_A2_guesses_of_one_peer_are_counted_in_a_window_and_others_are_unharmed():
    clock = Clock()
    one = keeper(clock=clock)
    for _ in range(GUESSES_MAX):
        assert status(one.refusal("127.0.0.1", "GET", {**RIGHT, "authorization": "Bearer x"})) == 401
    assert status(one.refusal("127.0.0.1", "GET", RIGHT)) == 429
    assert one.refusal("127.0.0.2", "GET", RIGHT) is None
    clock.now = WINDOW_SECONDS + 1
    assert one.refusal("127.0.0.1", "GET", RIGHT) is None


def test_A2_the_memory_of_guesses_is_bounded():
    one = keeper()
    for n in range(PEERS_MAX + 40):
        one.refusal(f"127.0.{n // 256}.{n % 256}", "GET", {**RIGHT, "authorization": "x"})
    assert len(one._guesses) == PEERS_MAX


def test_the_unix_socket_needs_no_token_but_a_change_needs_json():
    assert keeper(None).refusal(None, "GET", {"host": "anything"}) is None
    assert status(keeper(None).refusal(None, "POST", {"host": "x"})) == 403
    assert keeper(None).refusal(None, "POST", {"host": "x", "content-type": "application/json; charset=utf-8"}) is None
