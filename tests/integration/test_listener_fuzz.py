"""Hostile bytes: whatever arrives, the server answers or closes, reports no fault of its own and keeps nothing."""

import random
from pathlib import Path

import pytest
import trio
from listener_world import GOOD, HOST, Hooks, read_all, serving
from trio.testing import wait_all_tasks_blocked

pytestmark = pytest.mark.usefixtures("either_http")

INPUTS = 500
"""For each seed: enough to reach every branch of the parsers many times, few enough for every run."""
SEEDS = [
    GOOD,
    b"POST /hook HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nT: v\r\n\r\n",
    b"POST /hook?q=1 HTTP/1.0\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello",
    b"GET /hook HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"POST /hook HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"HEAD /hook HTTP/1.1\r\n" + HOST + b'X-Forwarded-For: 1.2.3.4, [::1]:80\r\nForwarded: for="[::1]"\r\n\r\n',
]
SPLICES = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b":",
    b" ",
    b"\t",
    b"0",
    b"-1",
    b"ffffffff",
    b"\r\n\r\n",
    b"chunked",
    b"\xff",
    b";",
    b",",
]


def hostile(seeded: random.Random) -> bytes:
    """Make one input: some good messages, damaged in some places."""
    data = bytearray(b"".join(seeded.choices(SEEDS, k=seeded.randint(1, 3))))
    for _ in range(seeded.randint(0, 6)):
        at = seeded.randrange(len(data) + 1)
        kind = seeded.randrange(5)
        if kind == 0:
            data[at:at] = seeded.choice(SPLICES) * seeded.choice([1, 1, 1, 2, 500])
        elif kind == 1:
            del data[at : at + seeded.randint(1, 20)]
        elif kind == 2:
            data[at : at + 1] = seeded.randbytes(seeded.randint(1, 4))
        elif kind == 3:
            data[at:at] = data[: seeded.randint(0, 40)]
        else:
            data = data[:at] or data
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
async def test_P21_hostile_bytes_leave_a_living_server_and_nothing_else(seed):
    seeded = random.Random(seed)
    hooks = Hooks()
    async with serving(hooks, trusted=["127.0.0.1"]) as world:
        await wait_all_tasks_blocked()
        tasks = trio.lowlevel.current_statistics().tasks_living
        open_files = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(INPUTS):
            data = hostile(seeded)
            async with await world.connect() as stream:
                with trio.fail_after(30):
                    for piece in (data[: len(data) // 2], data[len(data) // 2 :]):
                        await send(stream, piece)
                    if seeded.random() < 0.9:
                        await end(stream)
                        replies = await read_all(stream)
                        assert not replies or replies.startswith(b"HTTP/1.1 "), (data, replies)
        await wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        assert len(list(Path("/proc/self/fd").iterdir())) == open_files
        assert world.server.statistics().connections == 0
        assert world.server.statistics().body_bytes == 0
        assert world.errors == []
        assert len(hooks.taken) > INPUTS // 10
        assert len(world.refused) > 5
        assert await world.is_well()


async def send(stream: trio.SocketStream, data: bytes) -> None:
    """Send what the server still takes."""
    try:
        await stream.send_all(data)
    except trio.BrokenResourceError:
        return


async def end(stream: trio.SocketStream) -> None:
    """Say that nothing more comes, if the connection still stands."""
    try:
        await stream.send_eof()
    except trio.BrokenResourceError:
        return
