"""Runs the real daemon for as long as wanted under everything that it meets in a life, and looks at what it takes.

`python -m harness.soak --minutes 120` prints a report: slope of the memory, descriptors, threads and tasks over time,
and the account of every target. Retention is as brief as five minutes, so that the store reaches a steady state soon.
It ends with 1 if something was lost, or grows. A look is logged every ten seconds, to standard error.
"""

import argparse
import logging
import sys
from contextlib import asynccontextmanager
from functools import partial

import trio

from harness.daemon import running
from harness.home import temporary_home
from harness.planted import planted
from harness.soak_load import Load
from harness.soak_world import soak_world
from harness.turns import inversions
from harness.vitals import MIB, look, per_hour, wait_back

LOOK_SECONDS = 10.0
DRAIN_SECONDS = 300.0
TRIES = 3
PATIENCE_SECONDS = 20.0
"""For what goes late: threads that wait for more work go after ten seconds."""
GROWTH_MIB = 1.0
"""The most that memory may grow in an hour."""
COUNT_GROWTH = 5.0
"""The most that descriptors, threads and tasks may grow in an hour, by the fitted line: they go up and down."""


WATCHED = (
    ("resident", MIB, GROWTH_MIB),
    ("anonymous", MIB, GROWTH_MIB),
    ("children", MIB, None),
    ("descriptors", 1, COUNT_GROWTH),
    ("threads", 1, COUNT_GROWTH),
    ("tasks", 1, COUNT_GROWTH),
    ("store", MIB, None),
    ("log", MIB, None),
)
"""What is shown, its unit, and the most that it may grow in an hour."""


@asynccontextmanager
async def soaking(home, seed=1, bugs=("brief",)):
    """Run daemon and targets for the length of a block; gives the world and the daemon."""
    async with soak_world(home, seed) as world:
        home.write_config(world.text())
        async with running(home, before=planted(*bugs)) as daemon:
            yield world, daemon


@asynccontextmanager
async def under_load(world, daemon, *, rate, hurry=1.0):
    """Load the daemon for the length of a block with all there is, chores `hurry` times as often; gives the load."""
    load = Load(world, daemon)
    chores = (
        (world.fail_in_turn, 20),
        (load.be_hostile, 2),
        (load.reload, 180),
        (load.replay, 120),
        (load.kill_workers, 150),
        (load.ask, 10),
    )
    async with trio.open_nursery() as nursery:
        for chore, seconds in chores:
            nursery.start_soon(chore, seconds / hurry)
        async with trio.open_nursery() as senders:
            senders.start_soon(load.send, rate)
            yield load
            load.stop.set()
        nursery.cancel_scope.cancel()


async def settle(world, daemon):
    """Mend what fails, open what was closed for it, and wait until everything that can be delivered is."""
    world.mend()
    for target in ("failing", "ordered", "plugin"):
        await daemon.ask(f"/targets/{target}/enable", {})
    for target in ("http", "file", "plugin", "email", "shell", "failing", "ordered"):
        await daemon.wait_settled(DRAIN_SECONDS, target)


async def stand_still(world, daemon):
    """Wait until everything is delivered, and have the targets give back what they keep between deliveries."""
    await settle(world, daemon)
    for target in ("alerts", "identity"):
        await daemon.wait_settled(DRAIN_SECONDS, target)
    await daemon.reload(world.text(fresh=True), seconds=60)


async def left_behind(world, daemon, before):
    """Say what there is more of than before; empty if it goes with time.

    A warning that is told late may open a file anew: what is left must be left each time that all stands still.
    """
    left = []
    for _ in range(TRIES):
        await stand_still(world, daemon)
        left = await wait_back(daemon, before, PATIENCE_SECONDS)
        if not left:
            break
    return left


async def soak(minutes, rate, hurry):
    """Soak; give the looks, the accounts, what was done, and what came out of turn."""
    series = []
    with temporary_home() as home:
        async with soaking(home) as (world, daemon):
            began = trio.current_time()
            async with under_load(world, daemon, rate=rate, hurry=hurry) as load:
                while trio.current_time() < began + 60 * minutes:
                    await trio.sleep(LOOK_SECONDS)
                    series.append(await look(daemon, began))
                    sys.stderr.write(f"{series[-1]}\n")
            await settle(world, daemon)
            if await daemon.stop() != 0:
                raise AssertionError(f"the daemon did not end well:\n{daemon.tail()}")
        return series, world.accounts(), load.did, inversions(seen for seen, _ in world.ordered.arrivals)


def report(series, accounts, did, out_of_turn):
    """Write the report; give its lines, and what is wrong."""
    lines = [
        f"{series[-1].seconds / 60:.0f} minutes; {', '.join(f'{count} {what}' for what, count in did.items())}",
        "",
        "| what | first | last | lowest | highest | per hour (last two thirds) |",
        "|---|---|---|---|---|---|",
    ]
    wrong = []
    for name, unit, growth in WATCHED:
        values = [getattr(each, name) / unit for each in series]
        slope = per_hour(series, name) / unit
        shown = " | ".join(f"{value:.1f}" for value in (values[0], values[-1], min(values), max(values)))
        lines.append(f"| {name}{' MiB' if unit == MIB else ''} | {shown} | {slope:+.2f} |")
        if growth is not None and slope > growth:
            wrong.append(f"{name} grows by {slope:.2f} an hour")
    lines += ["", f"CPU {series[-1].cpu / series[-1].seconds:.0%} of a core"]
    for name, account in accounts.items():
        lines.append(f"- {name}: {account}")
        wrong += [] if account.holds else [f"{name}: {account}"]
    return lines, wrong + out_of_turn[:5]


def main():
    """Soak for as long as asked."""
    parser = argparse.ArgumentParser(prog="python -m harness.soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--rate", type=float, default=25, help="orders a second")
    parser.add_argument("--hurry", type=float, default=1.0, help="how many times as often everything else happens")
    chosen = parser.parse_args()
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # the mail server warns of itself at each login
    lines, wrong = report(*trio.run(partial(soak, chosen.minutes, chosen.rate, chosen.hurry)))
    print(*lines, sep="\n")
    print(*(f"**{each}**" for each in wrong), sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
