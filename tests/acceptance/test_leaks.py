"""P21: what is done again and again leaves nothing behind: no descriptor, no thread, no task, and hardly any memory.

Each burden alone, so that a leak is found with its name. `HOOKGATE_LEAKS` is the share of the table's sizes that is
done: 1 for a release.
"""

import itertools
import logging
import os
import ssl
from contextlib import suppress

import pytest
import trio
import trustme

from harness.daemon import running
from harness.planted import planted
from harness.senders import Client, post, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.soak import left_behind, settle, stand_still
from harness.soak_load import HOSTILE, Load
from harness.soak_world import FAILURES, soak_world
from harness.vitals import MIB, look, rest, wait_back

SHARE = float(os.environ.get("HOOKGATE_LEAKS", "0.01"))
GROWTH_MIB = 8
"""Of memory that belongs to no file: arenas and caches fill up, too."""
PATIENCE_SECONDS = 75
"""Longer than an idle connection to a target is kept: what is opened late goes late."""
TOGETHER = 20
REPLAYS = 10
"""Together: of those that have not ended the daemon takes sixteen."""


class Burden:
    """What the burdens work with."""

    def __init__(self, world, daemon):
        self.world, self.daemon, self.load = world, daemon, Load(world, daemon)
        self.sent = 0

    async def each(self, count, act):
        """Do something so many times, some of it together."""
        numbers = iter(range(count))

        async def some():
            for number in numbers:
                await act(number)

        async with trio.open_nursery() as nursery:
            for _ in range(min(TOGETHER, count)):
                nursery.start_soon(some)

    async def order(self, also=""):
        """Send one order and insist on it."""
        self.sent += 1
        metadata = {"key": f"key{self.sent % 5}", "also": also}
        request = truework(f"order{self.sent}", ORDERS_TOKEN, metadata=metadata, size=500)
        with Client(self.daemon.port) as client:
            await client.insist(request, self.world.orders)

    async def connections(self, count):
        await self.each(count, lambda number: post(self.daemon.port, truework("bad", "wrong")))

    async def hostile(self, count):
        await self.each(count, lambda number: self.load.attack(HOSTILE[number % len(HOSTILE)], number % 2 == 0, 0.05))

    async def reloads(self, count):
        for number in range(count):
            await self.daemon.reload(
                self.world.text("[nonsense]" if number % 3 == 2 else "", fresh=number % 3 == 1), 60
            )

    async def failures(self, count):
        faults = itertools.cycle(FAILURES)
        self.world.failing.choose = lambda _: next(faults)
        await self.each(count, lambda number: self.order())
        await trio.sleep(2)
        self.world.failing.choose = None

    async def worker_deaths(self, count):
        for _ in range(count):
            await self.order()
            with trio.fail_after(30):
                while not self.load.kill_worker():
                    await trio.sleep(0.05)
            await settle(self.world, self.daemon)

    async def shell_runs(self, count):
        await self.each(count, lambda number: self.order("shell"))

    async def replays(self, count):
        await self.order()
        (newest,) = (await self.daemon.ask("/events?source=truework&limit=1"))["events"]
        tag = self.sent

        async def replay(number):
            plan = {"id": f"leak-{tag}-{number}", "events": [newest["id"]], "targets": ["http"]}
            await self.daemon.ask("/replay", plan)

        for first in range(0, count, REPLAYS):
            await self.each(min(REPLAYS, count - first), lambda number, first=first: replay(first + number))
            with trio.fail_after(60):
                while any(each["ended_at"] is None for each in (await self.daemon.ask("/replays"))["replays"]):
                    await trio.sleep(0.01)

    async def mail_failures(self, count):
        email = self.world.five["email"]
        email.break_("answers 4xx", self.daemon)
        await self.each(count, lambda number: self.order("email"))
        await trio.sleep(1)
        email.mend()

    async def admin_requests(self, count):
        paths = ("/status", "/metrics", "/events?limit=50", "/deliveries?limit=50", "/nothing")
        wires = [f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for path in paths]

        async def ask(number):
            with Client(self.daemon.home.admin) as client:
                await client.exchange(wires[number % len(wires)])

        await self.each(count, ask)


BURDENS = {
    Burden.connections: 10_000,
    Burden.hostile: 10_000,
    Burden.reloads: 1_000,
    Burden.failures: 1_000,
    Burden.worker_deaths: 200,
    Burden.shell_runs: 200,
    Burden.replays: 500,
    Burden.mail_failures: 300,
    Burden.admin_requests: 2_000,
}


@pytest.fixture(autouse=True)
def quiet():
    """The mail server warns of itself at each login."""
    log = logging.getLogger("mail.log")
    level = log.level
    log.setLevel(logging.ERROR)
    yield
    log.setLevel(level)


@pytest.mark.timeout(200 + 3000 * SHARE)
@pytest.mark.parametrize(("burden", "size"), BURDENS.items(), ids=[each.__name__ for each in BURDENS])
async def test_P21_what_is_done_many_times_leaves_no_descriptor_thread_task_or_memory_behind(home, tell, burden, size):
    count = max(int(size * SHARE), 4)
    async with soak_world(home, 1) as world:
        home.write_config(world.text())
        async with running(home, before=planted("eager")) as daemon:  # the store opens all that it opens in the end
            burdened = Burden(world, daemon)
            await burden(burdened, count)  # what fills up for good fills up now
            await stand_still(world, daemon)
            before = await rest(daemon)
            await burden(burdened, count)
            left = await left_behind(world, daemon, before)
            grown = (await look(daemon)).anonymous - before.anonymous
            assert await daemon.stop() == 0
    tell(f"{count} {burden.__name__}: left {left or 'nothing'}, memory {grown / MIB:+.1f} MiB")
    assert left == []
    assert grown < GROWTH_MIB * MIB


async def shake_badly(port, way):
    """One TLS handshake that fails: no handshake at all, one that is left, one whose certificate is not trusted."""
    with suppress(OSError, trio.BrokenResourceError):
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream:
            if way == 0:
                await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
            elif way == 1:
                await stream.send_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            else:
                context = ssl.create_default_context()
                await trio.SSLStream(stream, context, server_hostname="127.0.0.1").do_handshake()


@pytest.mark.timeout(200 + 3000 * SHARE)
async def test_P21_handshakes_that_fail_leave_nothing_behind(home, tell):
    certificate = trustme.CA().issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(home.folder / "cert.pem")
    count = max(int(3_000 * SHARE), 12)
    Settings(home, server='tls = { cert = "cert.pem", key = "cert.pem" }').write()
    async with running(home) as daemon:
        await shake_all(daemon.port, count // 3)
        before = await rest(daemon)
        await shake_all(daemon.port, count)
        left = await wait_back(daemon, before, PATIENCE_SECONDS)
        grown = (await look(daemon)).anonymous - before.anonymous
        assert await daemon.stop() == 0
    tell(f"{count} handshakes that fail: left {left or 'nothing'}, memory {grown / MIB:+.1f} MiB")
    assert left == []
    assert grown < GROWTH_MIB * MIB


async def shake_all(port, count):
    async with trio.open_nursery() as nursery:
        for first in range(TOGETHER):
            nursery.start_soon(shake_some, port, range(first, count, TOGETHER))


async def shake_some(port, numbers):
    for number in numbers:
        await shake_badly(port, number % 3)
