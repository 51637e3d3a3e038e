"""A running daemon and an endpoint that must be asked first: no event before consent, over restarts and after 410."""

from contextlib import asynccontextmanager

import trio

from harness.daemon import running
from harness.senders import post, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.sink import Fault, open_sink

CONSENT = Fault(headers=(("WebHook-Allowed-Origin", "*"),))


class Endpoint:
    """Answers OPTIONS with `consent` and everything else with `fault`."""

    def __init__(self, sink):
        self.sink = sink
        self.consent = CONSENT
        self.fault = Fault()
        sink.choose = lambda arrival: self.consent if arrival.method == "OPTIONS" else self.fault

    @property
    def methods(self):
        return [arrival.method for arrival in self.sink.arrivals]


@asynccontextmanager
async def endpoint(home):
    async with open_sink() as sink:
        options = 'check = { origin = "hooks.acme.example" }\nretry = { delays = ["1s"], then = "1s", give_up = "1d" }'
        Settings(home, crm=sink.url, crm_options=options, file=False).write()
        yield Endpoint(sink)


async def send(daemon, order):
    assert (await post(daemon.port, truework(order, ORDERS_TOKEN))).status == 200


async def wait_shut(daemon):
    """Wait until nothing goes to the target; gives the gate that says why."""
    with trio.fail_after(20):
        while not (gates := (await daemon.target("crm"))["gates"]):
            await trio.sleep(0.05)
    (gate,) = gates
    return gate


async def test_events_wait_without_attempts_until_the_endpoint_says_that_it_wants_them(home):
    async with endpoint(home) as crm:
        crm.consent = Fault(404)
        async with running(home) as daemon:
            await send(daemon, "order-1")
            failed = (await daemon.wait_logged("attempt.failed"))[0]
            assert "endpoint check: HTTP 404 to OPTIONS" in failed["reason"]
            (waiting,) = await daemon.wait_pending("crm", 1)
            assert waiting["attempts"] == 0
            assert set(crm.methods) == {"OPTIONS"}
            crm.consent = CONSENT
            await daemon.cli("targets", "enable", "crm")
            await daemon.wait_settled()
            assert crm.methods[-2:] == ["OPTIONS", "POST"]
            assert await daemon.stop() == 0
        async with running(home) as daemon:
            await send(daemon, "order-2")
            await daemon.wait_settled()
            assert crm.methods[-2:] == ["POST", "POST"], "consent is remembered over a restart"
            await daemon.kill()
        async with running(home) as daemon:
            await send(daemon, "order-3")
            await daemon.wait_settled()
            assert crm.methods[-1] == "POST"
            assert crm.methods[-4:].count("OPTIONS") == 1, "over a crash too"


async def test_after_it_was_disabled_whoever_is_there_now_is_asked_before_it_gets_an_event(home):
    async with endpoint(home) as crm:
        async with running(home) as daemon:
            await send(daemon, "order-1")
            await daemon.wait_settled()
            crm.fault = Fault(410)
            await send(daemon, "order-2")
            await wait_shut(daemon)
            crm.fault, crm.consent = Fault(), Fault(404)  # somebody else has the address now
            before = len(crm.sink.arrivals)
            await daemon.cli("targets", "enable", "crm")
            await crm.sink.wait(lambda sink: len(sink.arrivals) > before, 30)
            await send(daemon, "order-3")
            assert "endpoint check" in (await wait_shut(daemon))["reason"]
            assert set(crm.methods[before:]) == {"OPTIONS"}
            assert await daemon.stop() == 0
        async with running(home) as daemon:
            crm.consent = CONSENT
            await daemon.cli("targets", "enable", "crm")
            await daemon.wait_settled()
            assert "POST" not in crm.methods[before : crm.methods.index("OPTIONS", before) + 1]
            assert len({arrival.webhook_id for arrival in crm.sink.taken if arrival.method == "POST"}) == 3
