"""S15: a flood of bad signatures costs its senders a 401 each, the log a few lines a second, nobody else anything."""

import trio

from harness.daemon import running
from harness.senders import Client, post, truework
from harness.settings import ORDERS_TOKEN, Settings

FLOODERS = 8
BAD_EACH = 500


async def test_S15_a_flood_of_bad_signatures_is_counted_sampled_in_the_log_and_harms_nobody(home, tell):
    Settings(home).write()
    async with running(home) as daemon:
        bad, latencies, statuses = [], [], set()
        over = trio.Event()
        began_at = trio.current_time()

        async def flood(number):
            with Client(daemon.port) as client:
                for _ in range(BAD_EACH):
                    reply = await client.send(truework(f"bad-{number}", "wrong"))
                    bad.append(reply.status)  # counted as they come
            if len(bad) == FLOODERS * BAD_EACH:
                over.set()

        async with trio.open_nursery() as flooders:
            for number in range(FLOODERS):
                flooders.start_soon(flood, number)
            while not over.is_set():
                began = trio.current_time()
                good = truework(f"good-{len(latencies)}", ORDERS_TOKEN)
                statuses.add((await post(daemon.port, good)).status)
                latencies.append(trio.current_time() - began)
        lasted = trio.current_time() - began_at
        status = await daemon.ask("/status")
        logged = len(daemon.logged("request.refused"))
        await daemon.wait_settled()
        assert len((await daemon.ask("/events?limit=1000"))["events"]) == len(latencies)
    p99 = sorted(latencies)[int(len(latencies) * 0.99) - 1]
    tell(f"{len(bad)} bad requests in {lasted:.1f} s: {logged} log lines; good ones' p99 {1000 * p99:.0f} ms")
    assert bad == [401] * (FLOODERS * BAD_EACH)
    assert statuses == {200}
    assert sum(status["ingress"]["refused"].values()) == len(bad)
    assert 1 <= logged <= 10 * (lasted + 2)
