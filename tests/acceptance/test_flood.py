"""S15: a flood of bad signatures costs its senders a 401 each, the log a few lines a second, nobody else anything."""

import trio

from harness.daemon import running
from harness.senders import Client, post, truework
from harness.settings import ORDERS_TOKEN, Settings

FLOOD_SECONDS = 3.0
FLOODERS = 8
BAD_PER_SECOND = 100_000 / 60


async def test_S15_a_flood_of_bad_signatures_is_counted_sampled_in_the_log_and_harms_nobody(home, tell):
    Settings(home).write()
    async with running(home) as daemon:
        bad, latencies, statuses = [], [], set()

        async def flood(number):
            with Client(daemon.port) as client:
                while trio.current_time() < end:
                    bad.append((await client.send(truework(f"bad-{number}", "wrong"))).status)
                    await trio.sleep(FLOODERS / BAD_PER_SECOND / 2)

        end = trio.current_time() + FLOOD_SECONDS
        async with trio.open_nursery() as flooders:
            for number in range(FLOODERS):
                flooders.start_soon(flood, number)
            number = 0
            while trio.current_time() < end:
                number += 1
                began = trio.current_time()
                statuses.add((await post(daemon.port, truework(f"good-{number}", ORDERS_TOKEN))).status)
                latencies.append(trio.current_time() - began)
                await trio.sleep(0.02)
        lasted = trio.current_time() - end + FLOOD_SECONDS
        status = await daemon.ask("/status")
        logged = len(daemon.logged("request.refused"))
        await daemon.wait_settled()
        assert len((await daemon.ask("/events?limit=1000"))["events"]) == len(latencies)
    p99 = sorted(latencies)[int(len(latencies) * 0.99) - 1]
    tell(f"{len(bad)} bad requests in {FLOOD_SECONDS:.0f} s: {logged} log lines; good ones' p99 {1000 * p99:.0f} ms")
    assert set(bad) == {401}
    assert statuses == {200}
    assert len(bad) > BAD_PER_SECOND * FLOOD_SECONDS * 0.8, "the flood was too thin to prove anything"
    assert sum(status["ingress"]["refused"].values()) == len(bad)
    assert 1 <= logged <= 10 * (lasted + 1) + 1
    assert p99 <= 0.25
