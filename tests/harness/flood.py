"""Floods the real daemon with thousands of hostile connections beside healthy senders, and looks at what these feel.

`python -m harness.flood [--http hypercorn]` prints one table: the time that healthy requests take alone, beside the
hostile connections, and beside those and a burst of ten times as many valid requests; the most memory; when the hostile
ones were ended; whether everything is as before afterwards. It ends with 1 if it is not. About two minutes.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio

from harness.daemon import running
from harness.home import temporary_home
from harness.senders import Client, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.vitals import MIB, ask_counts, look, rest, wait_back

PEERS = Path(__file__).with_name("hostile_peers.py")
COUNTS: Mapping[str, int] = {"heads": 2000, "bodies": 2000, "readers": 200}
RATE = 50.0
"""Healthy requests a second; each counts from the moment it was meant to leave."""
CLIENTS = 20
DEADLINE_SECONDS = 45.0
"""For the server to end every hostile connection: its own longest deadline is 30 s, for a body."""
GOAL_MS = 250.0
GOAL_MIB = 300.0
DROPBOX = """
[sources.dropbox]
provider = "dropbox"
credentials.main = { secret = { file = "truework-orders" } }
[routes.dropbox]
source = "dropbox"
targets = ["audit"]
"""


@dataclass
class Felt:
    """What healthy requests felt during one part of a run."""

    name: str
    seconds: list[float] = field(default_factory=list)
    failed: int = 0
    resident: int = 0
    """The most that was seen, in bytes; and of descriptors."""
    descriptors: int = 0

    @property
    def p99_ms(self):
        ordered = sorted(self.seconds)
        return 1000 * ordered[int(0.99 * (len(ordered) - 1))] if ordered else float("inf")

    def __str__(self):
        ordered = sorted(self.seconds)
        times = [1000 * ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.99, 1.0)]
        shown = " / ".join(f"{time:.1f}" for time in times)
        seen = f"{self.resident / MIB:.0f} | {self.descriptors}" if self.resident else "| "
        return f"| {self.name} | {len(ordered)} | {self.failed} | {shown} | {seen} |"


def settings(home, http, limits):
    """A configuration with such limits, and a place that answers at length whoever asks."""
    server = f'http = "{http}"\nlimits = {{ {limits} }}'
    return Settings(home, server=server, more=DROPBOX)


async def be_healthy(daemon, felt, seconds, rate=RATE, clients=CLIENTS, tag="healthy", *, anew=False):
    """Send distinct orders at `rate` for so long; note what each felt in the newest of `felt`.

    Over connections that are kept, or each over one of its own.
    """
    began = trio.current_time()

    async def send(number):
        with Client(daemon.port) as client:
            for turn in range(int(rate * seconds / clients)):
                meant = began + (turn * clients + number) / rate
                await trio.sleep_until(meant)
                part = felt[-1]
                try:
                    answer = await client.send(truework(f"{tag}-{number}-{turn}", ORDERS_TOKEN))
                except OSError:
                    part.failed += 1
                else:
                    part.failed += answer.status != 200
                    part.seconds.append(trio.current_time() - meant)
                if anew:
                    client.close()

    async with trio.open_nursery() as nursery:
        for number in range(clients):
            nursery.start_soon(send, number)


async def watch(daemon, felt):
    """Note the most memory and descriptors in the newest of `felt`, until cancelled."""
    while True:
        part = felt[-1]
        part.resident = max(part.resident, daemon.resident_bytes())
        part.descriptors = max(part.descriptors, (await ask_counts(daemon))["process_open_fds"])
        await trio.sleep(0.3)


@asynccontextmanager
async def hostile_peers(port, counts, seconds=DEADLINE_SECONDS):
    """Open hostile connections; gives a function that waits until the server has ended all, and tells how."""
    command = [sys.executable, PEERS, str(port), json.dumps(dict(counts)), "--seconds", str(seconds)]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    try:
        output = b""
        while not output.startswith(b"open\n"):
            received = await process.stdout.receive_some()
            if not received:
                raise AssertionError("the hostile peers ended before they were there")
            output += received

        async def wait_ended():
            nonlocal output
            async for piece in process.stdout:
                output += piece
            return json.loads(output.removeprefix(b"open\n"))

        yield wait_ended
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def flood(http, rate=RATE, counts=COUNTS):
    """Run it; give what was felt, how the hostile ones ended, and what is left of them."""
    with temporary_home() as home:
        settings(home, http, f"connections = {sum(counts.values()) + 200}").write()
        async with running(home) as daemon, trio.open_nursery() as nursery:
            felt = [Felt("before it counts")]
            nursery.start_soon(watch, daemon, felt)
            await be_healthy(daemon, felt, 3, rate, tag="warm")
            before = await rest(daemon)
            new = []
            begin(felt, new, "alone")
            async with trio.open_nursery() as healthy:
                healthy.start_soon(be_healthy, daemon, felt, 55, rate)
                healthy.start_soon(partial(be_healthy, daemon, new, 55, rate, tag="new", anew=True))
                await trio.sleep(15)
                begin(felt, new, "while they connect, and 1 s")
                async with hostile_peers(daemon.port, counts) as wait_ended:
                    await trio.sleep(1)
                    begin(felt, new, "beside them")
                    await trio.sleep(4)
                    begin(felt, new, "beside them and the burst")
                    burst = [Felt("the burst itself")]
                    await be_healthy(daemon, burst, 8, 10 * rate, 4 * CLIENTS, tag="burst")
                    begin(felt, new, "beside those that are left")
                    ended = await wait_ended()
            await daemon.wait_settled(60)
            left = await wait_back(daemon, before, 20)
            after = await look(daemon)
            nursery.cancel_scope.cancel()
        return [*felt[1:], *new, *burst], ended, left, (before, after)


def begin(felt, new, name):
    """Begin a part of the run."""
    felt.append(Felt(f"{name}, kept connections"))
    new.append(Felt(f"{name}, new connections"))


def report(http, rate, felt, ended, before, after):
    """Write the report; give its lines."""
    return [
        f"{http}, {rate:.0f} healthy requests a second",
        "",
        "| healthy requests | answered | failed | p50 / p99 / max ms | most MiB | descriptors |",
        "|---|---|---|---|---|---|",
        *map(str, felt),
        *(f"- {kind}: {one}" for kind, one in ended.items()),
        f"- before {before}",
        f"- after {after}",
    ]


def judge(felt, ended, left):
    """Say what is not as it should be, but for how long it took."""
    wrong = [f"{part.name}: {part.failed} healthy requests failed" for part in felt if part.failed]
    wrong += [f"{part.name}: {part.resident / MIB:.0f} MiB" for part in felt if part.resident > GOAL_MIB * MIB]
    never = {kind: int(one["opened"] - one["ended"]) for kind, one in ended.items()}
    return [*wrong, *(f"{kind}: {count} never ended" for kind, count in never.items() if count), *left]


def judge_times(felt):
    """Say where healthy requests took longer than they should beside hostile connections."""
    beside = [part for part in felt if part.name.startswith("beside")]
    return [f"{part.name}: p99 {part.p99_ms:.0f} ms" for part in beside if part.p99_ms > GOAL_MS]


def main():
    """Flood as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m harness.flood", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--http", choices=("own", "hypercorn"), default="own")
    parser.add_argument("--rate", type=float, default=RATE)
    chosen = parser.parse_args()
    felt, ended, left, (before, after) = trio.run(flood, chosen.http, chosen.rate)
    wrong = [*judge(felt, ended, left), *judge_times(felt)]
    print(*report(chosen.http, chosen.rate, felt, ended, before, after), *(f"**{each}**" for each in wrong), sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
