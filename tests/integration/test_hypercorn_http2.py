"""HTTP/2 over TLS by hypercorn: requests arrive exactly, and a hostile peer costs its own connection only."""

import random
import ssl
from contextlib import asynccontextmanager
from dataclasses import replace

import listener_world
import pytest
import trio
import trustme
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ResponseReceived
from h2.settings import SettingCodes, Settings
from listener_world import Hooks, let_pass, serving
from trio.testing import wait_all_tasks_blocked

from gateway.asgi.meter import BURST, RESET_COST
from gateway.wire.listener import Limits, Reply
from gateway.wire.tls import ServerTls, server_context
from harness.http2 import http2

NAME = "one.example"
AUTHORITY = trustme.CA()


@pytest.fixture(autouse=True)
def _hypercorn(monkeypatch):
    monkeypatch.setattr(listener_world, "speaker", "hypercorn")


@pytest.fixture
def tls(tmp_path):
    leaf = AUTHORITY.issue_cert(NAME)
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    leaf.private_key_pem.write_to_path(tmp_path / "key.pem")
    return ServerTls(server_context(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"), ("h2", "http/1.1")))


def trusting():
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    context.set_alpn_protocols(["h2"])
    return context


@asynccontextmanager
async def talking(world, **options):
    async with http2(world.address, trusting(), NAME, **options) as client:
        yield client


async def is_well(world):
    """Say whether a good request on a new connection is served."""
    async with talking(world) as client:
        stream = await client.begin("POST", "/hook")
        await client.send_body(stream, b"hello")
        return (await client.answer(stream)).status == 200


async def test_a_request_arrives_as_it_was_sent(tls):
    async with serving(tls=tls) as world, talking(world) as client:
        more = [("X-Twice", "one"), ("x-twice", "two"), ("x-bytes", "caf\u00e9")]
        stream = await client.begin("POST", "/hook?b=%2F&a", *more)
        await client.send_body(stream, b"\x00" * 200_000)
        answer = await client.answer(stream)
        assert (answer.status, answer.body) == (200, b"taken\n")
        (request,) = world.hooks.taken
        assert (request.method, request.path, request.query) == ("POST", "/hook", "b=%2F&a")
        assert request.headers[0] == (b"host", b"hooks.example")
        assert [value for name, value in request.headers if name == b"x-twice"] == [b"one", b"two"]
        assert (request.body, request.client) == (b"\x00" * 200_000, "127.0.0.1")


async def test_requests_at_once_are_answered_each_when_it_is_done(tls, mock_clock):
    async with serving(tls=tls) as world, talking(world) as client:
        world.hooks.answer = lambda request: Reply(200, request.body)
        streams = [await client.begin("POST", "/hook") for _ in range(50)]
        for number, stream in reversed(list(enumerate(streams))):
            await client.send_body(stream, b"%d" % number)
        for number, stream in enumerate(streams):
            assert (await client.answer(stream)).body == b"%d" % number


async def test_P1_no_answer_leaves_before_the_handler_is_done(tls):
    async with serving(tls=tls) as world, talking(world) as client:
        world.hooks.gate = trio.Event()
        stream = await client.begin("POST", "/hook")
        await client.send_body(stream, b"hello")
        await wait_all_tasks_blocked(0.05)
        assert len(world.hooks.taken) == 1
        assert not any(isinstance(event, ResponseReceived) for event in client.events)
        world.hooks.gate.set()
        assert (await client.answer(stream)).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/nobody", 404),
        ("PUT", "/hook", 405),
        ("TRACE", "/hook", 405),
        ("POST", "/hook#x", 400),
        ("POST", "*", 400),
        ("POST", "http://elsewhere/hook", 400),
        ("POST", "/\xff", 400),
        ("post", "/hook", 400),
        ("POST", "/a b", 400),
    ],
)
async def test_H15_H16_H17_what_is_refused_costs_its_stream_only(tls, method, path, status):
    async with serving(tls=tls) as world, talking(world) as client:
        stream = await client.begin(method, path)
        await client.send_body(stream, b"hello")
        assert (await client.answer(stream)).status == status
        good = await client.begin("POST", "/hook")
        await client.send_body(good, b"hello")
        assert (await client.answer(good)).status == 200
        assert world.errors == []
        assert len(world.hooks.taken) == 1


async def test_H13_connect_and_websocket_are_refused(tls):
    async with serving(tls=tls) as world, talking(world) as client:
        await client.wait_news()
        stream = client.h2.get_next_available_stream_id()
        headers = client.headers("CONNECT", "/hook")
        client.h2.send_headers(stream, [*headers[:1], (":protocol", "websocket"), *headers[1:]])
        await client.flush()
        assert (await client.answer(stream)).status == 405
        assert world.errors == []
        assert await is_well(world)


async def test_H10_a_body_over_its_limit_is_413_by_length_and_by_count(tls):
    async with serving(Hooks(limit=1000), tls=tls) as world, talking(world) as client:
        told = await client.begin("POST", "/hook", ("content-length", "1001"))
        assert (await client.answer(told)).status == 413
        counted = await client.begin("POST", "/hook")
        client.h2.send_data(counted, b"x" * 1001)
        await client.flush()
        assert (await client.answer(counted)).status == 413
        assert world.hooks.taken == []
        assert world.refused == {"body_too_large": 2}
        good = await client.begin("POST", "/hook")
        await client.send_body(good, b"hello")
        assert (await client.answer(good)).status == 200, "the connection stays"


async def test_H10_bodies_together_stay_within_the_memory_for_bodies(tls):
    async with serving(limits=Limits(body_memory=100_000), tls=tls) as world, talking(world) as client:
        first, second = await client.begin("POST", "/hook"), await client.begin("POST", "/hook")
        client.h2.send_data(first, b"x" * 15_000)
        await client.flush()
        for stream in (first, second):
            for _ in range(3):
                if client.h2.local_flow_control_window(stream) >= 15_000:
                    client.h2.send_data(stream, b"x" * 15_000)
                await client.flush()
                await wait_all_tasks_blocked(0.01)
        answers = await client.answer(second)
        assert answers.status == 503
        assert world.refused == {"body_memory": 1}


async def test_H2_a_slow_body_is_408_and_other_requests_go_on(tls, mock_clock):
    async with serving(tls=tls) as world, talking(world) as client:
        slow = await client.begin("POST", "/hook")
        client.h2.send_data(slow, b"x")
        await client.flush()
        await wait_all_tasks_blocked()
        await let_pass(mock_clock, 5.5)
        assert (await client.answer(slow)).status == 408
        good = await client.begin("POST", "/hook")
        await client.send_body(good, b"hello")
        assert (await client.answer(good)).status == 200
        assert world.refused == {"body_timeout": 1}


async def test_H3_a_peer_with_a_window_of_nothing_is_reset_after_ten_seconds(tls, mock_clock):
    async with serving(tls=tls) as world, talking(world, begin=False) as client:
        client.h2 = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        client.h2.local_settings = Settings(client=True, initial_values={SettingCodes.INITIAL_WINDOW_SIZE: 0})
        client.h2.initiate_connection()
        await client.flush()
        await wait_all_tasks_blocked()
        stream = await client.begin("POST", "/hook", end=True)
        await wait_all_tasks_blocked()
        assert len(world.hooks.taken) == 1
        await let_pass(mock_clock, 10.5)
        await client.wait_end()
        assert world.refused == {"sending_timeout": 1}
        assert await is_well(world)
        assert stream == 1


async def test_an_idle_connection_is_told_goodbye(tls, mock_clock):
    async with serving(tls=tls) as world, talking(world) as client:
        stream = await client.begin("POST", "/hook", end=True)
        assert (await client.answer(stream)).status == 200
        await wait_all_tasks_blocked()
        await let_pass(mock_clock, 76)
        await client.wait_end()
        assert client.goodbye.error_code == 0
        assert world.server.statistics().connections == 0


async def test_P16_draining_answers_what_is_under_way_and_refuses_what_is_new(tls, mock_clock):
    async with (
        serving(tls=tls) as world,
        talking(world) as idle,
        talking(world) as busy,
        trio.open_nursery() as nursery,
    ):
        await wait_all_tasks_blocked()
        world.hooks.gate = trio.Event()
        stream = await busy.begin("POST", "/hook", end=True)
        await wait_all_tasks_blocked()
        nursery.start_soon(world.server.drain, 30)
        await idle.wait_end()
        assert idle.goodbye.error_code == 0
        late = await busy.begin("POST", "/hook", end=True)
        with pytest.raises(ConnectionResetError):
            await busy.answer(late)
        world.hooks.gate.set()
        answer = await busy.answer(stream)
        assert (answer.status, answer.body) == (200, b"taken\n")
        await busy.wait_end()
        assert busy.goodbye.error_code == 0
        assert len(world.hooks.taken) == 1


async def test_H21_a_request_that_was_read_whole_is_handled_though_its_sender_leaves(tls):
    async with serving(tls=tls) as world:
        world.hooks.gate = trio.Event()
        async with talking(world) as client:
            whole = await client.begin("POST", "/hook", end=True)
            half = await client.begin("POST", "/hook")
            await wait_all_tasks_blocked(0.05)
            client.h2.reset_stream(whole)
            client.h2.reset_stream(half)
            await client.flush()
            await wait_all_tasks_blocked(0.05)
        world.hooks.gate.set()
        await wait_all_tasks_blocked(0.05)
        assert len(world.hooks.taken) == 1
        assert world.server.statistics().connections == 0
        assert world.errors == []


async def test_P21_data_after_an_early_answer_harms_nobody(tls):
    """What raises KeyError in hypercorn, and ends the server under trio."""
    async with serving(tls=tls) as world, talking(world) as client:
        slow = await client.begin("POST", "/hook")
        stream = await client.begin("POST", "/nobody")
        for _ in range(3):
            client.h2.send_data(stream, b"late")
        await client.flush()
        assert (await client.answer(stream)).status == 404
        await client.send_body(slow, b"hello")
        assert (await client.answer(slow)).status == 200
        assert world.errors == []


async def test_N1_P21_rapid_resets_end_the_connection_before_they_cost_much(tls):
    async with serving(tls=tls) as world, talking(world) as client:
        for _ in range(2000):
            stream = client.h2.get_next_available_stream_id()
            client.h2.send_headers(stream, client.headers("POST", "/hook"))
            client.h2.reset_stream(stream)
        await client.flush()
        with trio.fail_after(20):
            await client.wait_end()
        assert world.refused["http2_flood"] == 1
        assert world.refused.get("disconnected", 0) <= BURST // RESET_COST + 10
        assert world.hooks.taken == []
        assert world.errors == []
        assert await is_well(world)


@pytest.mark.parametrize("kind", ["settings", "ping", "priority", "window", "empty data", "unknown"])
async def test_N2_P21_a_flood_of_frames_that_bring_nothing_ends_the_connection(tls, kind):
    stream_frame = {
        "settings": b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        "ping": b"\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678",
        "priority": b"\x00\x00\x05\x02\x00\x00\x00\x00\x03\x00\x00\x00\x00\x10",
        "window": b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x01",
        "empty data": b"\x00\x00\x00\x00\x00\x00\x00\x00\x01",
        "unknown": b"\x00\x00\x00\x99\x00\x00\x00\x00\x00",
    }[kind]
    async with serving(tls=tls) as world, talking(world) as client:
        await client.begin("POST", "/hook")
        with trio.fail_after(20):
            for _ in range(20):
                await client.push(stream_frame * 1000)
            await client.wait_end()
        assert world.refused["http2_flood"] == 1
        assert world.hooks.taken == []
        assert world.errors == []
        assert await is_well(world)


async def test_N3_P21_a_body_in_frames_of_one_byte_ends_the_connection(tls):
    async with serving(tls=tls) as world, talking(world) as client:
        stream = await client.begin("POST", "/hook")
        for _ in range(5000):
            client.h2.send_data(stream, b"x")
        await client.flush()
        await client.wait_end()
        assert world.refused["http2_flood"] == 1
        assert await is_well(world)


async def test_H9_N6_headers_that_never_end_end_the_connection(tls):
    async with serving(tls=tls) as world, talking(world) as client:
        await client.wait_news()
        await client.push(b"\x00\x40\x00\x01\x00\x00\x00\x00\x01" + bytes(0x4000))
        for _ in range(100):
            await client.push(b"\x00\x40\x00\x09\x00\x00\x00\x00\x01" + bytes(0x4000))
        await client.wait_end()
        assert world.refused["http2_headers"] == 1
        assert await is_well(world)


@pytest.mark.parametrize("count", [1, 300], ids=["20 KB", "300 lines"])
async def test_H9_a_large_head_is_431(tls, count):
    async with serving(tls=tls) as world, talking(world) as client:
        more = [(f"x-{number}", "y" * (20_000 // count)) for number in range(count)]
        stream = await client.begin("POST", "/hook", *more, end=True)
        assert (await client.answer(stream)).status == 431
        assert world.hooks.taken == []


async def test_N4_more_requests_at_once_than_were_offered_end_the_connection(tls):
    async with serving(tls=tls) as world, talking(world) as client:
        await client.wait_news()
        client.h2.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 1000
        client.h2.remote_settings.acknowledge()
        for _ in range(102):
            client.h2.send_headers(client.h2.get_next_available_stream_id(), client.headers("POST", "/hook"))
        await client.flush()
        await client.wait_end()
        assert world.hooks.taken == []
        assert await is_well(world)


@pytest.mark.parametrize("last", [False, True], ids=["takes", "takes no more"])
async def test_P21_a_request_taken_back_in_the_bytes_that_bring_it_is_no_fault_of_ours(tls, last):
    async with serving(tls=tls) as world, talking(world) as client:
        await client.wait_news()
        stream = client.h2.get_next_available_stream_id()
        head = client.headers("POST", "/hook", ("Expect", "100-continue"), ("Content-Length", "5"))
        client.h2.send_headers(stream, head)
        client.h2.reset_stream(stream)
        for _ in range(2):  # by then the server has forgotten the first
            client.h2.send_headers(client.h2.get_next_available_stream_id(), client.headers("GET", "/hook"))
        world.server._state.draining = last
        await client.flush()
        await wait_all_tasks_blocked(0.05)
        world.server._state.draining = False
        assert "fault" not in world.refused
        assert await is_well(world)


async def test_the_limit_of_connections_of_one_peer_holds(tls, mock_clock):
    limits = replace(Limits(), connections_per_peer=1)
    async with serving(limits=limits, tls=tls) as world, talking(world) as client:
        await client.begin("POST", "/hook")
        await wait_all_tasks_blocked(0.05)
        with pytest.raises(trio.BrokenResourceError):
            async with talking(world):
                pass
        assert world.refused == {"peer_connections": 1}


async def test_a_client_without_alpn_gets_http1(tls):
    plain = ssl.create_default_context()
    AUTHORITY.configure_trust(plain)
    async with serving(tls=tls) as world:
        stream = trio.SSLStream(await world.connect(), plain, server_hostname=NAME, https_compatible=True)
        await stream.send_all(listener_world.GOOD)
        assert (await listener_world.read_reply(stream)).startswith(b"HTTP/1.1 200 ")
        await trio.aclose_forcefully(stream)


async def test_the_client_is_who_a_trusted_proxy_says(tls):
    async with serving(trusted=["127.0.0.1"], tls=tls) as world, talking(world) as client:
        stream = await client.begin("POST", "/hook", ("x-forwarded-for", "192.0.2.9"), end=True)
        assert (await client.answer(stream)).status == 200
        assert world.hooks.taken[0].client == "192.0.2.9"


async def test_a_connection_that_has_served_its_share_ends_with_goodbye(tls, monkeypatch):
    monkeypatch.setattr("gateway.asgi.http2.REQUESTS_MAX", 3)
    async with serving(tls=tls) as world, talking(world) as client:
        for _ in range(3):
            stream = await client.begin("POST", "/hook", end=True)
            assert (await client.answer(stream)).status == 200
        await client.wait_end()
        assert client.goodbye.error_code == 0


async def test_a_fault_of_the_handler_is_500_on_its_stream_only(tls):
    async with serving(tls=tls) as world, talking(world) as client:
        world.hooks.answer = lambda request: Reply(200) if request.body else 1 / 0
        bad = await client.begin("POST", "/hook", end=True)
        assert (await client.answer(bad)).status == 500
        good = await client.begin("POST", "/hook")
        await client.send_body(good, b"hello")
        assert (await client.answer(good)).status == 200
        assert [type(error) for error in world.errors] == [ZeroDivisionError]


def damaged(seeded):
    """What a client says, as bytes, in a few places not as it should be."""
    client = H2Connection(H2Configuration(client_side=True))
    client.initiate_connection()
    for _ in range(seeded.randint(1, 4)):
        stream = client.get_next_available_stream_id()
        path = seeded.choice(["/hook", "/nobody", "/hook?x"])
        headers = [(":method", "POST"), (":scheme", "https"), (":authority", "x"), (":path", path)]
        client.send_headers(stream, headers)
        client.send_data(stream, seeded.randbytes(seeded.choice([0, 1, 300])), end_stream=seeded.random() < 0.7)
        seeded.choice(
            [lambda: None, lambda: client.ping(b"12345678"), lambda: client.increment_flow_control_window(9)]
        )()
    data = bytearray(client.data_to_send())
    for _ in range(seeded.randint(0, 5)):
        at = seeded.randrange(24, len(data))
        kind = seeded.randrange(4)
        if kind == 0:
            data[at] = seeded.randrange(256)
        elif kind == 1:
            del data[at : at + seeded.randint(1, 12)]
        elif kind == 2:
            data[at:at] = data[24 : 24 + seeded.randint(1, 60)]
        else:
            data[at:at] = (
                seeded.randbytes(3) + bytes([seeded.randrange(11), seeded.randrange(64)]) + seeded.randbytes(4)
            )
        if len(data) <= 24:
            break
    return bytes(data)


@pytest.mark.parametrize("seed", range(2))
async def test_N5_P21_damaged_frames_leave_a_living_server_and_nothing_else(tls, seed):
    seeded = random.Random(seed)
    hooks = Hooks()
    async with serving(hooks, tls=tls) as world:
        await wait_all_tasks_blocked()
        tasks = trio.lowlevel.current_statistics().tasks_living
        for _ in range(150):
            async with talking(world, begin=False) as client:
                with trio.fail_after(30):
                    await client.push(damaged(seeded))
                    await wait_all_tasks_blocked()
        await wait_all_tasks_blocked(0.1)
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        assert world.server.statistics().body_bytes == 0
        assert world.errors == []
        assert hooks.taken
        assert await is_well(world)
