"""P2 and P18: a system call on the store's files fails, wherever in a run of 20 events; no answer was a lie.

`HOOKGATE_FAULT_RUNS` sets how many faults are tried (75 on each Python in CI; `all` is every Nth call with every
error, more than an hour), `HOOKGATE_FAULT_SEED` repeats a choice.
"""

import json
import os
import random
import time
from collections import Counter
from contextlib import suppress

import pytest
import trio

from harness.audit import open_and_look
from harness.daemon import DaemonDiedError, running
from harness.home import temporary_home
from harness.killer import is_installed
from harness.planted import planted
from harness.seeds import seed_of
from harness.senders import Client, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.sink import open_sink
from harness.syscall_faults import Fault, all_faults, draw, ended_at, most_calls, struck, under_strace
from harness.tq import Ledger

RUNS = os.environ.get("HOOKGATE_FAULT_RUNS", "75")
SEED = seed_of("FAULT")
AT_ONCE = 2
EVENTS = 20
EXIT_SECONDS = 5.0
pytestmark = pytest.mark.skipif(not is_installed(), reason="strace is not installed: nothing can be made to fail")


class Run:
    """One life of a daemon with one fault, and what the next start finds."""

    def __init__(self, fault):
        self.fault = fault
        self.ledger = Ledger()
        self.answers = Counter()
        self.code = None
        self.struck = []
        self.exit_seconds = 0.0
        self.wrong = []

    @property
    def broken(self):
        """The first failure of a commit, if there was one."""
        return next((each for each in self.struck if each.in_commit), None)

    async def live(self, home, before=()):
        trace = home.folder / "trace"
        async with open_sink() as sink:
            Settings(home, crm=sink.url, file=False).write()
            async with running(
                home, before=(*under_strace(home.state, trace, self.fault), *before), wait=False
            ) as daemon:
                try:
                    await daemon.wait_ready()
                    await self.send(daemon)
                    stopped = time.time()
                except DaemonDiedError:
                    stopped = None
                self.code = await daemon.stop()
                pid = daemon.pid
            with trio.fail_after(30):
                while (ended := ended_at(trace.read_text(), pid)) is None:
                    await trio.sleep(0.01)
            self.struck = struck(trace.read_text())
            self.most = most_calls(trace.read_text())
            if self.broken:
                self.exit_seconds = ended - self.broken.at
            taken = [json.loads(arrival.body)["data"]["order_id"] for arrival in sink.taken]
        found = await open_and_look(home.database)
        self.judge(taken, found, stopped)

    async def send(self, daemon):
        with Client(daemon.port) as client:
            for number in range(EVENTS):
                request = truework(f"o-{number}", ORDERS_TOKEN)
                self.ledger.attempted.add(request.name)
                try:
                    answer = await client.send(request)
                except OSError:
                    self.answers["closed"] += 1
                    if not daemon.running:
                        return
                    continue
                self.answers[answer.status] += 1
                if answer.status == 200:
                    self.ledger.acknowledged.add(request.name)
                elif answer.status != 503 or not int(answer.headers["retry-after"]):
                    self.wrong.append(f"answered {answer.status}")
        with trio.move_on_after(1), suppress(OSError):  # it may end just now
            await daemon.wait_settled()

    def judge(self, taken, found, stopped):
        stored, sent = self.ledger.account(list(found.orders)), self.ledger.account(taken)
        if stored.lost:
            self.wrong.append(f"acknowledged and not in the store: {sorted(stored.lost)}")
        if stored.unexpected or sent.unexpected:
            self.wrong.append(f"from nowhere: {stored.unexpected | sent.unexpected}")
        self.wrong += found.faults
        settled = {name for name, state in found.orders.items() if state == "delivered"}
        if settled - set(taken):
            self.wrong.append(f"delivered to nobody: {sorted(settled - set(taken))}")
        if self.broken and self.code == 0:
            self.wrong.append("ended with 0 after a commit failed")
        if self.broken and self.exit_seconds > EXIT_SECONDS and (stopped is None or self.broken.at < stopped):
            self.wrong.append(f"lived {self.exit_seconds:.1f} s after a commit failed")


async def one(fault, before=()):
    run = Run(fault)
    with temporary_home() as home:
        try:
            await run.live(home, before)
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - told with the fault that caused it
            run.wrong.append(repr(error))
    return run


@pytest.mark.timeout(36_000)
async def test_P2_P18_whatever_system_call_fails_no_answer_was_wrong_and_a_failed_commit_ends_the_process(tell):
    calm = await one(None)
    assert (calm.wrong, calm.code, calm.answers) == ([], 0, {200: EVENTS})
    dice, began = random.Random(SEED), trio.current_time()
    faults = all_faults(calm.most) if RUNS == "all" else draw(calm.most, int(RUNS), dice)
    runs, limiter = [], trio.CapacityLimiter(AT_ONCE)

    async def try_one(fault):
        async with limiter:
            run = await one(fault)
        runs.append(run)
        if run.wrong:
            tell(f"{fault}: {run.wrong}")  # at once: a release run goes on for an hour

    async with trio.open_nursery() as nursery:
        for fault in faults:
            nursery.start_soon(try_one, fault)
    hits = [run for run in runs if run.struck]
    broken = [run.exit_seconds for run in runs if run.broken]
    answers = sum((run.answers for run in runs), Counter())
    tell(
        f"{len(runs)} faults (seed {SEED}), {len(hits)} struck, {trio.current_time() - began:.0f} s; "
        f"answers {dict(answers)}; "
        f"{len(broken)} failed commits, the slowest end {max(broken, default=0):.2f} s after it"
    )
    assert {str(run.fault): run.wrong for run in runs if run.wrong} == {}
    assert len(hits) * 2 >= len(runs), "too few faults struck anything"
    assert broken


async def test_a_store_that_does_not_notice_a_failed_write_is_found_out():
    """The harness itself: with this bug planted it must see acknowledged events vanish."""
    run = await one(Fault("pwrite64", "EIO", 250, on=True), planted("careless"))
    assert any("acknowledged and not in the store" in wrong for wrong in run.wrong), run.wrong
