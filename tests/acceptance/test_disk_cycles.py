"""P19: a disk that is filled and freed again and again, at random points, with kills and stops in between.

`HOOKGATE_DISK_CYCLES` sets the number of cycles of each kind of disk (10 in CI, 250 for a release),
`HOOKGATE_DISK_SEED` repeats a run's choices.
"""

import json
import os
import random
import shutil
import sys
from contextlib import closing, suppress
from itertools import count

import apsw
import pytest
import trio

from harness import lives
from harness.daemon import DaemonDiedError, running
from harness.lives import count_events, drain, reserved_port
from harness.seeds import seed_of
from harness.senders import Client, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.sink import FINE, Fault, open_sink
from harness.small_disk import fill, kept_disk, mounts_work
from harness.tq import Ledger

CYCLES = int(os.environ.get("HOOKGATE_DISK_CYCLES", "10"))
SEED = seed_of("DISK")
LOW_WATER = 1 << 20
SIZE = f"{64 + CYCLES // 2}m"
"""Room for what the events of all cycles take."""
SENDERS = 3
BACK_SECONDS = 60.0


class Cycles:
    """Many lives of one daemon on one disk, under load."""

    def __init__(self, home, disk, port, dice):
        self.home, self.disk, self.port, self.dice = home, disk, port, dice
        self.ledger, self.numbers = Ledger(), count()
        self.wrong, self.back = [], []
        self.refused = self.kills = self.stops = self.not_started = 0

    async def send(self, client):
        """Send one new event; give the status, 0 if there was no answer. A provider repeats it: so do we, once."""
        request = truework(f"o-{next(self.numbers)}", ORDERS_TOKEN)
        self.ledger.attempted.add(request.name)
        status = 0
        for _ in range(2):
            with suppress(OSError):
                status = (await client.send(request)).status
                if status == 200:
                    self.ledger.acknowledged.add(request.name)
                    break
                self.refused += 1
                if status != 503:
                    self.wrong.append(f"answered {status}")
        return status

    async def load(self):
        with Client(self.port) as client:
            while True:
                await self.send(client)
                await trio.sleep(self.dice.uniform(0.0, 0.1))

    async def until(self, status, seconds):
        """Send until an answer is `status`, or no life is there to answer."""
        with trio.fail_after(seconds), Client(self.port) as client:
            while (answered := await self.send(client)) != status and (answered or status == 200):
                await trio.sleep(0.02)

    async def live(self, *, filler):
        """One life; gives the file that fills the disk when it ends. It begins on a full disk if `filler` is there."""
        async with running(self.home, before=self.disk.before, wait=False) as daemon:
            try:
                await daemon.wait_ready()
            except DaemonDiedError:
                if filler is None:
                    raise
                self.not_started += 1
                filler.unlink()
                return None
            while True:
                if filler is not None:
                    filler.unlink()
                    freed = trio.current_time()
                    await self.until(200, BACK_SECONDS)
                    self.back.append(trio.current_time() - freed)
                if self.is_done:
                    assert await daemon.stop() == 0
                    return None
                await trio.sleep(self.dice.uniform(0.0, 0.4))
                filler = fill(
                    self.disk.folder, self.dice.choice([0, 0, LOW_WATER // 2, self.dice.randrange(LOW_WATER)])
                )
                if self.dice.random() < 0.7:
                    await self.until(503, 30)
                await trio.sleep(self.dice.uniform(0.0, 0.2))
                if self.dice.random() < 0.4:
                    await self.end(daemon)
                    return filler

    @property
    def is_done(self):
        return len(self.back) >= CYCLES

    async def end(self, daemon):
        if self.dice.random() < 0.7:
            self.kills += 1
            await daemon.kill()
        else:
            self.stops += 1
            if (code := await daemon.stop()) != 0:
                self.wrong.append(f"a stop on a full disk ended with {code}")
        if told := self.corruption():
            self.wrong.append(told)

    def corruption(self):
        """Look at a copy of the store, as the next start would find it."""
        copy = self.home.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for part in self.disk.folder.glob("hookgate.db*"):
            shutil.copy(part, copy)
        with closing(apsw.Connection(str(copy / "hookgate.db"))) as connection:
            told = connection.pragma("integrity_check")
        return "" if told == "ok" else told


@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
@pytest.mark.timeout(120 + 10 * CYCLES)
async def test_P19_a_disk_filled_and_freed_again_and_again_corrupts_and_loses_nothing(kind, home, tell):
    if not mounts_work(kind):
        pytest.skip(f"no {kind} can be mounted here (needs root and mount namespaces)")
    dice, began = random.Random(f"{SEED} {kind}"), trio.current_time()
    with reserved_port() as port, kept_disk(home.state, SIZE, kind) as disk:
        async with open_sink() as sink:
            sink.choose = lambda _: Fault(503) if dice.random() < 0.03 else FINE
            Settings(
                home, crm=sink.url, port=port, crm_options='retry = { first = "1s", give_up = "1d" }', file=False
            ).write()
            cycles, filler = Cycles(home, disk, port, dice), None
            async with trio.open_nursery() as load:
                for _ in range(SENDERS):
                    load.start_soon(cycles.load)
                while not cycles.is_done:
                    filler = await cycles.live(filler=filler)
                load.cancel_scope.cancel()
            await trio.run_process([*disk.before, sys.executable, lives.__file__, str(home.database)])
            async with running(home, before=disk.before) as daemon:
                await drain(daemon)
                events = await count_events(daemon)
                assert await daemon.stop() == 0
            corrupt = cycles.corruption()
            orders = {json.loads(arrival.body)["data"]["order_id"]: arrival.webhook_id for arrival in sink.taken}
    account = cycles.ledger.account([json.loads(arrival.body)["data"]["order_id"] for arrival in sink.taken])
    tell(
        f"{kind}: filled and freed {CYCLES} times (seed {SEED}), {cycles.kills} kills and {cycles.stops} stops while "
        f"full, {cycles.not_started} starts given up for want of room, {trio.current_time() - began:.0f} s; accepting "
        f"again after at most {max(cycles.back):.2f} s; {cycles.refused} refused; {account}"
    )
    assert (cycles.wrong, corrupt) == ([], "")
    assert account.holds, account
    assert events == account.delivered == len(orders)
    assert max(cycles.back) <= BACK_SECONDS
    assert cycles.refused > CYCLES // 3, "the disk was hardly ever full"
