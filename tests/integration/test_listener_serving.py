"""What a well-behaved sender gets, and what happens to a request whose sender or handler fails."""

import gzip
import os

import pytest
import trio
from listener_world import GOOD, HOST, Hooks, let_pass, read_all, read_reply, serving
from trio.testing import wait_all_tasks_blocked

from gateway.runtime import Runtime
from gateway.wire.listener import Limits, Listener, Reply, Server, over_http1

pytestmark = pytest.mark.usefixtures("either_http")

POST = b"POST /hook HTTP/1.1\r\n" + HOST


async def test_a_request_reaches_the_handler_whole_and_raw():
    async with serving() as world, await world.connect() as stream:
        before = Runtime().now_ms()
        await stream.send_all(
            b"POST /hook?a=%20b&c HTTP/1.1\r\nHost: h\r\nX-One:  two words \t\r\nx-one: again\r\n"
            b"Content-Length: 3\r\n\r\n\0\xff\n"
        )
        await read_reply(stream)
        request = world.hooks.taken[0]
        assert (request.method, request.path, request.query, request.body) == ("POST", "/hook", "a=%20b&c", b"\0\xff\n")
        assert request.headers == (
            (b"host", b"h"),
            (b"x-one", b"two words"),
            (b"x-one", b"again"),
            (b"content-length", b"3"),
        )
        assert request.client == "127.0.0.1"
        assert before <= request.received_at <= Runtime().now_ms()


async def test_a_reply_carries_length_type_date_and_the_handlers_headers():
    async with serving() as world, await world.connect() as stream:
        world.hooks.answer = lambda _: Reply(202, b"{}", "application/json", ((b"X-Id", b"7"),))
        await stream.send_all(GOOD)
        head, _, body = (await read_reply(stream)).partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert lines[0] == b"HTTP/1.1 202 Accepted"
        fields = dict(line.split(b": ") for line in lines[1:])
        lowered = {name.lower(): value for name, value in fields.items()}
        assert lowered.pop(b"date").endswith(b" GMT")
        assert lowered == {b"content-type": b"application/json", b"content-length": b"2", b"x-id": b"7"}
        assert body == b"{}"


async def test_a_connection_serves_many_requests():
    async with serving() as world, await world.connect() as stream:
        for _ in range(3):
            await stream.send_all(GOOD)
            assert b"connection: close" not in (await read_reply(stream)).lower()
        assert len(world.hooks.taken) == 3
        assert world.server.statistics().requests == 3


async def test_pipelined_requests_are_answered_in_order_whatever_their_framing():
    async with serving() as world, await world.connect() as stream:
        world.hooks.answer = lambda request: Reply(200, request.body)
        chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\none\r\n2\r\n-1\r\n0\r\nTrailer: t\r\n\r\n"
        plain = POST + b"Content-Length: 3\r\n\r\ntwo"
        empty = POST + b"\r\n"
        await stream.send_all(chunked + plain + b"\r\n" + empty + chunked + GOOD)
        await stream.send_eof()
        replies = await read_all(stream)
        bodies = [piece.split(b"\r\n\r\n", 1)[1] for piece in replies.split(b"HTTP/1.1 200 OK")[1:]]
        assert bodies == [b"one-1", b"two", b"", b"one-1", b"hello"]


async def test_a_request_in_pieces_of_one_byte_is_the_same_request():
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\none\r\n2\r\n-1\r\n0\r\nTrailer: t\r\n\r\n"
    async with serving() as world, await world.connect() as stream:
        for byte in chunked + GOOD:
            await stream.send_all(bytes([byte]))
            await wait_all_tasks_blocked()
        assert [request.body for request in world.hooks.taken] == [b"one-1", b"hello"]


async def test_a_large_body_arrives_whole():
    body = bytes(range(256)) * 4000
    async with serving() as world, await world.connect() as stream:
        world.hooks.answer = lambda request: Reply(200, request.body)
        await stream.send_all(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert (await read_reply(stream)).endswith(body)
        assert world.server.statistics().body_bytes == 0


async def test_a_body_of_exactly_the_limit_is_taken():
    async with serving(Hooks(limit=5)) as world, await world.connect() as stream:
        await stream.send_all(GOOD)
        await stream.send_all(POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        await stream.send_eof()
        await read_all(stream)
        assert [request.body for request in world.hooks.taken] == [b"hello", b"hello"]


async def test_H11_a_compressed_body_is_kept_as_it_came():
    bomb = gzip.compress(b"\0" * 2_000_000)
    async with serving() as world, await world.connect() as stream:
        await stream.send_all(POST + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb)
        await read_reply(stream)
        assert world.hooks.taken[0].body == bomb


async def test_a_client_that_pipelines_does_not_keep_the_others_waiting():
    async def other() -> None:
        order.append("other")

    async with serving() as world, await world.connect() as stream, trio.open_nursery() as nursery:
        order: list[str] = []

        async def answer_without_waiting(_) -> Reply:
            if not order:
                nursery.start_soon(other)
            order.append("pipelined")
            return Reply(200)

        world.hooks.handle = answer_without_waiting
        await stream.send_all(GOOD * 100)
        await stream.send_eof()
        await read_all(stream)
        assert len(order) == 101
        assert order.index("other") < 4


async def test_http_1_0_is_served_once():
    async with serving() as world:
        reply = await world.say(b"POST /hook HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi" + GOOD)
        assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nconnection: close\r\n" in reply.lower()
        assert [request.body for request in world.hooks.taken] == [b"hi"]


@pytest.mark.parametrize("option", [b"close", b"Close", b"foo, close"])
async def test_connection_close_is_kept(option):
    async with serving() as world:
        reply = await world.say(POST + b"Connection: " + option + b"\r\n\r\n")
        assert b"\r\nconnection: close\r\n" in reply.lower()


async def test_a_reply_to_head_has_no_body():
    async with serving() as world, await world.connect() as stream:
        await stream.send_all(b"HEAD /hook HTTP/1.1\r\n" + HOST + b"\r\n" + GOOD)
        await stream.send_eof()
        first, _, rest = (await read_all(stream)).partition(b"\r\n\r\n")
        assert first.startswith(b"HTTP/1.1 405 ")
        assert b"\r\ncontent-length: 3\r\n" in first.lower()
        assert rest.startswith(b"HTTP/1.1 200 ")


async def test_a_reply_without_content_has_no_length():
    async with serving() as world, await world.connect() as stream:
        world.hooks.answer = lambda _: Reply(204)
        await stream.send_all(GOOD)
        await stream.send_eof()
        reply = await read_all(stream)
        assert reply.startswith(b"HTTP/1.1 204 No Content\r\n")
        assert b"content-length" not in reply.lower()
        assert reply.endswith(b"\r\n\r\n")


async def test_a_refusal_by_the_handler_keeps_the_connection_only_if_no_body_follows():
    async with serving() as world, await world.connect() as stream:
        await stream.send_all(b"POST /unknown HTTP/1.1\r\n" + HOST + b"\r\n")
        assert b"connection: close" not in (await read_reply(stream)).lower()
        await stream.send_all(b"POST /unknown HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello" + GOOD)
        reply = await read_all(stream)
        assert reply.startswith(b"HTTP/1.1 404 ")
        assert reply.count(b"HTTP/1.1") == 1
        assert b"\r\nconnection: close\r\n" in reply.lower()
        assert world.hooks.taken == []


async def test_a_client_that_half_closes_gets_its_reply():
    async with serving() as world, await world.connect() as stream:
        await stream.send_all(GOOD)
        await stream.send_eof()
        assert (await read_all(stream)).startswith(b"HTTP/1.1 200 ")


async def test_H21_a_disconnect_within_the_body_gives_no_request():
    async with serving() as world:
        async with await world.connect() as stream:
            await stream.send_all(POST + b"Content-Length: 10\r\n\r\nhalf")
            await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        assert world.hooks.taken == []
        assert world.refused == {"disconnected": 1}
        assert world.server.statistics().connections == 0
        assert world.server.statistics().body_bytes == 0


async def test_H21_a_disconnect_after_the_body_lets_the_handler_finish():
    hooks = Hooks()
    hooks.gate = trio.Event()
    finished = []
    hooks.answer = lambda request: finished.append(request.body) or Reply(200)
    async with serving(hooks) as world:
        async with await world.connect() as stream:
            await stream.send_all(GOOD)
            await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        assert finished == []
        hooks.gate.set()
        await wait_all_tasks_blocked()
        assert finished == [b"hello"]
        assert world.server.statistics().connections == 0


class Faulty(Hooks):
    """A handler with a fault, in one of its two methods."""

    def __init__(self, where: str, fault: Exception) -> None:
        super().__init__()
        self.where = where
        self.fault = fault

    def admit(self, method, path, headers):
        if self.where == "admit" and path == "/fault":
            raise self.fault
        return 100

    async def handle(self, request):
        if self.where == "handle" and request.path == "/fault":
            raise self.fault
        return await super().handle(request)


@pytest.mark.parametrize("where", ["admit", "handle"])
@pytest.mark.parametrize("fault", [ValueError("secret"), OSError(5, "disk"), ExceptionGroup("both", [KeyError("x")])])
async def test_P21_a_handler_that_raises_ends_its_connection_with_500_and_tells_the_operator(where, fault):
    async with serving(Faulty(where, fault)) as world:
        reply = await world.say(b"POST /fault HTTP/1.1\r\n" + HOST + b"\r\n" + GOOD)
        assert reply.startswith(b"HTTP/1.1 500 ")
        assert reply.count(b"HTTP/1.1") == 1
        assert b"secret" not in reply
        assert world.errors == [fault]
        assert world.refused == {"fault": 1}
        assert await world.is_well()


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, headers=((b"X", b"a\r\nSet-Cookie: b"),)),
        Reply(200, headers=((b"X Y", b"a"),)),
        Reply(200, content_type="text/plain\r\nX: y"),
        Reply(99),
    ],
)
async def test_P21_a_reply_that_could_split_is_not_sent(reply):
    async with serving() as world:
        world.hooks.answer = lambda _: reply
        answer = await world.say(GOOD)
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert b"Set-Cookie" not in answer
        assert len(world.errors) == 1


async def test_P21_a_handler_that_gives_no_reply_and_a_log_that_fails_do_not_end_the_server():
    def fail(_: Exception) -> None:
        raise OSError("the log is full")

    hooks = Hooks()
    runtime = Runtime()
    socket = runtime.listen_tcp("127.0.0.1", 0, 8)
    server = Server(over_http1(hooks), Limits(), runtime, (), fail)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, [Listener(socket)])
        hooks.answer = lambda _: None
        for _ in range(2):
            async with await trio.open_tcp_stream(*socket.getsockname()) as stream:
                await stream.send_all(GOOD)
                assert await read_all(stream) == b""
        assert server.statistics().refused == {"fault": 2}
        await server.drain(0)


async def test_draining_closes_idle_connections_at_once_and_lets_a_request_finish(mock_clock):
    hooks = Hooks()
    async with serving(hooks) as world, await world.connect() as idle, await world.connect() as busy:
        await idle.send_all(GOOD)
        await read_reply(idle)
        hooks.gate = trio.Event()
        await busy.send_all(GOOD)
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.server.drain, 30)
            assert await idle.receive_some() == b""
            with pytest.raises(OSError, match="all attempts to connect"):
                await world.connect()
            assert world.server.statistics().connections == 1
            hooks.gate.set()
            reply = await read_all(busy)
            await let_pass(mock_clock, 1)
        assert reply.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nconnection: close\r\n" in reply.lower()


async def test_draining_ends_a_connection_whose_reply_was_under_way(mock_clock):
    async with serving() as world, await world.connect() as stream, trio.open_nursery() as nursery:
        world.hooks.answer = lambda _: Reply(200, b"x" * 64 * 1024 * 1024)
        await stream.send_all(GOOD)
        await wait_all_tasks_blocked()
        nursery.start_soon(world.server.drain, 60)
        await wait_all_tasks_blocked()
        assert len(await read_all(stream)) > 64 * 1024 * 1024
        await let_pass(mock_clock, 1)


@pytest.mark.parametrize(("says", "hears"), [(b"", b""), (GOOD, b"HTTP/1.1 200")])
async def test_a_connection_that_comes_as_draining_begins_is_served_but_does_not_hold_it_up(says, hears, mock_clock):
    async def go_on() -> None:
        while True:
            await let_pass(mock_clock, 0.25)

    for _ in range(20):  # whether accept or drain runs first is trio's choice
        async with serving() as world, trio.open_nursery() as nursery:
            await wait_all_tasks_blocked()
            begun = trio.current_time()
            with trio.socket.socket() as client:
                await client.connect(world.address)
                os.write(client.fileno(), says)
                nursery.start_soon(go_on)
                await world.server.drain(60)
                assert (await client.recv(4096))[:12] == hears
            assert trio.current_time() - begun <= 2
            nursery.cancel_scope.cancel()


async def test_cancelling_the_server_closes_every_connection():
    runtime = Runtime()
    socket = runtime.listen_tcp("127.0.0.1", 0, 8)
    hooks = Hooks()
    hooks.gate = trio.Event()
    server = Server(over_http1(hooks), Limits(), runtime)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, [Listener(socket)])
        async with await trio.open_tcp_stream(*socket.getsockname()) as stream:
            await stream.send_all(GOOD)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    assert server.statistics().connections == 0
    assert socket.fileno() == -1
