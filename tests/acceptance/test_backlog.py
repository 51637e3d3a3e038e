"""P12 in the small: a new event does not queue behind an old backlog, nor is the backlog starved by new ones."""

import json
import sys
from pathlib import Path

import pytest
import trio

from harness.daemon import running
from harness.senders import post, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.sink import Fault, open_sink

WAITING = 100_000
FILL = Path(__file__).parents[2] / "benchmarks" / "fill.py"


@pytest.mark.timeout(120)
async def test_a_new_event_is_delivered_within_a_second_while_100_000_old_ones_wait(home, tell):
    async with open_sink() as sink:
        Settings(home, crm=sink.url, file=False).write()
        await trio.run_process(
            [sys.executable, str(FILL), str(home.database), "--count", str(WAITING), "--target", "crm"]
        )
        sink.fault = Fault(delay=0.02)
        async with running(home) as daemon:
            await sink.wait(lambda sink: len(sink.arrivals) >= 100, 20)
            assert (await daemon.target("crm"))["pending"] > WAITING * 0.9
            took, overtaken = [], []
            for number in range(20):
                began, before = trio.current_time(), len(sink.arrivals)
                assert (await post(daemon.port, truework(f"new-{number}", ORDERS_TOKEN))).status == 200
                name = f'"new-{number}"'.encode()
                await sink.wait(
                    lambda sink, name=name, before=before: any(name in a.body for a in sink.arrivals[before:]), 10
                )
                took.append(trio.current_time() - began)
                overtaken.append(len(sink.arrivals) - before)
            waiting = (await daemon.target("crm"))["pending"]
            arrivals = [json.loads(arrival.body)["data"]["order_id"] for arrival in sink.arrivals]
            ready = daemon.ready_seconds
    tell(
        f"ready with {WAITING} waiting after {ready:.2f} s; a new event was delivered after "
        f"{1000 * sorted(took)[10]:.0f} ms (median), {1000 * max(took):.0f} ms (slowest of 20), "
        f"behind at most {max(overtaken)} others, while {waiting} waited"
    )
    assert waiting > WAITING * 0.8, "the backlog was gone before the claim was tested"
    assert max(took) <= 1.0
    assert max(overtaken) < 200
    old = [name for name in arrivals if not name.startswith("new-")]
    assert len(old) > 20, "the backlog was starved"
