"""The client against servers that answer badly, late, too much, or hang up."""

import os
import resource
from contextlib import asynccontextmanager

import pytest
import trio
from hostile_http import OK, hostile, replies

from gateway.runtime import Runtime
from gateway.wire import exchange
from gateway.wire.client import HttpClient, WireError, parse_url
from gateway.wire.http_reply import MAX_BODY


@asynccontextmanager
async def pair(play, connections=4, runtime=None):
    """A server that plays, and a client for it."""
    async with hostile(play) as server:
        client = HttpClient(runtime or Runtime(), parse_url(server.url()), connections=connections)
        try:
            yield server, client
        finally:
            client.close()


async def ask(play, body=b"{}"):
    async with pair(play) as (_, client):
        return await client.request("POST", None, [("X-A", "b")], body)


async def reason_of(play):
    with pytest.raises(WireError) as caught:
        await ask(play)
    return caught.value.reason


def raw(*pieces):
    """Answer one request with these bytes and hang up."""

    async def play(peer):
        await peer.request()
        for piece in pieces:
            await peer.send(piece)

    return play


async def test_a_request_arrives_as_it_was_meant_and_the_reply_comes_back():
    async with pair(replies(OK)) as (server, client):
        reply = await client.request("PUT", "/a?b=%20c", [("X-A", "b")], b'{"a":1}')
        assert (reply.status, reply.body, reply.truncated) == (200, b"ok", False)
        assert reply.header(b"content-length") == b"2"
        (seen,) = server.requests
        assert seen.line == b"PUT /a?b=%20c HTTP/1.1"
        assert seen.headers == {"host": f"127.0.0.1:{server.port}", "x-a": "b", "content-length": "7"}
        assert seen.body == b'{"a":1}'


async def test_a_unix_socket_takes_requests(tmp_path):
    path = str(tmp_path / "s.sock")
    async with hostile(replies(OK), unix=path) as server:
        client = HttpClient(Runtime(), parse_url(f"unix:{path}:/hooks?x"), connections=1)
        assert (await client.request("POST", None, (), b"x")).status == 200
        assert server.requests[0].line == b"POST /hooks?x HTTP/1.1"
        assert server.requests[0].headers["host"] == "localhost"
        client.close()


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 999 Odd\r\n\r\n",
        b"HTTP/1.1 99 Odd\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"<html>hello</html>\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 20_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 4_000,
    ],
    ids=[
        *("999", "99", "101", "http2", "html", "ssh", "length and chunked", "two lengths", "negative length"),
        *("one long header", "many headers", "1xx flood"),
    ],
)
async def test_R1_a_reply_that_is_no_acceptable_http_is_a_protocol_failure(reply):
    assert await reason_of(raw(reply)) == "protocol"


async def test_R1_a_head_without_end_is_given_up_at_64_kib():
    sent = 0

    async def play(peer):
        nonlocal sent
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await peer.send(b"X-Filler: " + b"a" * 1000 + b"\r\n")
            sent += 1

    assert await reason_of(play) == "protocol"
    assert sent < 10_000  # what the kernel buffers, not what the server would have liked to send


async def test_R1_interim_replies_are_skipped():
    reply = await ask(raw(b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 103 Hints\r\nC: d\r\n\r\n" + OK))
    assert (reply.status, reply.headers) == (200, ((b"content-length", b"2"),))


async def test_R2_an_endless_body_is_cut_at_64_kib_and_the_connection_closed():
    closed = trio.Event()

    async def play(peer):
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                await peer.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        except trio.BrokenResourceError:
            closed.set()
            raise

    async with pair(play) as (_, client):
        reply = await client.request("POST", None, (), b"")
        assert reply.status == 200
        assert reply.truncated
        assert len(reply.body) == MAX_BODY
        with trio.fail_after(30):
            await closed.wait()


async def test_R2_a_body_of_one_byte_a_second_is_cut_after_the_head_was_answered(autojump_clock):
    async def play(peer):
        await peer.request()
        await peer.send(b"HTTP/1.1 202 OK\r\nContent-Length: 100\r\n\r\n")
        while True:
            await trio.sleep(1)
            await peer.send(b"x")

    started = trio.current_time()
    reply = await ask(play)
    assert (reply.status, reply.truncated) == (202, True)
    assert trio.current_time() - started <= exchange.BODY_SECONDS + 1


@pytest.mark.parametrize("framing", [b"1;" + b"e" * 60_000, b"0\r\nTrailer: " + b"t" * 60_000])
async def test_R2_chunk_extensions_and_trailers_are_no_way_around_the_limit(framing):
    sent = 0

    async def play(peer):
        nonlocal sent
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framing)
        while True:
            await peer.send(b"z" * 60_000)
            sent += 60_000

    reply = await ask(play)
    assert (reply.status, reply.truncated) == (200, True)
    assert sent < 20_000_000  # what the kernel buffers; unlimited it would be a hundred times as much


async def test_R2_a_finite_body_over_the_limit_is_cut_and_its_connection_not_used_again():
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(100_000)
    async with pair(replies(long)) as (server, client):
        for _ in range(2):
            reply = await client.request("POST", None, (), b"x")
            assert (len(reply.body), reply.truncated) == (MAX_BODY, True)
        assert server.connections == 2


async def test_R3_a_compressed_reply_stays_compressed():
    bomb = b"\x1f\x8b" + bytes(1000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1002\r\n\r\n"
    reply = await ask(raw(head + bomb))
    assert reply.body == bomb


async def test_R7_a_complete_head_counts_although_the_body_is_reset():
    async def play(peer):
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
        await trio.testing.wait_all_tasks_blocked()
        peer.reset()

    reply = await ask(play)
    assert (reply.status, reply.body, reply.truncated) == (200, b"some", True)


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-"])
async def test_R7_a_connection_that_ends_in_the_head_is_closed_and_nothing_is_sent_again(end, begun):
    async def play(peer):
        await peer.request()
        if begun:
            await peer.send(begun)
        if end == "reset":
            peer.reset()

    async with pair(play) as (server, client):
        with pytest.raises(WireError) as caught:
            await client.request("POST", None, (), b"x")
        assert caught.value.reason == "closed"
        assert len(server.requests) == 1


async def test_a_body_without_length_ends_with_the_connection():
    reply = await ask(raw(b"HTTP/1.0 200 OK\r\n\r\nall of it"))
    assert (reply.body, reply.truncated) == (b"all of it", False)


async def test_an_early_refusal_is_read_although_the_request_was_not_taken_whole():
    async def play(peer):
        await peer.read()
        await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        with trio.move_on_after(0.2):
            while await peer.read():
                pass

    reply = await ask(play, bytes(3_000_000))
    assert reply.status == 413


async def test_a_refusal_that_ends_the_connection_in_mid_request_is_read_nevertheless():
    async def play(peer):
        await peer.read()
        await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")  # and closes on unread bytes: a reset

    async with pair(play) as (server, client):
        for _ in range(2):
            assert (await client.request("POST", None, (), bytes(30_000_000))).status == 413
        assert server.connections == 2


async def test_a_connection_is_kept_and_used_again():
    async with pair(replies(OK)) as (server, client):
        for _ in range(5):
            assert (await client.request("POST", None, (), b"x")).status == 200
        assert (server.connections, len(server.requests)) == (1, 5)


async def test_a_server_that_says_close_gets_a_new_connection():
    async with pair(replies(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")) as (server, client):
        await client.request("POST", None, (), b"x")
        await client.request("POST", None, (), b"x")
        assert server.connections == 2


async def test_a_kept_connection_that_dies_before_a_byte_of_the_reply_is_replaced_once():
    async def play(peer):
        await peer.request()
        await peer.send(OK)
        if peer.server.connections == 1:
            await peer.request()  # and leave it without an answer

    async with pair(play) as (server, client):
        await client.request("POST", None, (), b"1")
        assert (await client.request("POST", None, (), b"2")).status == 200
        assert [seen.body for seen in server.requests] == [b"1", b"2", b"2"]


async def test_a_kept_connection_that_dies_in_the_head_of_the_reply_is_not_tried_again():
    async def play(peer):
        await peer.request()
        await peer.send(OK)
        await peer.request()
        await peer.send(b"HTTP/1.1 2")

    async with pair(play) as (server, client):
        await client.request("POST", None, (), b"1")
        with pytest.raises(WireError):
            await client.request("POST", None, (), b"2")
        assert [seen.body for seen in server.requests] == [b"1", b"2"]


async def test_a_request_is_sent_at_most_twice():
    async def play(peer):
        await peer.request()
        if peer.server.connections == 1:
            await peer.send(OK)
            await peer.request()

    async with pair(play) as (server, client):
        await client.request("POST", None, (), b"1")
        with pytest.raises(WireError):
            await client.request("POST", None, (), b"2")
        assert [seen.body for seen in server.requests] == [b"1", b"2", b"2"]


@pytest.mark.parametrize("together", [True, False])
async def test_bytes_that_nobody_asked_for_are_never_the_next_answer(together):
    sent = trio.Event()

    async def play(peer):
        await peer.request()
        if peer.server.connections == 1:
            forged = b"HTTP/1.1 299 Forged\r\nContent-Length: 6\r\n\r\nforged"
            if together:
                await peer.send(OK + forged)
            else:
                await peer.send(OK)
                await trio.testing.wait_all_tasks_blocked()
                await peer.send(forged)
            sent.set()
            await peer.request()
            await peer.send(b"HTTP/1.1 298 Used Again\r\nContent-Length: 0\r\n\r\n")
        else:
            await peer.send(OK)

    async with pair(play) as (server, client):
        assert (await client.request("POST", None, (), b"1")).body == b"ok"
        await sent.wait()
        assert (await client.request("POST", None, (), b"2")).status == 200
        assert server.connections == 2


async def test_an_idle_connection_is_not_trusted_for_ever():
    class Clock(Runtime):
        now = 0.0

        def monotonic(self):
            return self.now

    runtime = Clock()
    async with pair(replies(OK), runtime=runtime) as (server, client):
        await client.request("POST", None, (), b"x")
        runtime.now = 59.0
        await client.request("POST", None, (), b"x")
        assert server.connections == 1
        runtime.now = 120.0
        await client.request("POST", None, (), b"x")
        assert server.connections == 2


async def test_P21_rest_closes_what_is_old_or_has_ended_and_keeps_what_would_be_used_again():
    class Clock(Runtime):
        now = 0.0

        def monotonic(self):
            return self.now

    runtime = Clock()
    async with pair(replies(OK), runtime=runtime) as (server, client):
        for at, rests, connections in ((0, 30, 1), (59, 59, 1), (60, 121, 1), (122, 122, 2)):
            runtime.now = float(at)
            await client.request("POST", None, (), b"x")
            runtime.now = float(rests)
            client.rest()
            assert (server.connections, len(client._idle)) == (connections, 0 if rests == 121 else 1), at

    async def end_soon(peer):
        await peer.request()
        await peer.send(OK)

    async with pair(end_soon) as (server, client):
        await client.request("POST", None, (), b"x")
        await trio.testing.wait_all_tasks_blocked()
        client.rest()
        assert len(client._idle) == 0


async def test_no_more_connections_are_opened_than_allowed():
    together, most = 0, 0

    async def play(peer):
        nonlocal together, most
        while await peer.request():
            together += 1
            most = max(most, together)
            await trio.testing.wait_all_tasks_blocked()
            together -= 1
            await peer.send(OK)

    async with pair(play, connections=3) as (server, client):
        async with trio.open_nursery() as nursery:
            for _ in range(12):
                nursery.start_soon(client.request, "POST", None, (), b"x")
        assert (most, server.connections, len(server.requests)) == (3, 3, 12)


async def test_a_cancelled_request_closes_its_connection_and_gives_its_place_back():
    ended = trio.Event()

    async def play(peer):
        if peer.server.connections > 1:
            await replies(OK)(peer)
        else:
            await peer.request()
            assert await peer.read() == b""
            ended.set()

    async with pair(play, connections=1) as (server, client):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.request, "POST", None, (), b"1")
            while not server.requests:
                await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        with trio.fail_after(30):
            await ended.wait()
        assert (await client.request("POST", None, (), b"2")).status == 200


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("HEAD", None, ()),
        ("POST\r\nX: y", None, ()),
        ("POST", "/a b", ()),
        ("POST", "/a\r\nX: y", ()),
        ("POST", None, [("X", "a\r\nY: b")]),
        ("POST", None, [("X", "a\nb")]),
        ("POST", None, [("X", "a\0b")]),
        ("POST", None, [("X", "\u2028")]),
        ("POST", None, [("X: y\r\nZ", "a")]),
        ("POST", None, [("", "a")]),
        ("POST", None, [("Host", "a")]),
        ("POST", None, [("content-length", "9")]),
        ("POST", None, [("Transfer-Encoding", "chunked")]),
    ],
)
async def test_R12_what_would_split_a_request_is_never_sent(method, target, headers):
    async with pair(replies(OK)) as (server, client):
        with pytest.raises(ValueError) as caught:
            await client.request(method, target, headers, b"")
        assert "\r" not in str(caught.value)
        assert server.connections == 0


async def test_nobody_there_is_refused_and_names_the_place():
    with trio.socket.socket() as taken:
        await taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        client = HttpClient(Runtime(), parse_url(f"http://127.0.0.1:{port}/secret-path"), connections=1)
        with pytest.raises(WireError) as caught:
            await client.request("POST")
        assert caught.value.reason == "refused"
        assert str(port) in str(caught.value)
        assert "secret-path" not in str(caught.value)


async def test_a_unix_socket_that_is_not_there_is_unreachable(tmp_path):
    client = HttpClient(Runtime(), parse_url(f"unix:{tmp_path}/none.sock:/"), connections=1)
    with pytest.raises(WireError) as caught:
        await client.request("POST")
    assert caught.value.reason == "unreachable"


async def test_no_descriptor_left_is_our_own_trouble():
    async with pair(replies(OK)) as (_, client):
        next_descriptor = os.dup(0)
        os.close(next_descriptor)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (next_descriptor, hard))
        try:
            with pytest.raises(WireError) as caught:
                await client.request("POST")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert caught.value.reason == "exhausted"
