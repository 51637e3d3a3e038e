"""A dead target, one that never answers and one that answers a byte a second, beside a healthy one (promise P12)."""

import trio

from harness.daemon import running
from harness.senders import Client, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.sink import Fault, open_sink

BAD = """
[targets.dead]
type = "http"
url = "http://127.0.0.1:9/"

[targets.hole]
type = "http"
url = "{hole}"

[targets.drip]
type = "http"
url = "{drip}"
"""
COUNT = 200
LATE_SECONDS = 10.0
"""A third of what each try at a bad target takes; what is typical is for benchmarks/outage.py to say."""


async def test_P12_a_dead_a_silent_and_a_dripping_target_keep_a_healthy_one_waiting_for_nothing(home):
    async with open_sink() as sink, open_sink() as hole, open_sink() as drip:
        hole.fault, drip.fault = Fault(hang=True), Fault(pause=1.0)
        settings = Settings(home, crm=sink.url, more=BAD.format(hole=hole.url, drip=drip.url))
        settings.orders_targets = ["dead", "hole", "drip", "crm"]
        settings.write()
        sent: list[float] = []
        async with running(home) as daemon:
            with Client(daemon.port) as client:
                for number in range(COUNT):
                    answer = await client.send(truework(f"order-{number}", ORDERS_TOKEN))
                    sent.append(trio.current_time())
                    assert answer.status == 200
            await daemon.wait_settled(target="crm", seconds=LATE_SECONDS)
            with trio.fail_after(30):
                while [gate["kind"] for gate in (await daemon.target("dead"))["gates"]] != ["breaker"]:
                    await trio.sleep(0.05)
            for name in ("hole", "drip"):
                waiting = await daemon.target(name)
                assert waiting["pending"] + waiting["in_flight"] == COUNT
            await daemon.kill()
    assert len({arrival.webhook_id for arrival in sink.taken}) == COUNT
    arrivals = sorted(arrival.at for arrival in sink.taken)
    assert max(at - since for at, since in zip(arrivals, sent, strict=True)) < LATE_SECONDS
