"""Hostile connections in memory: hundreds of thousands, each read to its end, and nothing is left of any.

HOOKGATE_HOSTILE sets how many, HOOKGATE_HOSTILE_SEED repeats a run. Real sockets are in `test_listener_fuzz`.
"""

import os
import random
import re
import threading
import time

import pytest
import trio
from hostile_lanes import SHARES, make_lanes

from gateway.wire.parser import parse_head
from harness import memory_wire
from harness.leftovers import Leftovers
from harness.read_by_h11 import read_by_h11
from harness.seeds import seed_of

HOSTILE = int(os.environ.get("HOOKGATE_HOSTILE", "100000"))
SEED = seed_of("HOSTILE")
LOOK = 1000
"""After so many connections it is looked at what they left."""
COMPARED = 4
"""Every so many connections of HTTP/1.1 are read by h11, too."""
LEGAL = {0, 100, 200, 400, 403, 404, 405, 408, 409, 413, 415, 417, 431, 505}
"""0: closed without a word."""


@pytest.fixture(autouse=True)
def _in_memory(monkeypatch):
    monkeypatch.setattr("gateway.asgi.connection.Stream", memory_wire.MemoryStream)


class Siege:
    """Serves hostile connections one after the other; looks at what is left of them."""

    def __init__(self, seed, folder):
        self.lanes = make_lanes(seed, folder)
        self.seeded = random.Random(seed)
        self.compared, self.compare_every = 0, COMPARED

    async def run(self, count):
        async with trio.open_nursery() as nursery:
            for lane in self.lanes.values():
                nursery.start_soon(lane.sweep)
                await lane.is_well()
            self.leftovers = Leftovers()
            for done in range(0, count, LOOK):
                await self._some(min(LOOK, count - done))
                await trio.testing.wait_all_tasks_blocked()
                for lane in self.lanes.values():
                    assert (lane.faults, lane.state.body_bytes) == ([], 0)
                    assert LEGAL.issuperset(lane.answers), (lane.name, lane.answers)
                    await lane.is_well()
                assert self.leftovers.found(thorough=done % (10 * LOOK) == 0) == {}
            nursery.cancel_scope.cancel()

    async def _some(self, count):
        for name in self.seeded.choices(list(SHARES), SHARES.values(), k=count):
            lane = self.lanes[name]
            sent = await lane.serve(self.leftovers.watch)
            if "http1" in name and self.seeded.randrange(self.compare_every) == 0:
                self._compare(sent, lane.hooks.read)

    def _compare(self, sent, ours):
        """See that h11 reads the same requests, or more: else a body could hide a request."""
        theirs = read_by_h11(sent)
        assert ours == theirs[: len(ours)], f"read in two ways: {sent!r}\nours: {ours}\nh11's: {theirs}"
        self.compared += 1


@pytest.mark.timeout(600 + HOSTILE // 500)  # for a machine that does much else
async def test_P21_H28_hostile_connections_leave_nothing_behind_and_are_read_as_h11_reads_them(
    tmp_path, autojump_clock, tell
):
    began = time.monotonic()
    siege = Siege(SEED, tmp_path)
    await siege.run(HOSTILE)
    lanes = siege.lanes.values()
    tell(
        f"{HOSTILE} hostile connections (seed {SEED}), {time.monotonic() - began:.0f} s: "
        + ", ".join(f"{lane.served} {lane.name} ({lane.state.requests} requests)" for lane in lanes)
        + f"; {siege.compared} compared with h11; nothing left, memory {siege.leftovers.grown >> 20} MiB more"
    )
    assert all(lane.state.requests for lane in lanes if lane.name != "tls hello"), "good requests come through"
    assert sum(sum(lane.state.refused.values()) for lane in lanes) > HOSTILE / 4
    assert siege.leftovers.grown < 64 << 20


def leak_task(_request):
    trio.lowlevel.spawn_system_task(trio.sleep_forever)


def leak_descriptor(kept):
    return lambda _request: kept.append(os.open(os.devnull, os.O_RDONLY))


async def test_a_task_that_is_left_behind_is_found(tmp_path, autojump_clock):
    siege = Siege(1, tmp_path)
    siege.lanes["http1"].hooks.then = lambda: trio.lowlevel.spawn_system_task(trio.sleep_forever)
    with pytest.RaisesGroup(pytest.RaisesExc(AssertionError, match="tasks")):
        await siege.run(LOOK)


async def test_a_descriptor_that_is_left_open_is_found(tmp_path, autojump_clock):
    siege, kept = Siege(1, tmp_path), []
    siege.lanes["hypercorn http1"].hooks.then = lambda: kept.append(os.open(os.devnull, os.O_RDONLY))
    with pytest.RaisesGroup(pytest.RaisesExc(AssertionError, match="descriptors")):
        await siege.run(LOOK)
    for descriptor in kept:
        os.close(descriptor)


async def test_a_thread_that_does_not_end_is_found(tmp_path, autojump_clock):
    siege, end = Siege(1, tmp_path), threading.Event()
    siege.lanes["http2"].hooks.then = lambda: threading.Thread(target=end.wait).start()
    with pytest.RaisesGroup(pytest.RaisesExc(AssertionError, match="threads")):
        await siege.run(LOOK)
    end.set()


async def test_a_connection_that_somebody_keeps_is_found(tmp_path, autojump_clock):
    siege, kept = Siege(1, tmp_path), []
    lane = siege.lanes["http1"]
    lane.hooks.then = lambda: kept.append(lane.live)
    with pytest.RaisesGroup(pytest.RaisesExc(AssertionError, match="connections")):
        await siege.run(LOOK)


async def test_an_exception_in_a_connection_is_found(tmp_path, autojump_clock, monkeypatch):
    monkeypatch.setattr("gateway.asgi.http2.parse_head", lambda raw, _count: parse_head(raw.decode("ascii"), 9))
    with pytest.RaisesGroup(pytest.RaisesExc(AssertionError, match="Error")):
        await Siege(1, tmp_path).run(LOOK)


async def test_a_body_that_stays_counted_is_found(tmp_path, autojump_clock, monkeypatch):
    monkeypatch.setattr("gateway.asgi.exchange.Exchange._release", lambda _self: None)
    with pytest.RaisesGroup(pytest.RaisesExc(AssertionError)):
        await Siege(1, tmp_path).run(LOOK)


LENIENT = {
    "a chunk's size may end in anything": ("gateway.wire.chunks._SIZE", re.compile(rb"([0-9A-Fa-f]{1,8})[^\r\n]*\r\n")),
    "a chunk's line may end in a bare line feed": (
        "gateway.wire.chunks._SIZE",
        re.compile(rb"([0-9A-Fa-f]{1,8}+)(?:;[\t -~\x80-\xff]*+)?\r?\n"),
    ),
    "only seven digits of a length count": (
        "gateway.wire.parser._content_length",
        lambda value, _known: int(value[-1:]),
    ),
    "a length counts though chunks are announced": ("gateway.wire.parser._transfer_coding", lambda *_, **__: 5),
}


@pytest.mark.parametrize("bug", LENIENT)
async def test_H28_a_parser_that_reads_what_others_read_otherwise_is_found_out(
    tmp_path, autojump_clock, monkeypatch, bug
):
    monkeypatch.setattr(*LENIENT[bug])
    siege = Siege(1, tmp_path)
    siege.compare_every = 1
    with pytest.RaisesGroup(pytest.RaisesExc(AssertionError, match="two ways")):
        await siege.run(20 * LOOK)
