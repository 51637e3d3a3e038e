"""The guard: no bytes of one admin connection end the daemon, hold it, or stay for ever."""

import itertools
import random
from dataclasses import replace
from pathlib import Path

import hypercorn.trio
import pytest
import trio
from admin_harness import BIG, GET, guarded, small_app
from hypercorn.config import Config
from hypercorn.protocol.h11 import H11Protocol

from gateway.admin.limits import ADMIN_LIMITS, BODY_BYTES

WEBSOCKET = (
    b"GET /hello HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
H2C = b"GET /hello HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\nhttp2-settings: %b\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


def headers_frame(block, flags=0x05, stream=1):
    return len(block).to_bytes(3, "big") + bytes([1, flags]) + stream.to_bytes(4, "big") + block


BAD_PATH = headers_frame(b"\x82\x86\x04\x02/\xff\x41\x01x")  # GET, http, :path "/\xff", :authority "x"
POST_HEAD = headers_frame(b"\x83\x86\x04\x06/hello\x41\x01x", flags=0x04)  # no END_STREAM: a body follows
DATA = b"\x00\x00\x01\x00\x00\x00\x00\x00\x01z"

KILLERS = {
    "websocket upgrade and one byte": [WEBSOCKET + b"x"],
    "h2c with settings of three bytes": [H2C % b"AAAA"],
    "h2 data after an early reply": [PREFACE + SETTINGS + POST_HEAD, DATA * 3],
    "h2 path byte above 0x7f": [PREFACE + SETTINGS + BAD_PATH],
}


@pytest.mark.parametrize("packets", KILLERS.values(), ids=KILLERS)
async def test_P21_one_connection_cannot_end_the_daemon(packets, tmp_path, autojump_clock):
    async with guarded(small_app(), tmp_path) as (guard, connect):
        bad = await connect()
        for packet in packets:
            try:
                await bad.send(packet)
            except trio.BrokenResourceError:
                break
            await trio.testing.wait_all_tasks_blocked()
        answer = await bad.read_all()
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 505"))
        good = await connect()
        assert (await good.ask(GET)).endswith(b"hello")
        assert guard.failed == 0


@pytest.mark.parametrize("packets", KILLERS.values(), ids=KILLERS)
async def test_the_killing_packets_do_end_an_unguarded_hypercorn(packets, tmp_path):
    path = str(tmp_path / "stock.sock")
    config = Config()
    config.bind = [f"unix:{path}"]
    config.errorlog = None
    with pytest.raises(BaseExceptionGroup), trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hypercorn.trio.serve, small_app(), config)
            while not Path(path).exists():
                await trio.lowlevel.checkpoint()
            async with await trio.open_unix_socket(path) as stream:
                for packet in packets:
                    await stream.send_all(packet)
                    await trio.testing.wait_all_tasks_blocked(0.05)
                await trio.sleep_forever()


async def test_H1_a_slow_head_is_cut_after_ten_seconds_in_all(tmp_path, autojump_clock):
    async with guarded(small_app(), tmp_path) as (_, connect):
        peer = await connect()
        started = trio.current_time()
        with pytest.raises(trio.BrokenResourceError):
            for byte in GET * 10:
                await peer.send(bytes([byte]))
                await trio.sleep(1)
        assert trio.current_time() - started <= 12


async def test_an_idle_connection_is_closed(tmp_path, autojump_clock):
    async with guarded(small_app(), tmp_path) as (guard, connect):
        fresh, used = await connect(), await connect()
        assert (await used.ask(GET)).endswith(b"hello")
        assert (await used.ask(GET)).endswith(b"hello"), "keep-alive works"
        with trio.fail_after(10.5):
            assert await fresh.read_all() == b""
            assert await used.read_all() == b""
        await trio.testing.wait_all_tasks_blocked()
        assert guard.connections == 0


async def test_H2_a_slow_body_gets_408_and_the_connection_closes(tmp_path, autojump_clock):
    async with guarded(small_app(), tmp_path) as (_, connect):
        peer = await connect()
        await peer.send(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc")
        with trio.fail_after(11):
            assert (await peer.read_all()).startswith(b"HTTP/1.1 408")


async def test_H3_a_client_that_never_reads_is_cut_and_does_not_hold_a_stop(tmp_path, autojump_clock):
    async with guarded(small_app(), tmp_path) as (guard, connect):
        peer = await connect()
        await peer.send(GET.replace(b"/hello", b"/big"))
        await trio.testing.wait_all_tasks_blocked()
        assert guard.connections == 1
        await trio.sleep(11)
        assert guard.connections == 0
        assert len(await peer.read_all()) < BIG


@pytest.mark.parametrize(
    "head",
    [
        b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: +3\r\n\r\nabc",
        b"GET /hello HTTP/1.1\r\nhost: x\r\nx : y\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nhost: x\r\nx: a\x00b\r\n\r\n",
        b"GET * HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET ?x HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /hello HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
async def test_H4_H5_H8_a_malformed_or_ambiguous_head_gets_400_and_closes(head, tmp_path, autojump_clock):
    async with guarded(small_app(), tmp_path) as (guard, connect):
        peer = await connect()
        await peer.send(head)
        with trio.fail_after(1):
            assert (await peer.read_all()).startswith(b"HTTP/1.1 400")
        assert guard.failed == 0


@pytest.mark.parametrize(
    "host", [b"a..b", b".a", b"a" * 64, b"caf\xe9", b"a/b", b"[::1", b"x:y", b"a b", b"a:" + b"9" * 300]
)
async def test_A6_a_host_that_is_none_gets_400_and_is_no_fault_of_ours(host, tmp_path, autojump_clock):
    async with guarded(small_app(), tmp_path) as (guard, connect):
        peer = await connect()
        await peer.send(b"GET /hello HTTP/1.1\r\nhost: %b\r\n\r\n" % host)
        assert (await peer.read_all()).startswith(b"HTTP/1.1 400")
        assert guard.failed == 0


@pytest.mark.parametrize(
    "host", [b"localhost", b"localhost:8081", b"127.0.0.1:1", b"[::1]:80", b"a.example.", b"host_1", b""]
)
async def test_every_host_that_is_one_is_served_on_the_socket(host, tmp_path, autojump_clock):
    async with guarded(small_app(), tmp_path) as (_, connect):
        answer = await (await connect()).ask(b"GET /hello HTTP/1.1\r\nhost: %b\r\n\r\n" % host)
        assert answer.endswith(b"hello")


async def test_H26_a_client_that_stops_sending_within_a_body_and_still_reads_gets_400(tmp_path, autojump_clock):
    async with guarded(small_app(), tmp_path) as (guard, connect):
        for body in (b"content-length: 9\r\n\r\nabc", b"transfer-encoding: chunked\r\n\r\n5\r\nab"):
            peer = await connect()
            await peer.send(b"POST /echo HTTP/1.1\r\nhost: x\r\n" + body)
            await peer.stream.send_eof()
            assert (await peer.read_all()).startswith(b"HTTP/1.1 400")
        assert guard.failed == 0


async def test_H27_one_line_end_before_a_request_is_passed_over_however_it_comes_in_pieces(tmp_path, autojump_clock):
    async with guarded(small_app(), tmp_path) as (_, connect):
        for pieces, status in (([b"\r\n" + GET], b"200"), ([b"\r\n", GET], b"200"), ([b"\r\n", b"\r\n", GET], b"400")):
            peer = await connect()
            for piece in pieces:
                await peer.send(piece)
                await trio.testing.wait_all_tasks_blocked()
            assert (await peer.read()).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("lines", [b"x: %b\r\n" % (b"y" * 20_000), b"x: y\r\n" * 300], ids=["20 KB line", "300 lines"])
async def test_H9_a_large_head_gets_431_also_when_it_comes_in_one_piece(lines, tmp_path, autojump_clock):
    async with guarded(small_app(), tmp_path) as (_, connect):
        peer = await connect()
        await peer.send(b"GET /hello HTTP/1.1\r\nhost: x\r\n" + lines + b"\r\n")
        with trio.fail_after(1):
            assert (await peer.read_all()).startswith(b"HTTP/1.1 431")


async def test_H10_an_endless_chunked_body_gets_413_and_memory_stays_bounded(tmp_path, autojump_clock):
    async with guarded(small_app(), tmp_path) as (guard, connect):
        peer = await connect()
        sent = 0
        await peer.send(b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        async with trio.open_nursery() as nursery:

            async def flood():
                nonlocal sent
                with pytest.raises(trio.BrokenResourceError):
                    while True:
                        await peer.send(b"4000\r\n" + b"z" * 0x4000 + b"\r\n")
                        sent += 0x4000

            nursery.start_soon(flood)
            with trio.fail_after(1):
                assert (await peer.read()).startswith(b"HTTP/1.1 413")
        await trio.testing.wait_all_tasks_blocked()
        assert guard.connections == 0
        assert guard.failed == 0


async def test_a_chunked_body_of_tiny_pieces_cannot_outgrow_its_share_of_the_wire(tmp_path, autojump_clock):
    pieces = 40_000
    assert pieces < BODY_BYTES
    async with guarded(small_app(), tmp_path) as (guard, connect):
        peer = await connect()
        await peer.send(b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        await peer.send(b"1\r\nz\r\n" * pieces)
        with trio.fail_after(1):
            await peer.read_all()
        await trio.sleep(1)
        assert (guard.connections, guard.failed) == (0, 0)


async def test_another_version_of_http_gets_505(tmp_path, autojump_clock):
    async with guarded(small_app(), tmp_path) as (_, connect):
        peer = await connect()
        await peer.send(GET.replace(b"1.1", b"2.0"))
        assert (await peer.read_all()).startswith(b"HTTP/1.1 505")


async def test_a_body_within_the_limit_arrives_whole_by_length_and_by_chunks(tmp_path, autojump_clock):
    async with guarded(small_app(), tmp_path) as (_, connect):
        peer = await connect()
        answer = await peer.ask(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello")
        assert answer.endswith(b"\r\n\r\nhello")
        chunks = b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
        answer = await peer.ask(b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + chunks)
        assert answer.endswith(b"\r\n\r\nhello")


async def test_a_half_closed_client_gets_its_answer(tmp_path, autojump_clock):
    app = small_app()
    async with guarded(app, tmp_path) as (guard, connect):
        peer = await connect()
        await peer.send(GET.replace(b"/hello", b"/wait"))
        await peer.stream.send_eof()
        await app.entered.wait()
        app.leave.set()
        with trio.fail_after(1):
            assert (await peer.read_all()).endswith(b"waited")
        await trio.testing.wait_all_tasks_blocked()
        assert guard.connections == 0


async def test_a_handler_runs_to_its_end_when_the_client_has_left(tmp_path, autojump_clock):
    app = small_app()
    async with guarded(app, tmp_path) as (guard, connect):
        peer = await connect()
        await peer.send(GET.replace(b"/hello", b"/wait"))
        await app.entered.wait()
        await trio.aclose_forcefully(peer.stream)
        await trio.sleep(1)
        app.leave.set()
        await trio.testing.wait_all_tasks_blocked()
        assert app.finished == ["wait"]
        assert (guard.connections, guard.failed) == (0, 0)


async def test_a_handler_that_never_ends_is_cut(tmp_path, autojump_clock):
    app = small_app()
    async with guarded(app, tmp_path) as (guard, connect):
        peer = await connect()
        await peer.send(GET.replace(b"/hello", b"/wait"))
        with trio.fail_after(61):
            assert (await peer.read_all()).startswith(b"HTTP/1.1 500")
        await trio.sleep(1)
        assert guard.connections == 0


async def test_a_stop_lets_a_request_finish_and_closes_idle_connections_at_once(tmp_path, autojump_clock):
    app = small_app()
    async with guarded(app, tmp_path) as (guard, connect):
        idle, busy = await connect(), await connect()
        assert (await idle.ask(GET)).endswith(b"hello")
        await busy.send(GET.replace(b"/hello", b"/wait"))
        await app.entered.wait()
        guard.stop()
        with trio.fail_after(0.5):
            assert await idle.read_all() == b""
        with pytest.raises(OSError, match="refused"):
            await connect()
        app.leave.set()
        with trio.fail_after(1):
            assert (await busy.read_all()).endswith(b"waited")


async def test_P16_a_stop_ends_within_its_grace_whatever_clients_do(tmp_path, autojump_clock):
    app = small_app()
    started = trio.current_time()
    async with guarded(app, tmp_path) as (guard, connect):
        waiting, stuck = await connect(), await connect()
        await waiting.send(GET.replace(b"/hello", b"/wait"))
        await stuck.send(GET.replace(b"/hello", b"/big"))
        await app.entered.wait()
        guard.stop()
        await waiting.read_all()
        while guard.connections:
            await trio.sleep(0.5)
    assert trio.current_time() - started <= 16


async def test_connections_over_the_cap_are_turned_away_and_places_come_back(tmp_path, autojump_clock):
    app = small_app()
    async with guarded(app, tmp_path, replace(ADMIN_LIMITS, connections=2)) as (guard, connect):
        first, second = await connect(), await connect()
        for busy in (first, second):
            await busy.send(GET.replace(b"/hello", b"/wait"))
        await trio.testing.wait_all_tasks_blocked()
        third = await connect()
        assert (await third.read_all()).startswith(b"HTTP/1.1 503")
        assert guard.refused == {"connections": 1}
        app.leave.set()
        assert b" 200 " in await first.read()
        await trio.testing.wait_all_tasks_blocked()
        assert (await (await connect()).ask(GET)).endswith(b"hello"), "the one that is idle makes room"


async def test_an_exception_inside_the_server_ends_one_connection_only(tmp_path, autojump_clock, monkeypatch):
    async def explode(*_):
        raise KeyError("a bug of the server library")

    async with guarded(small_app(), tmp_path) as (guard, connect):
        with monkeypatch.context() as patch:
            patch.setattr(H11Protocol, "_create_stream", explode)
            peer = await connect()
            await peer.send(GET)
            assert await peer.read_all() == b""
        await trio.testing.wait_all_tasks_blocked()
        assert guard.failed == 1
        assert (await (await connect()).ask(GET)).endswith(b"hello")


async def test_the_answer_does_not_name_the_server_software(tmp_path, autojump_clock):
    async with guarded(small_app(), tmp_path) as (_, connect):
        head = (await (await connect()).ask(GET)).lower()
        assert b"\r\nserver:" not in head


CORPUS = [
    GET,
    WEBSOCKET,
    H2C % b"AAAA",
    PREFACE + SETTINGS + BAD_PATH,
    PREFACE + SETTINGS + POST_HEAD + DATA,
    b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nhello",
    b"GET /hello HTTP/1.0\r\n\r\n",
    GET + GET + b"HEAD /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
]


def mutated(chance):
    """One hostile input in one to three pieces: parts of the corpus cut, doubled, flipped and joined."""
    data = bytearray(b"".join(chance.sample(CORPUS, chance.randint(1, 2))))
    for _ in range(chance.randint(0, 6)):
        at = chance.randrange(len(data))
        kind = chance.randrange(4)
        if kind == 0:
            data[at] = chance.randrange(256)
        elif kind == 1:
            data[at:at] = data[at : at + chance.randint(1, 40)]
        elif kind == 2 and len(data) > 60:
            del data[at : at + chance.randint(1, 20)]
        else:
            data[at:at] = chance.choice([b"\r\n", b"\x00", b"\xff\xfe", b":", b" ", b"99999999999999999999"])
    cuts = sorted(chance.randrange(len(data)) for _ in range(chance.randint(0, 2)))
    return [bytes(data[a:b]) for a, b in itertools.pairwise([0, *cuts, len(data)])]


async def test_P21_mutated_inputs_leave_no_connection_and_no_failure_behind(tmp_path, autojump_clock):
    chance = random.Random(20261121)
    async with guarded(small_app(), tmp_path) as (guard, connect):
        for number in range(600):
            peer = await connect()
            try:
                for piece in mutated(chance):
                    await peer.send(piece)
                    await trio.lowlevel.checkpoint()
                if number % 2:
                    await peer.stream.send_eof()
            except trio.BrokenResourceError:
                pass
            with trio.fail_after(30):
                await peer.read_all()
            await trio.aclose_forcefully(peer.stream)
        await trio.sleep(1)
        assert (guard.connections, guard.failed) == (0, 0)
        assert (await (await connect()).ask(GET)).endswith(b"hello")
