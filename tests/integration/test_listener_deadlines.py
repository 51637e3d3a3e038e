"""Deadlines under trio's virtual clock, over real sockets: slow heads, slow bodies, clients that do not read."""

import pytest
import trio
from listener_world import GOOD, HOST, Hooks, let_pass, read_all, read_reply, serving
from trio.testing import wait_all_tasks_blocked

from gateway.wire.listener import Limits, Reply

pytestmark = pytest.mark.usefixtures("either_http")

OPENING = b"POST /hook HTTP/1.1\r\n" + HOST
BODY = OPENING + b"Content-Length: 100000\r\n\r\n"


async def test_H1_headers_at_one_byte_a_second_end_after_ten_seconds_in_all(mock_clock):
    async with serving() as world, await world.connect() as stream:
        for second in range(10):
            await stream.send_all(OPENING[second : second + 1])
            assert world.server.statistics().connections == 1
            await let_pass(mock_clock, 1)
        await let_pass(mock_clock, 0.5)
        reply = await read_all(stream)
        assert reply.startswith(b"HTTP/1.1 408 ")
        assert b"\r\nconnection: close\r\n" in reply.lower()
        assert world.refused == {"head_timeout": 1}


async def test_H1_a_connection_that_says_nothing_ends_after_ten_seconds_without_a_word(mock_clock):
    async with serving() as world, await world.connect() as stream:
        await wait_all_tasks_blocked()
        await let_pass(mock_clock, 9.5)
        assert world.server.statistics().connections == 1
        await let_pass(mock_clock, 0.75)
        assert await read_all(stream) == b""


async def test_H2_a_body_below_the_minimum_rate_gets_408_and_the_connection_closes(mock_clock):
    async with serving() as world, await world.connect() as stream:
        await stream.send_all(BODY)
        for _ in range(5):
            await stream.send_all(b"x")
            await let_pass(mock_clock, 1)
            assert world.server.statistics().connections == 1
        await stream.send_all(b"x")
        await let_pass(mock_clock, 0.5)
        assert (await read_all(stream)).startswith(b"HTTP/1.1 408 ")
        assert world.hooks.taken == []
        assert world.refused == {"body_timeout": 1}
        assert world.server.statistics().body_bytes == 0


async def test_H2_a_body_above_the_minimum_rate_still_ends_after_thirty_seconds(mock_clock):
    async with serving() as world, await world.connect() as stream:
        await stream.send_all(BODY)
        for _ in range(29):
            await stream.send_all(b"x" * 200)
            await let_pass(mock_clock, 1)
        assert world.server.statistics().connections == 1
        await let_pass(mock_clock, 1.5)
        assert (await read_all(stream)).startswith(b"HTTP/1.1 408 ")


async def test_H2_a_chunked_body_has_the_same_deadlines(mock_clock):
    async with serving() as world, await world.connect() as stream:
        await stream.send_all(OPENING + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel")
        await wait_all_tasks_blocked()
        await let_pass(mock_clock, 5.75)
        assert (await read_all(stream)).startswith(b"HTTP/1.1 408 ")


def endless(_) -> Reply:
    return Reply(200, b"x" * 64 * 1024 * 1024)


async def test_H3_a_client_that_never_reads_its_reply_is_reset_after_ten_seconds(mock_clock):
    async with serving() as world, await world.connect() as stream:
        world.hooks.answer = endless
        await stream.send_all(GOOD)
        await wait_all_tasks_blocked()
        await let_pass(mock_clock, 9.5)
        assert world.server.statistics().connections == 1
        await let_pass(mock_clock, 0.75)
        assert world.server.statistics().connections == 0
        assert world.refused == {"sending_timeout": 1}
        with pytest.raises(trio.BrokenResourceError):
            while await stream.receive_some():
                pass


async def test_H3_draining_ends_though_a_client_never_reads_its_reply(mock_clock):
    async with serving() as world, await world.connect() as stream, trio.open_nursery() as nursery:
        world.hooks.answer = endless
        await stream.send_all(GOOD)
        await wait_all_tasks_blocked()
        nursery.start_soon(world.server.drain, 5)
        await wait_all_tasks_blocked()
        assert world.server.statistics().connections == 1
        await let_pass(mock_clock, 5.25)
        assert world.server.statistics().connections == 0


async def test_an_idle_connection_closes_after_its_time_and_not_before(mock_clock):
    async with serving(limits=Limits(idle_seconds=60)) as world, await world.connect() as stream:
        await stream.send_all(GOOD)
        await read_reply(stream)
        await let_pass(mock_clock, 59)
        await stream.send_all(GOOD)
        await read_reply(stream)
        await let_pass(mock_clock, 59)
        assert world.server.statistics().connections == 1
        await let_pass(mock_clock, 1.5)
        assert await stream.receive_some() == b""


async def test_a_handler_may_take_as_long_as_it_needs(mock_clock):
    hooks = Hooks()
    hooks.gate = trio.Event()
    async with serving(hooks) as world, await world.connect() as stream:
        await stream.send_all(GOOD)
        await wait_all_tasks_blocked()
        await let_pass(mock_clock, 120)
        hooks.gate.set()
        assert b"200" in await read_reply(stream)


async def test_after_a_refusal_a_client_that_keeps_sending_is_gone_within_a_second(mock_clock):
    async with serving() as world, await world.connect() as stream:
        await stream.send_all(b"POST /hook HTTP/1.1\r\n\r\n")
        await wait_all_tasks_blocked()
        assert world.server.statistics().connections == 1
        await let_pass(mock_clock, 1)
        assert world.server.statistics().connections == 0
