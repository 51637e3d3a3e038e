"""P2, P18, F3: a write takes only a part, or a part and then fails, at the store and at file targets: nothing is lost.

`HOOKGATE_SHORT_RUNS` sets how many are tried (28 in CI: each place in each way), `HOOKGATE_SHORT_SEED` repeats a
choice.
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
from harness.planted import planted
from harness.seeds import seed_of
from harness.senders import Client, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.short_writes import PARTS, Strike, draw, is_possible, library, struck, under
from harness.tq import Ledger

RUNS = int(os.environ.get("HOOKGATE_SHORT_RUNS", "28"))
SEED = seed_of("SHORT")
EVENTS = 20
EXIT_SECONDS = 5.0
EACH = """
[targets.each]
type = "file"
folder = "{home}/files/each"
"""
pytestmark = pytest.mark.skipif(not is_possible(), reason="no gcc or no glibc: nothing can be put before libc")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    return library(tmp_path_factory.mktemp("library"))


class Run:
    """One life of a daemon under one strike, and what the next start finds."""

    def __init__(self, strike):
        self.strike = strike
        self.ledger = Ledger()
        self.answers = Counter()
        self.struck = []
        self.exit_seconds = 0.0
        self.wrong = []

    async def live(self, home, compiled, before):
        Settings(home, more=EACH.format(home=home.folder), orders_targets=["audit", "each"]).write()
        async with running(home, under(self.strike, home.folder, compiled), before, wait=False) as daemon:
            with suppress(DaemonDiedError):
                await daemon.wait_ready()
                await self.send(daemon)
            died = not daemon.running
            code, ended = await daemon.stop(), time.time()
        self.struck = struck(home.folder)
        self.judge_end(code, died, ended)
        self.judge_files(home, await open_and_look(home.database, deliveries=2))

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

    def judge_end(self, code, died, ended):
        """A part alone is nothing; a commit that failed but for want of room ends the process, soon and not with 0."""
        if self.strike.how in PARTS and (died or code or self.answers != {200: EVENTS}):
            self.wrong.append(f"troubled by a part: exit {code}, {dict(self.answers)}")
        broken = [one.at for one in self.struck if one.given < 0 and "hookgate.db" in one.path]
        if broken and self.strike.how.endswith("EDQUOT") and not self.strike.place.endswith("tail"):
            self.exit_seconds = ended - broken[0]
            if code == 0:
                self.wrong.append("ended with 0 after a commit failed")
            if self.exit_seconds > EXIT_SECONDS:
                self.wrong.append(f"lived {self.exit_seconds:.1f} s after a commit failed")

    def judge_files(self, home, found):
        """What was acknowledged is stored, what counts as delivered is there whole, and nothing torn passes for it."""
        stored = self.ledger.account(list(found.orders))
        if not stored.holds:
            self.wrong.append(f"in the store: {stored}")
        self.wrong += found.faults
        written = (home.files / "audit.jsonl").read_bytes() if (home.files / "audit.jsonl").exists() else b""
        if written and not written.endswith(b"\n"):
            self.wrong.append("the file ends with a torn line")
        self.compare("audit", found, written.splitlines())
        self.compare("each", found, [path.read_bytes() for path in home.files.glob("each/*")])

    def compare(self, target, found, documents):
        whole = set()
        for document in documents:
            try:
                whole.add(json.loads(document)["payload"]["data"]["order_id"])
            except ValueError:
                self.wrong.append(f"{target} holds a torn document of {len(document)} bytes")
        if missing := found.delivered.get(target, set()) - whole:
            self.wrong.append(f"{target} counts as delivered and does not have {sorted(missing)}")
        if strange := whole - set(found.orders):
            self.wrong.append(f"{target} has from nowhere {sorted(strange)}")


async def one(strike, compiled, before=()):
    run = Run(strike)
    with temporary_home() as home:
        try:
            await run.live(home, compiled, before)
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - told with the strike that caused it
            run.wrong.append(repr(error))
    return run


@pytest.mark.timeout(36_000)
async def test_P2_P18_F3_whatever_write_takes_only_a_part_nothing_is_lost_torn_or_wrongly_acknowledged(compiled, tell):
    began = trio.current_time()
    runs = [await one(strike, compiled) for strike in draw(RUNS, random.Random(SEED))]
    hits = [run for run in runs if run.struck]
    slowest = max((run.exit_seconds for run in runs), default=0.0)
    tell(
        f"{len(runs)} ways of writing a part (seed {SEED}), {len(hits)} struck, {sum(len(run.struck) for run in runs)} "
        f"writes, {trio.current_time() - began:.0f} s; answers {dict(sum((run.answers for run in runs), Counter()))}; "
        f"slowest end {slowest:.2f} s after a failed commit"
    )
    assert {str(run.strike): run.wrong for run in runs if run.wrong} == {}
    assert len(hits) * 2 >= len(runs), "too few struck anything"


@pytest.mark.parametrize(
    ("place", "nth", "told"), [("state/hookgate.db", 150, "in the store: "), ("files/audit.jsonl", 3, "torn")]
)
async def test_a_daemon_that_takes_a_part_for_the_whole_is_found_out(place, nth, told, compiled):
    """The harness itself: with this bug planted it must see acknowledged events vanish, and torn lines."""
    run = await one(Strike(place, "half", nth, every=1), compiled, planted("hasty"))
    assert any(told in wrong for wrong in run.wrong), run.wrong
