"""P28: each part of the real daemon is broken in turn; readiness or the metrics tell within 30 s."""

from contextlib import AsyncExitStack

import pytest
import trio
from test_stuck_peers import may_mount

from harness.daemon import running
from harness.planted import planted
from harness.senders import Client, post, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.sink import Fault, open_sink
from harness.stuck import Resolver, open_peers

TELL_SECONDS = 30.0


async def until_not_ready(daemon, reason):
    """Wait until /ready is 503 for `reason`; give the seconds that took."""
    began = trio.current_time()
    with trio.fail_after(TELL_SECONDS), Client(daemon.home.admin) as client:
        while True:
            answer = await client.exchange(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
            if answer.status == 503 and reason in answer.body.decode():
                return trio.current_time() - began
            await trio.sleep(0.1)


@pytest.mark.parametrize(
    ("bug", "reason", "answered"),
    [
        ("stuck", "the last durable commit was", 503),
        ("blind", "deliveries to crm have been due for", 200),
    ],
    ids=["the writer is stuck", "nobody looks at what is due"],
)
async def test_P28_a_part_that_is_stuck_is_told_by_readiness_within_30_seconds(bug, reason, answered, home, tell):
    async with open_sink() as sink:
        Settings(home, crm=sink.url, file=False).write()
        async with running(home, before=planted(bug)) as daemon:
            await daemon.ask("/ready")
            await trio.sleep(1)
            # What finds no room in memory, as nothing is answered, waits in the store: there it must be looked at.
            sink.fault = Fault(until=trio.Event())
            async with trio.open_nursery() as senders:
                for number in range(100):
                    senders.start_soon(post, daemon.port, truework(f"order-{number}", ORDERS_TOKEN))
            sink.fault.until.set()
            took = await until_not_ready(daemon, reason)
            assert (await post(daemon.port, truework("after", ORDERS_TOKEN))).status == answered
            assert reason in (await daemon.ask("/status"))["not_ready"][0]
            await daemon.kill()
    tell(f"{bug}: told after {took:.1f} s")


@pytest.mark.skipif(not may_mount(), reason="needs root and mount namespaces")
async def test_P28_name_servers_that_hang_are_told_within_30_seconds(home, tell):
    async with AsyncExitStack() as stack:
        (resolver,) = await open_peers([Resolver], home, stack, None)
        Settings(home, more=resolver.tables, orders_targets=["named"]).write()
        async with running(home, before=resolver.before) as daemon:
            assert (await post(daemon.port, truework("order", ORDERS_TOKEN))).status == 200
            began = trio.current_time()
            with trio.fail_after(TELL_SECONDS):
                while not (status := await daemon.target("named"))["last_error"]:
                    await trio.sleep(0.1)
            took = trio.current_time() - began
            with Client(home.admin) as client:
                metrics = (await client.exchange(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")).body.decode()
            await daemon.kill()
    assert "crm.hung.example" in status["last_error"]
    (tried,) = [line for line in metrics.splitlines() if line.startswith('hookgate_attempts_total{outcome="')]
    assert tried.endswith(" 1.0")
    tell(f"name servers that hang: told after {took:.1f} s: {status['last_error']}")
