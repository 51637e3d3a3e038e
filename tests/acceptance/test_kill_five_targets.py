"""P1 and P7 with every kind of target: kill -9 again and again while HTTP, mail, file, program and plugin deliver.

`HOOKGATE_KILL_FIVE_CYCLES` sets the least number of cycles (8 in CI, 60 and more for a release), `HOOKGATE_KILL_SEED`
repeats a run's moments. Each cycle brings a few new events only: a program is started for each of them.
"""

import itertools
import os
import random

import pytest
import trio

from harness.daemon import running
from harness.five import five_targets, until
from harness.killer import can_attach, draw, kill
from harness.lives import count_events, drain, let_back_off_pass, reserved_port
from harness.seeds import seed_of
from harness.senders import Client, truework
from harness.settings import ORDERS_TOKEN
from harness.sink import FINE, Fault
from harness.tq import Ledger

CYCLES = int(os.environ.get("HOOKGATE_KILL_FIVE_CYCLES", "8"))
SEED = seed_of("KILL")
SENDERS = 4
EVENTS = 10
"""New ones in each cycle."""
CALLS = {"fdatasync": 15, "pwrite64": 150, "fsync": 4, "sendto": 50}
"""System calls that this little load certainly makes in one cycle."""


async def send_within(budget, port, ledger, tag):
    """Send a distinct notification for each token of the budget, until cancelled; insist on each."""
    with Client(port) as client:
        for number in itertools.count():
            await budget.acquire()
            await client.insist(truework(f"{tag}-{number}", ORDERS_TOKEN), ledger)


async def kill_under_load(home, port, ledger, dice, plugin):
    """Live and die CYCLES times, then live until all is acknowledged; give where the kills struck.

    Half of the lives last at least until the plugin's worker is up, or no kill would ever catch it at work. So little
    load may be over before the call that was to be the last: then some more die, until enough died inside the store.
    """
    landings, budget = [], trio.Semaphore(0)
    async with trio.open_nursery() as load:
        for number in range(SENDERS):
            load.start_soon(send_within, budget, port, ledger, f"sender{number}")
        while len(landings) < 2 * CYCLES:
            inside = sum(landing.inside_store for landing in landings)
            if len(landings) >= CYCLES and 2 * inside >= CYCLES:
                break
            plan = draw(dice, aimed=2 * inside < len(landings) + 2, calls=CALLS)
            async with running(home, wait=not plan.starting) as daemon:
                before = len(plugin.got())
                for number in range(EVENTS):
                    if number == EVENTS // 2 and not plan.starting and dice.random() < 0.5:
                        await until(lambda known=before: len(plugin.got()) > known, 60)
                    budget.release()
                landings.append(await kill(daemon, plan, home.folder / "strace.out"))
        async with running(home) as daemon:
            await until(lambda: len(ledger.acknowledged) == len(landings) * EVENTS, 60)
            assert await daemon.stop() == 0
        load.cancel_scope.cancel()
    return landings


@pytest.mark.skipif(not can_attach(), reason="strace is not installed or may not attach: kills could not be aimed")
@pytest.mark.timeout(180 + 40 * CYCLES)
async def test_kill_9_loses_nothing_acknowledged_at_any_of_the_five_kinds_of_target(home, tell):
    dice, ledger, began = random.Random(SEED), Ledger(), trio.current_time()
    with reserved_port() as port:
        async with five_targets(home) as five:
            five["http"].sink.choose = lambda _: Fault(503) if dice.random() < 0.03 else FINE
            five.settings(home, port).write()
            landings = await kill_under_load(home, port, ledger, dice, five["plugin"])
            let_back_off_pass(home)
            async with running(home) as daemon:
                await drain(daemon, 60 + 5 * CYCLES)
                events = await count_events(daemon)
                assert await daemon.stop() == 0
            got = {name: kind.got() for name, kind in five.items()}
    accounts = {name: ledger.account(one.order for one in arrived) for name, arrived in got.items()}
    inside = sum(landing.inside_store for landing in landings)
    lines = [f"  {name}: {account}" for name, account in accounts.items()]
    tell(
        f"{len(landings)} kills (seed {SEED}), {inside} inside a commit or record, "
        f"{trio.current_time() - began:.0f} s\n" + "\n".join(lines)
    )
    assert all(account.holds for account in accounts.values())
    assert all(set(arrived) == set(got["http"]) for arrived in got.values()), "one event went out under two ids"
    assert events == len(set(got["http"])) == len(landings) * EVENTS
    assert inside * 2 >= CYCLES
