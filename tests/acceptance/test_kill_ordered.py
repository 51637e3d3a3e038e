"""P9: kill -9 under load on an ordered target: of each key one after the other, in order of acceptance, none lost.

`HOOKGATE_KILL_CYCLES` sets the number of cycles (a quarter of it here), `HOOKGATE_KILL_SEED` repeats a run's moments.
"""

import itertools
import json
import os
import random

import pytest
import trio

from harness.daemon import running
from harness.killer import can_attach, draw, kill
from harness.lives import drain, let_back_off_pass, reserved_port
from harness.seeds import seed_of
from harness.senders import Client, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.sink import FINE, Fault, open_sink
from harness.tq import Ledger
from harness.turns import Seen, inversions

CYCLES = max(4, int(os.environ.get("HOOKGATE_KILL_CYCLES", "60")) // 4)
SEED = seed_of("KILL")
KEYS = 8
SENDERS = 12
OPTIONS = """
retry = { first = "1s", max = "2s", factor = 1.5, give_up = "1d", jitter = 0.1 }
order_by = "body.data.metadata.customer"
"""


async def send_for_customers(port, ledger, stop, tag, dice):
    """Send distinct notifications, each for one of a few customers, until `stop`."""
    with Client(port) as client:
        for number in itertools.count():
            if stop.is_set():
                return
            metadata = {"customer": f"customer{dice.randrange(KEYS)}"}
            await client.insist(truework(f"{tag}-{number}", ORDERS_TOKEN, metadata=metadata), ledger)
            await trio.sleep(0.02)


@pytest.mark.skipif(not can_attach(), reason="strace is not installed or may not attach: kills could not be aimed")
@pytest.mark.timeout(120 + 8 * CYCLES)
async def test_P9_kill_9_at_any_moment_changes_no_order_and_loses_nothing(home, tell):
    dice, ledger, landings = random.Random(SEED), Ledger(), []
    with reserved_port() as port:
        async with open_sink() as sink:
            sink.choose = lambda _: Fault(503) if dice.random() < 0.03 else FINE
            Settings(home, crm=sink.url, port=port, crm_options=OPTIONS, file=False).write()
            stop = trio.Event()
            async with trio.open_nursery() as load:
                for number in range(SENDERS):
                    load.start_soon(send_for_customers, port, ledger, stop, f"sender{number}", dice)
                for _ in range(CYCLES):
                    inside = sum(landing.inside_store for landing in landings)
                    plan = draw(dice, aimed=2 * inside < len(landings) + 4)
                    async with running(home, wait=not plan.starting) as daemon:
                        landings.append(await kill(daemon, plan, home.folder / "strace.out"))
                    let_back_off_pass(home)
                async with running(home) as daemon:
                    stop.set()
                    while load.child_tasks:  # whoever still insists needs somebody to answer
                        await trio.sleep(0.05)
                    assert await daemon.stop() == 0
            let_back_off_pass(home)
            sink.choose = None
            async with running(home) as daemon:
                await drain(daemon, 120)
                assert await daemon.stop() == 0
            bodies = [json.loads(arrival.body)["data"] for arrival in sink.arrivals]
            arrivals = [
                Seen(body["metadata"]["customer"], arrival.webhook_id, arrival.fault == FINE)
                for body, arrival in zip(bodies, sink.arrivals, strict=True)
            ]
            orders = [body["order_id"] for body, seen in zip(bodies, arrivals, strict=True) if seen.taken]
    account = ledger.account(orders)
    tell(f"{CYCLES} kills (seed {SEED}): {account}")
    assert inversions(arrivals) == []
    assert account.holds, account
    assert account.acknowledged > 5 * CYCLES, "too little load to prove anything"
    assert len({seen.key for seen in arrivals}) == KEYS
