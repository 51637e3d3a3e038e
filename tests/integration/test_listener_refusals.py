"""Rows H of the catalogue that one message shows: its status, the end of its connection, a server that lives on."""

from contextlib import suppress

import pytest
import trio
from listener_world import GOOD, HOST, Hooks, only_own, read_all, read_reply, serving

from gateway.wire.listener import Limits, Reply

pytestmark = pytest.mark.usefixtures("either_http")

POST = b"POST /hook HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


async def refused(raw: bytes, status: int, reason: str, limits: Limits | None = None) -> bytes:
    """Say `raw` to a server: the one reply has `status`, the connection closes, nothing reaches the handler."""
    async with serving(limits=limits) as world:
        with trio.fail_after(30):
            reply = await world.say(raw)
            assert reply.startswith(b"HTTP/1.1 %d " % status), reply
            assert reply.count(b"HTTP/1.1 ") == 1
            assert b"\r\nconnection: close\r\n" in reply.lower()
            assert world.hooks.taken == []
            assert world.refused == {reason: 1}
            assert world.errors == []
            assert await world.is_well()
        return reply


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    ],
)
async def test_H4_content_length_with_transfer_encoding_is_refused(headers):
    await refused(POST + headers + b"\r\n0\r\n\r\n" + GOOD, 400, "bad_head")


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 3\r\nContent-Length: 4\r\n",
        b"Content-Length: 3\r\nContent-Length: 3\r\n",
        b"Content-Length: 3, 3\r\n",
        b"Content-Length: +3\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 0x3\r\n",
        b"Content-Length: 3 3\r\n",
        b"Content-Length: \r\n",
        b"Content-Length: 99999999999999999999\r\n",
    ],
)
async def test_H5_a_content_length_that_is_not_one_plain_number_is_refused(headers):
    await refused(POST + headers + b"\r\nabc", 400, "bad_head")


async def test_H5_a_content_length_of_19_digits_is_refused():
    await refused(POST + b"Content-Length: 0000000000000000003\r\n\r\nabc", 400, "content_length")


@pytest.mark.parametrize(
    "body",
    [
        b"FFFFFFFFFFFFFFFF\r\n",
        b"1FFFFFFFFFFFFFFFF\r\n",
        b"1;" + b"a" * 16384 + b"\r\nx\r\n0\r\n\r\n",
        b"1\nx\n0\n\n",
        b"1;a\nx\r\n0\r\n\r\n",
        b"1 \r\nx\r\n0\r\n\r\n",
        b"-1\r\n",
        b"+1\r\nx\r\n",
        b"0x1\r\nx\r\n",
        b"\r\n",
        b"1\r\nxy\r\n0\r\n\r\n",
        b"1\r\nx\n0\r\n\r\n",
        b"0\r\nbad trailer\r\n\r\n",
        b"0\r\nA: b\nC: d\r\n\r\n",
        b"0\r\nA: b\r\nContent-Length: 9\r\n\r\n",
        b"0\r\ntransfer-ENCODING: chunked\r\n\r\n",
    ],
)
async def test_H7_chunks_with_wrong_framing_are_refused(body):
    await refused(CHUNKED + body, 400, "bad_head" if b"A: b\n" in body else "bad_chunk")


async def test_H7_trailers_are_bounded():
    await refused(CHUNKED + b"0\r\n" + b"A: b\r\n" * 1000 + b"\r\n", 431, "trailer_too_large")


async def test_H7_a_body_in_chunks_of_one_byte_is_refused_before_it_costs_much():
    await refused(CHUNKED + b"1\r\nx\r\n" * 60_000, 400, "bad_chunk")


@pytest.mark.parametrize(
    "coding", [b"gzip, chunked", b"chunked, gzip", b"chunked, chunked", b"xchunked", b"identity", b""]
)
async def test_a_transfer_encoding_other_than_chunked_is_refused(coding):
    async with serving() as world:
        reply = await world.say(POST + b"Transfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n")
        assert reply.startswith(b"HTTP/1.1 400 ")
        assert world.hooks.taken == []


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /hook HTTP/1.1\nHost: a\n\n",
        b"POST /hook HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        b"POST /hook HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
        b"POST /hook HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
        b"POST /hook HTTP/1.1\r\nHost: a\r\nX: y\r\n\tz\r\n\r\n",
        b"POST /hook HTTP/1.1\r\n Host: a\r\n\r\n",
        b"POST /hook HTTP/1.1\r\nHost : a\r\n\r\n",
        b"POST /hook HTTP/1.1\r\nHost: a\0b\r\n\r\n",
        b"POST /hook HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n",
        b"POST /hook HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n",
        b"POST /hook HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        b"POST  /hook HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST\t/hook HTTP/1.1\r\nHost: a\r\n\r\n",
        b"post /hook HTTP/1.1\r\nHost: a\r\n\r\n",
        b"NONSENSE /hook HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /hook\r\n\r\n",
        b"POST /hook HTTP/1.1 \r\nHost: a\r\n\r\n",
        b"\r\n\r\n" + GOOD,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    ],
)
async def test_H8_a_head_that_could_be_read_two_ways_is_refused_at_once(raw):
    await refused(raw, 400, "bad_head")


async def test_H9_a_header_line_of_20_KiB_is_refused():
    await refused(POST + b"X: " + b"a" * 20 * 1024 + b"\r\n\r\n", 431, "head_too_large")


async def test_H9_an_endless_header_line_is_refused_when_the_limit_is_reached():
    await refused(POST + b"X: " + b"a" * 17 * 1024, 431, "head_too_large")


async def test_H9_300_headers_are_refused():
    await refused(POST + b"A: b\r\n" * 300 + b"\r\n", 431, "too_many_headers")


async def test_H10_a_content_length_of_10_GiB_is_refused_before_its_body_is_read():
    await refused(POST + b"Content-Length: 10737418240\r\n\r\n", 413, "body_too_large")


async def test_H10_an_endless_chunked_body_is_refused_before_64_KiB_over_the_limit_were_sent():
    hooks = Hooks(limit=100_000)
    async with serving(hooks) as world, await world.connect() as stream:
        await stream.send_all(CHUNKED)
        sent = 0
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                replies: list[bytes] = []

                async def read() -> None:
                    replies.append(await read_reply(stream))
                    nursery.cancel_scope.cancel()

                nursery.start_soon(read)
                while True:
                    await stream.send_all(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
                    sent += 0x2000
                    await trio.testing.wait_all_tasks_blocked()
        assert replies[0].startswith(b"HTTP/1.1 413 ")
        assert sent < 100_000 + 64 * 1024
        assert hooks.taken == []


async def test_H10_bodies_together_stay_within_the_memory_for_bodies(mock_clock):
    limits = Limits(body_memory=100_000)
    half = b"x" * 60_000
    opening = POST + b"Content-Length: 60001\r\n\r\n" + half
    async with serving(limits=limits) as world, await world.connect() as first, await world.connect() as second:
        await first.send_all(opening)
        await trio.testing.wait_all_tasks_blocked()
        assert world.server.statistics().body_bytes == 60_000
        await second.send_all(opening)
        refusal = await read_all(second)
        assert refusal.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 5\r\n" in refusal.lower()
        await first.send_all(b"x")
        assert b"200" in await read_reply(first)
        assert world.server.statistics().body_bytes == 0
        assert world.refused == {"body_memory": 1}
        assert await world.is_well()


async def test_H10_where_bodies_take_all_memory_the_one_that_has_come_for_longest_makes_room(mock_clock):
    opening = POST + b"Content-Length: 60001\r\n\r\n" + b"x" * 60_000
    async with (
        serving(limits=Limits(body_memory=130_000)) as world,
        await world.connect() as slower,
        await world.connect() as slow,
        await world.connect() as sender,
    ):
        for stream in (slower, slow):
            await stream.send_all(opening)
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(0.6)
            await trio.testing.wait_all_tasks_blocked()
        await sender.send_all(opening + b"x")
        assert b"200" in await read_reply(sender)
        with suppress(trio.BrokenResourceError):  # a reset
            assert await slower.receive_some() == b""
        assert world.server.statistics().body_bytes == 60_000
        await slow.send_all(b"x")
        assert b"200" in await read_reply(slow)
        assert world.refused == {"gave_way": 1}
        assert world.server.statistics().body_bytes == 0


@pytest.mark.parametrize("trailing", [b"", b"Z"])
@pytest.mark.parametrize(
    "headers",
    [
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n",
        b"Upgrade: websocket\r\n",
    ],
)
async def test_H12_a_websocket_upgrade_is_refused(headers, trailing):
    await refused(b"GET /hook HTTP/1.1\r\n" + HOST + headers + b"\r\n" + trailing, 400, "upgrade")


@pytest.mark.parametrize("settings", [b"AAMAAABkAAQAAP__", b"AAA"])
async def test_H13_an_upgrade_to_h2c_is_refused(settings):
    headers = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: " + settings + b"\r\n"
    await refused(POST + headers + b"\r\n", 400, "upgrade")


async def test_H13_http_2_without_asking_is_refused():
    await refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 505, "version")


@pytest.mark.parametrize("version", [b"HTTP/2.0", b"HTTP/1.2", b"HTTP/0.9"])
async def test_a_version_other_than_1_0_and_1_1_is_refused(version):
    await refused(b"POST /hook " + version + b"\r\n" + HOST + b"\r\n", 505, "version")


@pytest.mark.parametrize("target", [b"?", b"[", b"http://[", b"*", b"http://other.example/hook", b"hook", b"/hook#x"])
async def test_H15_a_target_not_in_origin_form_is_refused(target):
    await refused(b"POST " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n", 400, "target")


@pytest.mark.parametrize("target", [b"/h\xffok", b"/h\x7fok", b"/h\tok", b"/h ok"])
async def test_H15_a_target_with_other_than_printable_ascii_is_refused(target):
    await refused(b"POST " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_head")


@pytest.mark.parametrize("line", [b"TRACE /hook", b"CONNECT other.example:443", b"CONNECT /hook"])
async def test_H15_H17_trace_and_connect_are_refused_with_allow(line):
    reply = await refused(line + b" HTTP/1.1\r\n" + HOST + b"\r\n", 405, "method")
    assert b"\r\nallow: post\r\n" in reply.lower()


@pytest.mark.parametrize("method", [b"GET", b"PUT", b"DELETE"])
async def test_H17_another_method_is_for_the_handler_to_refuse_and_the_connection_stays(method):
    async with serving() as world, await world.connect() as stream:
        await stream.send_all(method + b" /hook HTTP/1.1\r\n" + HOST + b"\r\n")
        reply = await read_reply(stream)
        assert reply.startswith(b"HTTP/1.1 405 ")
        assert b"\r\nallow: post\r\n" in reply.lower()
        await stream.send_all(GOOD)
        assert b"200" in await read_reply(stream)


@pytest.mark.parametrize("path", [b"/%2e%2e%2f", b"/%00", b"/%ff", b"//x", b"/hook;x", b"/../etc/passwd"])
async def test_H16_a_path_reaches_the_handler_as_it_was_sent(path):
    seen: list[str] = []
    hooks = Hooks()
    hooks.admit = lambda _method, path, _headers: seen.append(path) or Reply(404)
    async with serving(hooks) as world, await world.connect() as stream:
        await stream.send_all(b"POST " + path + b"?q=%2e HTTP/1.1\r\n" + HOST + b"\r\n")
        assert b"404" in await read_reply(stream)
    assert seen == [path.decode()]


@pytest.mark.parametrize(
    ("head", "count"),
    [
        (b"POST /hook HTTP/1.1\r\n\r\n", 0),
        (b"POST /hook HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 2),
        (b"POST /hook HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 2),
    ],
)
async def test_a_request_names_its_host_once(head, count):
    await refused(head, 400, "host")


@pytest.mark.parametrize(
    ("line", "length", "status"),
    [(b"POST /unknown", b"10", 404), (b"PUT /hook", b"10", 405), (b"POST /hook", b"10737418240", 413)],
)
async def test_H25_what_will_be_refused_is_not_asked_to_continue(line, length, status):
    async with serving() as world:
        head = line + b" HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: " + length + b"\r\n\r\n"
        reply = await world.say(head)
        assert reply.startswith(b"HTTP/1.1 %d " % status)
        assert b" 100 " not in reply
        assert b"\r\nconnection: close\r\n" in reply.lower()


async def test_H25_what_is_admitted_is_asked_to_continue():
    async with serving() as world, await world.connect() as stream:
        await stream.send_all(POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        asked = await stream.receive_some()
        assert asked.startswith(b"HTTP/1.1 100 Continue\r\n")
        assert asked.endswith(b"\r\n\r\n")
        await stream.send_all(b"hello")
        assert b"200" in await read_reply(stream)
        assert world.hooks.taken[0].body == b"hello"


async def test_H25_what_has_begun_to_send_its_body_is_not_asked_to():
    only_own("h11 asks nevertheless, as it may")
    async with serving() as world, await world.connect() as stream:
        await stream.send_all(POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhe")
        await trio.testing.wait_all_tasks_blocked()
        await stream.send_all(b"llo")
        assert (await read_reply(stream)).startswith(b"HTTP/1.1 200 ")


async def test_an_expectation_that_nobody_knows_is_refused():
    await refused(POST + b"Expect: 200-ok\r\n\r\n", 417, "expect")
