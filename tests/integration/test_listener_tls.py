"""The listener under TLS: the same server, certificates that can be swapped, handshakes that stall or lie."""

import ssl
import sys

import listener_world
import pytest
import trio
import trustme
from listener_world import GOOD, HOST, Hooks, let_pass, only_own, read_all, read_reply, serving
from trio.testing import wait_all_tasks_blocked

from gateway.errors import ConfigError
from gateway.wire.listener import Reply
from gateway.wire.tls import ServerTls, asking_context, server_context
from harness.certificates import issue, unreadable

pytestmark = pytest.mark.usefixtures("either_http")

AUTHORITY = trustme.CA(key_type=trustme.KeyType.ECDSA)


@pytest.fixture(autouse=True, params=[server_context, asking_context])
def make(request, monkeypatch):
    """Run every test without asking clients for a certificate, and with."""
    monkeypatch.setattr(sys.modules[__name__], "load", request.param)


load = server_context


def certificate(folder, name: str, *protocols: str) -> ssl.SSLContext:
    """Issue a certificate and load it as the listener does."""
    issued = AUTHORITY.issue_cert(name, key_type=trustme.KeyType.ECDSA)
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    return load(str(cert), str(key), protocols or ("http/1.1",))


@pytest.fixture
def tls(tmp_path):
    return ServerTls(certificate(tmp_path, "one.example"))


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


async def shake(world, name: str = "one.example", context: ssl.SSLContext | None = None) -> trio.SSLStream:
    stream = trio.SSLStream(await world.connect(), context or trusting(), server_hostname=name, https_compatible=True)
    try:
        await stream.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return stream


async def test_requests_are_served_under_tls(tls):
    async with serving(tls=tls) as world:
        async with await shake(world) as stream:
            world.hooks.answer = lambda request: Reply(200, request.body)
            body = bytes(range(256)) * 2000
            for piece in (GOOD, GOOD + GOOD):
                await stream.send_all(piece)
            for _ in range(3):
                assert (await read_reply(stream)).endswith(b"hello")
            await stream.send_all(b"POST /hook HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            assert (await read_reply(stream)).endswith(body)
            assert stream.selected_alpn_protocol() is None
        assert world.refused == {}


@pytest.mark.parametrize(("offered", "agreed"), [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), (["x"], None)])
async def test_a_protocol_that_both_sides_speak_is_agreed_on(tmp_path, offered, agreed):
    wanting = trusting()
    wanting.set_alpn_protocols(offered)
    tls = ServerTls(certificate(tmp_path, "two.example", "h2", "http/1.1"))
    async with serving(tls=tls) as world, await shake(world, "two.example", wanting) as stream:
        assert stream.selected_alpn_protocol() == agreed


async def test_a_session_is_not_resumed_where_clients_are_asked_for_a_certificate(tls):
    if load is server_context:
        pytest.skip("there is no certificate that would be lost")
    context = trusting()
    async with serving(tls=tls) as world:
        async with await shake(world, context=context) as stream:
            await stream.send_all(GOOD)
            await read_reply(stream)
            session = stream._ssl_object.session
        raw = await world.connect()
        again = trio.SSLStream(raw, context, server_hostname="one.example", https_compatible=True)
        again._ssl_object.session = session
        async with again:
            await again.do_handshake()
            assert not again.session_reused
            await again.send_all(GOOD)
            assert b"200" in await read_reply(again)


async def test_a_certificate_that_nobody_can_read_is_refused_by_no_listener(tls, tmp_path):
    wanting = trusting()
    sender, shown = issue("sender"), tmp_path / "sender.pem"
    shown.write_bytes(unreadable(sender) + sender.key_pem)
    wanting.load_cert_chain(shown)
    async with serving(tls=tls) as world, await shake(world, context=wanting) as stream:
        await stream.send_all(GOOD)
        assert (await read_reply(stream)).startswith(b"HTTP/1.1 200 ")
        assert (world.errors, world.refused) == ([], {}), "a stranger's certificate is no fault of ours"


async def test_a_last_reply_under_tls_ends_with_a_farewell(tls):
    only_own("trio says farewell only where it may wait for the other side's: the reply's length tells its end")
    async with serving(tls=tls) as world:
        raw = await world.connect()
        stream = trio.SSLStream(raw, trusting(), server_hostname="one.example", https_compatible=False)
        await stream.send_all(b"POST /hook HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
        received = b"".join([piece async for piece in stream])  # raises where the end is not the server's word
        assert received.startswith(b"HTTP/1.1 200 ")
        await stream.aclose()


async def test_a_refusal_reaches_a_client_under_tls(tls):
    async with serving(tls=tls) as world, await shake(world) as stream:
        await stream.send_all(b"POST /hook HTTP/1.1\r\nContent-Length: 1\r\n\r\n" + b"x" * 100_000)
        assert (await read_reply(stream)).startswith(b"HTTP/1.1 400 ")


async def test_H23_a_handshake_that_stalls_ends_after_ten_seconds(tls, mock_clock):
    async with serving(tls=tls) as world, await world.connect() as stream:
        await stream.send_all(b"\x16\x03\x01\x02\x00\x01")
        await wait_all_tasks_blocked()
        await let_pass(mock_clock, 9.5)
        assert world.server.statistics().connections == 1
        await let_pass(mock_clock, 0.75)
        assert world.server.statistics().connections == 0
        assert world.refused == {"opening_timeout": 1}


async def test_H23_a_handshake_that_stalls_does_not_hold_up_draining(tls, mock_clock):
    async with serving(tls=tls) as world, await world.connect() as stream, trio.open_nursery() as nursery:
        await stream.send_all(b"\x16\x03\x01\x02\x00\x01")
        await wait_all_tasks_blocked()
        nursery.start_soon(world.server.drain, 60)
        await wait_all_tasks_blocked()
        await let_pass(mock_clock, 1.5)
        assert world.server.statistics().connections == 0


async def test_H23_a_client_hello_of_64_KiB_ends_within_ten_seconds(tls, mock_clock):
    async with serving(tls=tls) as world, await world.connect() as stream:
        record = b"\x16\x03\x01\x40\x00"
        await stream.send_all(record + b"\x01\x00\xff\xfc\x03\x03" + bytes(0x4000 - 6) + (record + bytes(0x4000)) * 3)
        await wait_all_tasks_blocked()
        await let_pass(mock_clock, 10.25)
        assert world.server.statistics().connections == 0
        await read_all(stream)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
async def test_H23_tls_1_0_is_refused(tls):
    old = trusting()
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1
    async with serving(tls=tls) as world:
        with pytest.raises(trio.BrokenResourceError) as caught:
            await shake(world, context=old)
        if listener_world.speaker == "own":  # trio closes without the alert
            assert "ALERT_PROTOCOL_VERSION" in str(caught.value.__cause__)
        await wait_all_tasks_blocked()
        assert world.refused == {"tls": 1}


async def test_H23_plain_http_on_a_tls_listener_is_refused(tls):
    async with serving(tls=tls) as world:
        assert b"HTTP/1.1" not in await world.say(GOOD)
        assert world.hooks.taken == []
        assert world.refused == {"tls": 1}


async def test_H2_a_slow_body_under_tls_gets_408(tls, mock_clock):
    async with serving(tls=tls) as world, await shake(world) as stream:
        await stream.send_all(b"POST /hook HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nx")
        await wait_all_tasks_blocked()
        await let_pass(mock_clock, 5.75)
        assert (await read_reply(stream)).startswith(b"HTTP/1.1 408 ")


async def test_H3_a_client_under_tls_that_never_reads_is_reset(tls, mock_clock):
    async with serving(tls=tls) as world, await shake(world) as stream:
        world.hooks.answer = lambda _: Reply(200, b"x" * 64 * 1024 * 1024)
        await stream.send_all(GOOD)
        await wait_all_tasks_blocked()
        await let_pass(mock_clock, 10.25)
        assert world.server.statistics().connections == 0


async def test_what_tls_has_to_say_does_not_pile_up_at_a_client_that_takes_nothing(tls):
    only_own("trio sends as it reads, and waits")
    async with serving(tls=tls) as world, await shake(world) as stream:
        await wait_all_tasks_blocked()
        (connection,) = world.server._connections
        connection._channel._outgoing.write(bytes(64 * 1024 * 1024))  # as many key updates would
        await stream.send_all(b"P")
        await wait_all_tasks_blocked()
        assert world.server.statistics().connections == 0
        assert world.refused == {"disconnected": 1}
        await trio.aclose_forcefully(stream)


async def test_a_new_certificate_serves_new_connections_and_leaves_open_ones(tls, tmp_path):
    async with serving(Hooks(), tls=tls) as world, await shake(world) as before:
        tls.context = certificate(tmp_path, "two.example")
        async with await shake(world, "two.example") as after:
            for stream in (before, after):
                await stream.send_all(GOOD)
                assert b"200" in await read_reply(stream)


def test_a_certificate_that_cannot_be_used_is_told_by_its_files(tmp_path):
    certificate(tmp_path, "one.example")
    certificate(tmp_path, "two.example")
    for cert, key in (("one.example.pem", "two.example.key"), ("absent.pem", "absent.key")):
        with pytest.raises(ConfigError, match=f"{cert}.*{key}"):
            server_context(str(tmp_path / cert), str(tmp_path / key))
