"""P8: over kills and reloads a target sees no more requests than there are attempts on record, and never two at once.

`HOOKGATE_ATTEMPT_KILLS` sets the number of kills (10 in CI, 300 for a release), `HOOKGATE_ATTEMPT_SEED` repeats a run's
choices.
"""

import os
import random
from collections import Counter
from contextlib import closing
from dataclasses import replace

import apsw
import pytest
import trio

from gateway.core.model import event_text
from harness.daemon import running
from harness.killer import can_attach, draw, kill
from harness.lives import drain, let_back_off_pass, reserved_port
from harness.planted import planted
from harness.seeds import seed_of
from harness.senders import send_steadily
from harness.settings import ORDERS_TOKEN, Settings
from harness.sink import FINE, Fault, open_sink
from harness.tq import Ledger

KILLS = int(os.environ.get("HOOKGATE_ATTEMPT_KILLS", "10"))
SEED = seed_of("ATTEMPT")
SENDERS = 6
OPTIONS = 'timeout = "1s"\nretry = {{ first = "1s", max = "2s", give_up = "1d" }}\nconcurrency = {concurrency}'
RECORDED = "SELECT event, count(*), sum(outcome = 6) FROM attempt GROUP BY event"
CLAIMED = "SELECT event, claims FROM delivery"

pytestmark = pytest.mark.skipif(
    not can_attach(), reason="strace is not installed or may not attach: kills could not be aimed"
)


def misbehave(dice):
    """Answer late, not at all, or badly, often enough that a kill and a reload meet all of it."""
    drawn = dice.random()
    if drawn < 0.03:
        return Fault(hang=True)
    return Fault(503) if drawn < 0.1 else Fault(delay=dice.choice([0.0, 0.02, 0.2])) if drawn < 0.8 else FINE


def recorded(database):
    """By event id: attempts on record, those of them that a dead process left, and claims."""
    with closing(apsw.Connection(str(database))) as connection:
        claims = {event_text(event): claims for event, claims in connection.execute(CLAIMED)}
        tries = {event_text(event): (count, dead) for event, count, dead in connection.execute(RECORDED)}
    return {name: (*tries.get(name, (0, 0)), claimed) for name, claimed in claims.items()}


async def lives(home, dice, kills, before=()):
    """Live and be killed under load, then settle everything; give the sink and what the store has on record."""
    with reserved_port() as port:
        async with open_sink() as sink:
            sink.choose = lambda _: misbehave(dice)

            def text():
                options = OPTIONS.format(concurrency=dice.randint(1, 16))
                return Settings(home, crm=sink.url, port=port, crm_options=options, file=False)

            text().write()
            stop, ledger = trio.Event(), Ledger()
            async with trio.open_nursery() as load:
                for number in range(SENDERS):
                    load.start_soon(send_steadily, port, ledger, ORDERS_TOKEN, stop, f"sender{number}")
                for _ in range(kills):
                    async with running(home, before=before) as daemon:
                        await trio.sleep(dice.uniform(0.0, 0.5))
                        if dice.random() < 0.5:
                            await daemon.reload(text().text())
                        await kill(daemon, replace(draw(dice), starting=False), home.folder / "strace.out", 1.5)
                stop.set()
                load.cancel_scope.cancel()
            sink.choose = None
            let_back_off_pass(home)
            async with running(home, before=before) as daemon:
                await drain(daemon)
                assert await daemon.stop() == 0
    return sink, recorded(home.database)


def judge(sink, found):
    """Tell what breaks the law."""
    seen = Counter(arrival.webhook_id for arrival in sink.arrivals)
    return [
        f"{name}: {count} requests, {found.get(name)} (attempts, of them interrupted, claims)"
        for name, count in seen.items()
        if name not in found or count > found[name][0] or found[name][0] > found[name][2]
    ] + [f"{name}: two at once" for name in sink.overlaps]


@pytest.mark.timeout(120 + 6 * KILLS)
async def test_P8_a_target_sees_no_more_than_the_attempts_on_record_and_never_two_at_once(home, tell):
    began = trio.current_time()
    sink, found = await lives(home, random.Random(SEED), KILLS)
    tries, interrupted = (sum(row[place] for row in found.values()) for place in (0, 1))
    tell(
        f"{KILLS} kills (seed {SEED}), {trio.current_time() - began:.0f} s: {len(found)} events, {len(sink.arrivals)} "
        f"requests seen, {tries} attempts on record, {interrupted} of them interrupted; "
        f"{len(sink.overlaps)} at the same time as another of the same delivery"
    )
    assert judge(sink, found) == []
    assert interrupted > KILLS // 2, "the kills interrupted nothing"
    assert tries - interrupted > len(found), "nothing was tried again"


async def test_a_daemon_that_sends_twice_what_it_records_once_is_found_out(home):
    """The harness itself: with this bug planted both laws must be seen broken."""
    sink, found = await lives(home, random.Random(SEED), 1, planted("twice"))
    told = judge(sink, found)
    assert any("requests" in line for line in told)
    assert any("two at once" in line for line in told)
