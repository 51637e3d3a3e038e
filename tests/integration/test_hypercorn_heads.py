"""Heads of HTTP/2 that could be read in two ways, or split a head of HTTP/1: none reaches the receiver."""

import pytest
import trio
from h2.config import H2Configuration
from h2.connection import H2Connection
from listener_world import serving
from test_hypercorn_http2 import _hypercorn, is_well, talking, tls  # noqa: F401 - fixtures are found by name

PSEUDO = [(":method", "POST"), (":scheme", "https"), (":authority", "hooks.example"), (":path", "/hook")]
BAD = {
    "upper case": [*PSEUDO, ("X-Big", "1")],
    "connection": [*PSEUDO, ("connection", "keep-alive")],
    "transfer-encoding": [*PSEUDO, ("transfer-encoding", "chunked")],
    "two paths": [*PSEUDO, (":path", "/other")],
    "no path": PSEUDO[:3],
    "no method": PSEUDO[1:],
    "pseudo late": [("x-a", "1"), *PSEUDO],
    "unknown pseudo": [*PSEUDO, (":forward", "x")],
    "empty path": [*PSEUDO[:3], (":path", "")],
    "host differs": [*PSEUDO, ("host", "other.example")],
    "line end in a value": [*PSEUDO, ("x-a", "1\r\nx-token: good")],
    "NUL in a value": [*PSEUDO, ("x-a", "1\0")],
    "line end in a name": [*PSEUDO, ("x-a\r\nx-token", "good")],
    "space in the path": [*PSEUDO[:3], (":path", "/hook HTTP/1.1\r\nx-a: 1")],
    "two lengths": [*PSEUDO, ("content-length", "5"), ("content-length", "6")],
    "length of no number": [*PSEUDO, ("content-length", "+5")],
}


@pytest.fixture
def unchecked(monkeypatch):
    """A client that sends what it is told to, however wrong."""
    plain = H2Configuration(
        client_side=True, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
    )
    monkeypatch.setattr("harness.http2.H2Connection", lambda _: H2Connection(plain))


async def outcome(client, stream):
    """The status, or None where stream or connection ended."""
    try:
        with trio.fail_after(20):
            return (await client.answer(stream)).status
    except ConnectionResetError:
        return None


@pytest.mark.parametrize("what", BAD)
async def test_N7_a_head_that_could_be_read_two_ways_reaches_nobody(tls, unchecked, what):  # noqa: F811
    async with serving(tls=tls) as world:
        async with talking(world) as client:
            stream = client.h2.get_next_available_stream_id()
            client.h2.send_headers(stream, BAD[what], end_stream=True)
            await client.flush()
            assert await outcome(client, stream) in {None, 400, 404}
            assert world.hooks.taken == []
        assert world.errors == []
        assert await is_well(world)


@pytest.mark.parametrize("length", ["4", "6"])
async def test_N8_a_body_of_another_length_than_was_said_reaches_nobody(tls, unchecked, length):  # noqa: F811
    async with serving(tls=tls) as world:
        async with talking(world) as client:
            stream = await client.begin("POST", "/hook", ("content-length", length))
            await client.send_body(stream, b"hello")
            assert await outcome(client, stream) in {None, 400}
            assert world.hooks.taken == []
        assert world.errors == []
        assert await is_well(world)
