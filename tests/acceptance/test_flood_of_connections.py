"""P20: connections that keep a server waiting are ended at their deadlines, and nobody else is refused for them.

Small, and with short deadlines. `HOOKGATE_FLOOD=1` adds thousands of them, with the deadlines as they come.
"""

import os
import re

import pytest
import trio

from harness.daemon import running
from harness.flood import RATE, Felt, be_healthy, flood, hostile_peers, judge, report, settings, watch
from harness.senders import Client, post, truework
from harness.settings import ORDERS_TOKEN
from harness.vitals import METRICS, MIB, rest, wait_back

DEADLINES = 'header_timeout = "6s", body_timeout = "7s", send_timeout = "6s"'
"""Long enough for all to be there together, and to be counted, on a machine that is busy."""
LAST = {"heads": 6.0, "bodies": 7.0, "readers": 6.0}
LATE_SECONDS = 10.0
"""A machine that is busy with other things."""
COUNTS = {"heads": 150, "bodies": 150, "readers": 40}
CAP = 100
MADE_ROOM = ("connections", "gave_way", "idle_gave_way")


@pytest.mark.parametrize("http", ["own", "hypercorn"])
async def test_P20_hostile_connections_are_ended_at_their_deadlines_and_healthy_requests_are_answered(home, http, tell):
    settings(home, http, DEADLINES).write()
    async with running(home) as daemon, trio.open_nursery() as nursery:
        felt = [Felt("warm")]
        await be_healthy(daemon, felt, 1.5, 400, tag="warm")  # until the store has opened all that it opens in the end
        before = await rest(daemon)
        felt.append(Felt("beside them"))
        nursery.start_soon(watch, daemon, felt)
        async with hostile_peers(daemon.port, COUNTS) as wait_ended:
            await be_healthy(daemon, felt, 4)
            ended = await wait_ended()
        left = await wait_back(daemon, before, 20)
        nursery.cancel_scope.cancel()
        await daemon.wait_settled()
        assert await daemon.stop() == 0
    tell(f"{http}: {felt[-1]}\n  {ended}")
    assert left == []
    assert [part.failed for part in felt] == [0, 0]
    assert felt[-1].descriptors >= before.descriptors + sum(COUNTS.values()), "they were never there together"
    assert felt[-1].resident < 300 * MIB
    for kind, count in COUNTS.items():
        assert (ended[kind]["ended"], ended[kind]["refused"]) == (count, 0), (kind, ended)
        assert ended[kind]["last"] < LAST[kind] + LATE_SECONDS, (kind, ended)
    assert len(home.lines("audit.jsonl")) == sum(len(part.seconds) for part in felt)


async def listener_refused(daemon, reason):
    """How often the listener did for this reason, by its metric."""
    with Client(daemon.home.admin) as client:
        page = (await client.exchange(METRICS)).body.decode()
    found = re.search(rf'^hookgate_listener_refused_total{{reason="{reason}"}} (\S+)', page, re.MULTILINE)
    return float(found[1]) if found else 0


@pytest.mark.parametrize("http", ["own", "hypercorn"])
async def test_P20_past_the_cap_no_connection_costs_a_descriptor_for_long_and_all_are_served_afterwards(home, http):
    settings(home, http, f"{DEADLINES}, connections = {CAP}").write()
    async with running(home) as daemon, trio.open_nursery() as nursery:
        before = await rest(daemon)
        felt = [Felt("past the cap")]
        nursery.start_soon(watch, daemon, felt)
        async with hostile_peers(daemon.port, {"heads": 2 * CAP, "bodies": CAP}) as wait_ended:
            ended = await wait_ended()
        assert (await post(daemon.port, truework("after", ORDERS_TOKEN))).status == 200
        turned_away = sum([await listener_refused(daemon, reason) for reason in MADE_ROOM])
        left = await wait_back(daemon, before, 20)
        nursery.cancel_scope.cancel()
    assert left == []
    assert sum(each["ended"] for each in ended.values()) == 3 * CAP
    assert turned_away > CAP
    assert felt[-1].descriptors < before.descriptors + 2 * CAP, "those that are refused linger for half a second"


@pytest.mark.skipif("HOOKGATE_FLOOD" not in os.environ, reason="takes a minute and both cores: HOOKGATE_FLOOD=1")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("http", ["own", "hypercorn"])
async def test_P20_thousands_of_hostile_connections_are_ended_and_healthy_requests_are_answered(http, tell):
    felt, ended, left, levels = await flood(http)
    tell("\n".join(report(http, RATE, felt, ended, *levels)))
    assert judge(felt, ended, left) == []
