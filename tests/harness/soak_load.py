"""What a soak does to the daemon: senders good and bad, hostile connections, and all that an operator does.

Each function goes on until it is cancelled or, if it sends what must be accounted for, until `stop` is set.
"""

import itertools
import os
import signal
from contextlib import suppress
from pathlib import Path

import trio

from harness.senders import Client, post, truework, truora, truora_event
from harness.settings import ORDERS_TOKEN, TRUORA_KEY
from harness.vitals import children

KEYS = 40
"""Of the ordered target."""
HEAD = b"POST /hooks/truework HTTP/1.1\r\nHost: hooks.example\r\n"
HOSTILE = (
    b"",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    HEAD,
    HEAD + b"Content-Length: 500\r\n\r\n{",
    HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    HEAD + b"X: y\r\n" * 300 + b"\r\n",
    HEAD + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 200,
    b"\0\xff\r\n" * 1000,
)
"""Openings; some are held until the daemon cuts them, some are reset at once."""
HOLD_SECONDS = 40.0


class Load:
    """The traffic of one soak."""

    def __init__(self, world, daemon):
        self.world = world
        self.daemon = daemon
        self.port = daemon.port
        self.stop = trio.Event()
        self.did = dict.fromkeys(("repeats", "refused", "hostile", "reloads", "replays", "workers killed", "asked"), 0)
        self._tag = f"soak{len(world.orders.attempted)}"

    async def send(self, rate):
        """Send distinct orders at `rate` a second, each until it is acknowledged; give up the pace if behind."""
        queue, orders = trio.open_memory_channel(100)
        async with trio.open_nursery() as nursery, queue:
            for _ in range(4):
                nursery.start_soon(self._send_each, orders.clone())
            next_at = trio.current_time()
            for number in itertools.count():
                if self.stop.is_set():
                    break
                await queue.send(number)
                next_at += 1 / rate
                await trio.sleep_until(next_at)

    async def _send_each(self, orders):
        with Client(self.port) as client:
            async for number in orders:
                await self._send_order(client, number)
                if number % 10 == 5:
                    event = truora_event(f"{self._tag}-{number}")
                    await client.send(truora([event], TRUORA_KEY))
                if number % 30 == 1:
                    self.did["refused"] += (await client.send(truework("bad", "wrong"))).status == 401

    async def _send_order(self, client, number):
        also = "email" if number % 15 == 0 else "shell" if number % 45 == 7 else "doomed" if number % 300 == 11 else ""
        metadata = {"key": f"key{number % KEYS}", "also": also}
        order = truework(f"{self._tag}-{number}", ORDERS_TOKEN, metadata=metadata, size=500)
        await client.insist(order, self.world.orders)
        if ledger := self.world.some.get(also):
            ledger.attempted.add(order.name)
            ledger.acknowledged.add(order.name)
        if number % 10 == 3:
            self.did["repeats"] += (await post(self.port, order)).status == 200

    async def be_hostile(self, seconds):
        """Open a hostile connection every so many seconds."""
        async with trio.open_nursery() as nursery:
            for number in itertools.count():
                nursery.start_soon(self.attack, HOSTILE[number % len(HOSTILE)], number % 3 == 0)
                await trio.sleep(seconds)

    async def attack(self, opening, reset, hold=HOLD_SECONDS):
        """Open one hostile connection, then reset it or hold it until the daemon ends it, or for `hold` seconds."""
        with suppress(OSError), trio.socket.socket() as connection:
            await connection.connect(("127.0.0.1", self.port))
            with suppress(OSError):
                await connection.send(opening)
            self.did["hostile"] += 1
            if reset:
                connection.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                return
            with trio.move_on_after(hold):
                while await connection.recv(65536):
                    pass

    async def reload(self, seconds):
        """Reload every so many seconds: something added, something wrong, as it was."""
        url = self.world.five["http"].sink.url
        added = f'[targets.extra]\ntype = "http"\nurl = "{url}"\n[routes.extra]\nsource = "truora"\nevent = "x"\n'
        added += 'targets = ["extra"]\n'
        for extra in itertools.cycle(("[nonsense]", added, "")):
            await trio.sleep(seconds)
            await self.daemon.reload(self.world.text(extra))
            self.did["reloads"] += 1

    async def replay(self, seconds):
        """Have the newest events sent again, to one target."""
        for number in itertools.count():
            await trio.sleep(seconds)
            newest = (await self.daemon.ask("/events?source=truework&limit=20"))["events"]
            order = {"id": f"{self._tag}-{number}", "events": [each["id"] for each in newest], "targets": ["http"]}
            await self.daemon.ask("/replay", order)
            self.did["replays"] += 1

    async def kill_workers(self, seconds):
        """Kill the plugin's worker every so many seconds."""
        while True:
            await trio.sleep(seconds)
            self.kill_worker()

    def kill_worker(self):
        """Kill what runs the plugin; tell whether there was one."""
        before = self.did["workers killed"]
        for child in children(self.daemon.pid):
            with suppress(OSError):
                if b"plugin_host" in Path(f"/proc/{child}/cmdline").read_bytes():
                    os.kill(child, signal.SIGKILL)
                    self.did["workers killed"] += 1
        return self.did["workers killed"] > before

    async def ask(self, seconds):
        """Look at everything an operator can look at, by the API and by a command."""
        paths = ("/status", "/metrics", "/targets", "/events?limit=100", "/deliveries?limit=100", "/replays", "/audit")
        for number in itertools.count():
            await trio.sleep(seconds)
            with Client(self.daemon.home.admin) as client:
                for path in (*paths, "/nothing"):
                    await client.exchange(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                    self.did["asked"] += 1
            if number % 10 == 0:
                await self.daemon.cli("status")
