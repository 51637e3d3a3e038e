"""P1 and P7: kill -9 under load, again and again, at least half of the time inside a commit; then count.

`HOOKGATE_KILL_CYCLES` sets the number of cycles (60 in CI, 200 for a release), `HOOKGATE_KILL_SEED` repeats a run's
moments.
"""

import json
import os
import random

import pytest
import trio

from harness.daemon import running
from harness.killer import can_attach, draw, kill
from harness.lives import count_events, drain, let_back_off_pass, reserved_port
from harness.seeds import seed_of
from harness.senders import send_steadily
from harness.settings import ORDERS_TOKEN, Settings
from harness.sink import FINE, Fault, open_sink
from harness.tq import Ledger

CYCLES = int(os.environ.get("HOOKGATE_KILL_CYCLES", "60"))
SEED = seed_of("KILL")
SENDERS = 12


def _order(document):
    return document["data"]["order_id"]


def _in_file(home):
    return [_order(line["payload"]) for line in home.lines("audit.jsonl", after_kill=True)]


@pytest.mark.skipif(not can_attach(), reason="strace is not installed or may not attach: kills could not be aimed")
@pytest.mark.timeout(60 + 5 * CYCLES)
async def test_kill_9_at_any_moment_loses_nothing_acknowledged_and_delivers_nothing_unaccepted(home, tell):
    dice, ledger, landings, readies = random.Random(SEED), Ledger(), [], []
    began = trio.current_time()
    with reserved_port() as port:
        async with open_sink() as sink:
            sink.choose = lambda _: Fault(503) if dice.random() < 0.03 else FINE
            settings = Settings(
                home,
                crm=sink.url,
                port=port,
                crm_options='retry = { first = "1s", max = "2s", factor = 1.5, give_up = "1d", jitter = 0.1 }',
            )
            settings.write()
            stop = trio.Event()
            async with trio.open_nursery() as load:
                for number in range(SENDERS):
                    load.start_soon(send_steadily, port, ledger, ORDERS_TOKEN, stop, f"sender{number}")
                for _ in range(CYCLES):
                    inside = sum(landing.inside_store for landing in landings)
                    plan = draw(dice, aimed=2 * inside < len(landings) + 10)
                    async with running(home, wait=not plan.starting) as daemon:
                        readies.append(daemon.ready_seconds)
                        landings.append(await kill(daemon, plan, home.folder / "strace.out"))
                async with running(home) as daemon:
                    stop.set()
                    assert await daemon.stop() == 0
                let_back_off_pass(home)
                async with running(home) as daemon:
                    await drain(daemon)
                    events = await count_events(daemon)
                    assert await daemon.stop() == 0
            sink_orders = [(_order(json.loads(arrival.body)), arrival.webhook_id) for arrival in sink.taken]
    over_http = ledger.account(order for order, _ in sink_orders)
    in_file = ledger.account(_in_file(home))
    inside = sum(landing.inside_store for landing in landings)
    tell(
        f"{CYCLES} kills (seed {SEED}), {inside} inside a commit or record, {trio.current_time() - began:.0f} s, "
        f"slowest start {max(readies):.2f} s\n  http: {over_http}\n  file: {in_file}"
    )
    assert over_http.holds, over_http
    assert in_file.holds, in_file
    assert inside * 2 >= CYCLES
    assert over_http.acknowledged > 10 * CYCLES, "too little load to prove anything"
    assert len(set(sink_orders)) == over_http.delivered, "one event went out under two ids"
    assert events == over_http.delivered == in_file.delivered
