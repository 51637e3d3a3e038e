"""`expires` against the real process: what is of no use any more is never sent, wherever it waited, and says why."""

import pytest

from harness.daemon import running
from harness.senders import Client, post, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.sink import Fault, open_sink


@pytest.mark.timeout(90)
async def test_what_expired_behind_a_gate_between_tries_or_while_stopped_is_cancelled_untried_and_tells_why(home):
    async with open_sink() as sink:
        settings = Settings(home, crm=sink.url, crm_options='retry = { delays = ["1h"], expires = "4s" }')
        settings.write()
        sink.fault = Fault(status=500)
        async with running(home) as daemon:
            await post(daemon.port, truework("tried", ORDERS_TOKEN))
            await sink.wait(lambda sink: len(sink.arrivals) >= 1, 30)
            await daemon.cli("targets", "hold", "crm")
            await post(daemon.port, truework("held", ORDERS_TOKEN))
            told = await daemon.wait_logged("deliveries.expired", 1, 20)
            await daemon.wait_settled(20, "crm")
            cancelled = (await daemon.cli("deliveries", "list", "--state", "cancelled"))["deliveries"]
            assert len(cancelled) == 2
            assert all(
                one["last_reason"].startswith("expired: its target's policy gave it until 20") for one in cancelled
            )
            assert {one["target"] for one in told} == {"crm"}
            assert (await daemon.target("crm"))["pending"] == 0
            with Client(home.admin) as client:
                page = await client.exchange(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b'hookgate_deliveries_settled_total{state="cancelled",target="crm"} 2.0' in page.body
            await post(daemon.port, truework("stopped", ORDERS_TOKEN))
        sink.fault = Fault()
        settings.crm_options = 'retry = "default"'
        settings.write()
        async with running(home) as daemon:
            await daemon.wait_settled(20, "crm")
            await daemon.cli("targets", "release", "crm")
            await post(daemon.port, truework("fresh", ORDERS_TOKEN))
            await sink.wait(lambda sink: any(b'"fresh"' in one.body for one in sink.arrivals), 30)
            await daemon.wait_settled(20)
        bodies = [arrival.body for arrival in sink.arrivals]
    assert len(bodies) == 2, "one try before the gate was closed, and the fresh one"
    assert not any(b'"held"' in body or b'"stopped"' in body for body in bodies)
