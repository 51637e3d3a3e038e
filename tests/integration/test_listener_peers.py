"""Many connections, many kinds of listener, peers behind proxies, and a machine that runs out of descriptors."""

import os
import resource
from contextlib import AsyncExitStack, contextmanager, suppress
from math import inf
from pathlib import Path

import pytest
import trio
from listener_world import GOOD, HOST, Hooks, read_all, read_reply, serving
from trio.testing import wait_all_tasks_blocked

from gateway.runtime import Runtime
from gateway.wire.limits import SEND_BUFFER_BYTES
from gateway.wire.listener import Limits, Listener, Server, over_http1

pytestmark = pytest.mark.usefixtures("either_http")

GET = b"POST /hook HTTP/1.1\r\n" + HOST


@contextmanager
def descriptors(soft: int):
    """Change how many descriptors this process may have."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_H24_2000_idle_connections_from_one_address_leave_room_for_requests():
    with descriptors(8192):
        async with serving() as world, AsyncExitStack() as stack:
            for _ in range(2000):
                await stack.enter_async_context(await world.connect())
            with trio.fail_after(30):
                async with await world.connect("127.0.0.2") as stranger, await world.connect() as neighbour:
                    for stream in (stranger, neighbour):
                        await stream.send_all(GOOD)
                        assert b"200" in await read_reply(stream)
            assert world.server.statistics().connections <= Limits().connections_per_peer + 1


async def test_H24_a_peer_whose_connections_are_all_busy_is_turned_away_and_others_are_not():
    hooks = Hooks()
    hooks.gate = trio.Event()
    async with serving(hooks, Limits(connections_per_peer=2)) as world:
        async with await world.connect() as first, await world.connect() as second:
            for stream in (first, second):
                await stream.send_all(GOOD)
            await wait_all_tasks_blocked()
            async with await world.connect() as third:
                refusal = await read_all(third)
                assert refusal.startswith(b"HTTP/1.1 503 ")
                assert b"\r\nretry-after: 5\r\n" in refusal.lower()
            async with await world.connect("127.0.0.2") as stranger:
                await stranger.send_all(GOOD)
                await wait_all_tasks_blocked()
                hooks.gate.set()
                for stream in (stranger, first, second):
                    assert b"200" in await read_reply(stream)
        await wait_all_tasks_blocked()
        assert world.refused == {"peer_connections": 1}
        assert await world.is_well()


async def test_P20_over_the_cap_the_longest_idle_connection_makes_room(mock_clock):
    async with (
        serving(limits=Limits(connections=2)) as world,
        await world.connect() as old,
        await world.connect() as new,
    ):
        await old.send_all(GOOD)
        await read_reply(old)
        await wait_all_tasks_blocked()  # hypercorn notes that it is idle once the reply is out
        mock_clock.jump(0.25)
        await wait_all_tasks_blocked()
        await new.send_all(GOOD)
        await read_reply(new)
        await wait_all_tasks_blocked()
        async with await world.connect() as third:
            await third.send_all(GOOD)
            assert b"200" in await read_reply(third)
            assert await old.receive_some() == b""
            assert world.refused == {"idle_gave_way": 1}
            await new.send_all(GOOD)
            assert b"200" in await read_reply(new)


@pytest.mark.parametrize("begun", [b"GET /ho", GET + b"Content-Length: 5\r\n\r\n"], ids=["head", "body"])
async def test_P20_H24_over_the_cap_who_kept_a_request_waiting_longest_makes_room(mock_clock, begun):
    async with (
        serving(limits=Limits(connections=2)) as world,
        await world.connect() as slow,
        await world.connect("127.0.0.2") as slower,
    ):
        for stream in (slower, slow):
            await stream.send_all(begun)
            await wait_all_tasks_blocked()
            mock_clock.jump(0.6)
            await wait_all_tasks_blocked()
        async with await world.connect("127.0.0.3") as newcomer:
            await newcomer.send_all(GOOD)
            assert b"200" in await read_reply(newcomer)
            with suppress(trio.BrokenResourceError):  # a reset
                assert await slower.receive_some() == b""
            await wait_all_tasks_blocked()
            assert world.refused == {"gave_way": 1}
            assert world.server.statistics().connections == 2
            async with await world.connect("127.0.0.4") as another:  # for which the newcomer goes, which is idle
                await another.send_all(begun)
                await wait_all_tasks_blocked()
                async with await world.connect("127.0.0.4") as third:  # nobody has been slow for long enough
                    assert (await read_all(third)).startswith(b"HTTP/1.1 503 ")
        assert world.server.statistics().body_bytes == 0


async def test_P20_who_waits_for_us_never_gives_way(mock_clock):
    hooks = Hooks()
    hooks.gate = trio.Event()
    async with serving(hooks, Limits(connections=1)) as world, await world.connect() as owed:
        await owed.send_all(GOOD)
        await wait_all_tasks_blocked()
        mock_clock.jump(60)
        await wait_all_tasks_blocked()
        async with await world.connect() as other:
            assert (await read_all(other)).startswith(b"HTTP/1.1 503 ")
        hooks.gate.set()
        assert b"200" in await read_reply(owed)


async def test_P20_over_the_cap_with_no_idle_connection_the_answer_is_503_at_once(mock_clock):
    async with serving(limits=Limits(connections=1)) as world, await world.connect() as busy:
        await busy.send_all(GET + b"Content-Length: 5\r\n\r\n")
        await wait_all_tasks_blocked()
        async with await world.connect() as other:
            assert (await read_all(other)).startswith(b"HTTP/1.1 503 ")
        await busy.send_all(b"hello")
        assert b"200" in await read_reply(busy)
        assert world.refused == {"connections": 1}


async def until_stalled(world, count):
    """Wait until so many connections have a request on its way."""
    while sum(one.kept_waiting_since < inf for one in world.server._connections) < count:
        await wait_all_tasks_blocked()


async def test_P20_over_the_cap_who_stalls_most_makes_room_for_whoever_stalls_less(mock_clock):
    async with serving(limits=Limits(connections=8)) as world, AsyncExitStack() as stack:
        others = [await stack.enter_async_context(await world.connect("127.0.0.2")) for _ in range(3)]
        stalling = [await stack.enter_async_context(await world.connect()) for _ in range(5)]
        for number, stream in enumerate((*others, *stalling), 1):
            await stream.send_all(GET)
            await until_stalled(world, number)
            mock_clock.jump(0.25)
            await wait_all_tasks_blocked()
        async with await world.connect("127.0.0.3") as stranger:
            await stranger.send_all(GOOD)
            assert b"200" in await read_reply(stranger)
            async with await world.connect() as sixth:
                await sixth.send_all(GOOD)
                assert b"200" in await read_reply(sixth), "the stranger is idle"
        assert await read_all(stalling[0]) == b"", "of the peer that stalls most, the one that did for longest"
        for stream in (*stalling[1:], *others):
            await stream.send_all(b"Content-Length: 0\r\n\r\n")
            assert b"200" in await read_reply(stream)


async def test_P20_over_the_cap_nobody_makes_room_for_a_peer_that_stalls_as_many(mock_clock):
    async with serving(limits=Limits(connections=4)) as world, AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(await world.connect(f"127.0.0.{2 + n // 2}")) for n in range(4)]
        for stream in streams:
            await stream.send_all(GET)
        await until_stalled(world, 4)
        for source in ("127.0.0.2", "127.0.0.3"):
            async with await world.connect(source) as more:
                assert (await read_all(more)).startswith(b"HTTP/1.1 503 ")
        for stream in streams:
            await stream.send_all(b"Content-Length: 0\r\n\r\n")
            assert b"200" in await read_reply(stream)


async def test_P20_without_descriptors_the_server_waits_and_then_goes_on(mock_clock):
    async with serving() as world:
        pending = trio.socket.socket()
        highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
        taken = []
        with descriptors(highest + 1), pending:
            with pytest.raises(OSError, match="Too many open files"):
                while True:
                    taken.append(os.dup(0))
            await pending.connect(world.address)
            await wait_all_tasks_blocked()
            for descriptor in taken:
                os.close(descriptor)
            assert world.refused == {"accept": 1}
            mock_clock.jump(0.1)
            await pending.send(GOOD)
            assert (await pending.recv(4096)).startswith(b"HTTP/1.1 200 ")


async def test_one_server_serves_v4_v6_unix_and_inherited_sockets(tmp_path):
    runtime = Runtime()
    inherited = runtime.listen_tcp("127.0.0.1", 0, 8)
    adopted = runtime.adopt_listener(os.dup(inherited.fileno()))
    inherited.close()
    path = str(tmp_path / "hooks.sock")
    v4, v6 = runtime.listen_tcp("127.0.0.1", 0, 8), runtime.listen_tcp("::1", 0, 8)
    unix = runtime.listen_unix(path, 8)
    hooks = Hooks()
    server = Server(over_http1(hooks), Limits(connections_per_peer=1), runtime)
    addresses = [socket.getsockname()[:2] for socket in (v4, v6, adopted)]
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, [Listener(socket) for socket in (v4, v6, unix, adopted)])
        await wait_all_tasks_blocked()
        for socket in (v4, v6, adopted):
            assert socket.getsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY)
            assert socket.getsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_SNDBUF) == 2 * SEND_BUFFER_BYTES
        streams = [await trio.open_tcp_stream(*address) for address in addresses[:2]]
        streams += [await trio.open_unix_socket(path), await trio.open_unix_socket(path)]
        for stream in streams:
            await stream.send_all(GOOD)
            assert b"200" in await read_reply(stream)
        await streams[0].aclose()
        await wait_all_tasks_blocked()
        async with await trio.open_tcp_stream(*addresses[2]) as stream:
            await stream.send_all(GOOD)
            assert b"200" in await read_reply(stream)
        for stream in streams:
            await stream.aclose()
        await server.drain(1)
    assert [request.client for request in hooks.taken] == ["127.0.0.1", "::1", "unix", "unix", "127.0.0.1"]


FORGED = b"X-Forwarded-For: 9.9.9.9\r\nX-Real-IP: 8.8.8.8\r\nForwarded: for=9.9.9.9\r\nRemote-Addr: 7.7.7.7\r\n"


@pytest.mark.parametrize(
    ("trusted", "client"), [([], "127.0.0.1"), (["10.0.0.0/8", "unix"], "127.0.0.1"), (["127.0.0.0/8"], "9.9.9.9")]
)
async def test_H19_forwarding_headers_count_only_from_a_listed_proxy(trusted, client):
    async with serving(trusted=trusted) as world, await world.connect() as stream:
        await stream.send_all(GET + FORGED + b"\r\n")
        await read_reply(stream)
        assert world.hooks.taken[0].client == client


async def test_other_limits_and_proxies_hold_for_the_next_request_of_an_open_connection():
    async with serving(trusted=["127.0.0.1"]) as world, await world.connect() as stream:
        for trusted in (["127.0.0.1"], [], ["127.0.0.0/8"]):
            world.server.use(Limits(header_count=5), trusted)
            await stream.send_all(GET + FORGED + b"\r\n")
            await read_reply(stream)
        assert [request.client for request in world.hooks.taken] == ["9.9.9.9", "127.0.0.1", "9.9.9.9"]
        world.server.use(Limits(header_count=4), [])
        await stream.send_all(GET + FORGED + b"\r\n")
        assert b" 431 " in await read_reply(stream)


@pytest.mark.parametrize(("trusted", "client"), [([], "unix"), (["unix"], "9.9.9.9")])
async def test_H19_a_peer_on_a_unix_socket_is_a_proxy_only_if_listed(trusted, client, tmp_path):
    runtime = Runtime()
    path = str(tmp_path / "hooks.sock")
    hooks = Hooks()
    server = Server(over_http1(hooks), Limits(), runtime, trusted)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, [Listener(runtime.listen_unix(path, 8))])
        async with await trio.open_unix_socket(path) as stream:
            await stream.send_all(GET + FORGED + b"\r\n")
            await read_reply(stream)
        await server.drain(1)
    assert hooks.taken[0].client == client


async def test_H19_a_listed_proxy_has_no_cap_of_its_own():
    limits = Limits(connections_per_peer=1)
    async with serving(limits=limits, trusted=["127.0.0.1"]) as world, AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(await world.connect()) for _ in range(3)]
        for stream in streams:
            await stream.send_all(GET + b"Content-Length: 1\r\n\r\n")
        await wait_all_tasks_blocked()
        for stream in streams:
            await stream.send_all(b"x")
            assert b"200" in await read_reply(stream)
