"""P19: a full disk is 503 with Retry-After while deliveries still settle; when space is back, so is the daemon.

The state lives on a small disk of the daemon's own.
"""

import json

import pytest
import trio

from harness.daemon import running
from harness.senders import Client, post, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.sink import Fault, open_sink
from harness.small_disk import fill, inside, mounts_work, on_small_disk
from harness.tq import Ledger

MEBIBYTE = 1024 * 1024


@pytest.mark.skipif(not mounts_work(), reason="a tmpfs cannot be mounted here (needs root and mount namespaces)")
@pytest.mark.parametrize("leave", [6 * MEBIBYTE, 0])
async def test_a_full_disk_is_answered_503_while_deliveries_settle_and_it_recovers_by_itself(home, tell, leave):
    ledger = Ledger()
    async with open_sink() as sink:
        sink.fault = Fault(503)
        options = 'retry = { first = "1s", give_up = "1d" }'
        low_water = "8MiB" if leave else "1MiB"
        settings = Settings(home, crm=sink.url, crm_options=options, file=False)
        settings.write()
        home.write_config(settings.text().replace('low_water = "1MiB"', f'low_water = "{low_water}"'))
        async with running(home, before=on_small_disk(home.state, "80m")) as daemon:
            disk = inside(daemon.pid, home.state)
            assert (disk / "hookgate.db").exists()
            with Client(daemon.port) as client:
                for number in range(20):
                    await client.insist(truework(f"before-{number}", ORDERS_TOKEN), ledger)
                filler = fill(disk, leave)
                refusal = await _until(client, ledger, "full", 503, 30)
                assert int(refusal.headers["retry-after"]) >= 1
                assert (await daemon.ask("/ready", status=503))["ready"] is False
                sink.fault = Fault()
                # As long as the breaker may wait until its next probe, however slowly the disk got full.
                await sink.wait(lambda sink: len({a.body for a in sink.taken}) >= 20, 60)
                filler.unlink()
                freed = trio.current_time()
                await _until(client, ledger, "after", 200, 60)
                took = trio.current_time() - freed
            await daemon.wait_settled()
            assert (await post(daemon.port, truework("last", ORDERS_TOKEN))).status == 200
            assert await daemon.stop() == 0
        account = ledger.account(
            order for order in (json.loads(a.body)["data"]["order_id"] for a in sink.taken) if order != "last"
        )
    tell(f"disk full with {leave} bytes left: accepting again {took:.1f} s after space was back; {account}")
    assert account.holds, account


async def _until(client, ledger, tag, status, seconds):
    """Send distinct events until one is answered `status`; every answer must be 200 or 503."""
    with trio.fail_after(seconds):
        number = 0
        while True:
            number += 1
            request = truework(f"{tag}-{number}", ORDERS_TOKEN, size=16_384)
            ledger.attempted.add(request.name)
            answer = await client.send(request)
            assert answer.status in {200, 503}, answer
            if answer.status == 200:
                ledger.acknowledged.add(request.name)
            if answer.status == status:
                return answer
            await trio.sleep(0.02)
