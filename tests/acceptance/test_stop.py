"""P16: SIGTERM ends the daemon within 30 s whatever clients and targets do, and nothing is lost by it."""

import json
import signal
from contextlib import ExitStack

import pytest
import trio

from harness.daemon import DaemonDiedError, running
from harness.senders import Client, post, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.sink import Fault, open_sink
from harness.tq import Ledger


async def test_an_idle_daemon_stops_at_once_and_says_so(home):
    Settings(home).write()
    async with running(home) as daemon:
        began = trio.current_time()
        assert await daemon.stop() == 0
        assert trio.current_time() - began < 3
        assert "STOPPING=1" in daemon.notices


@pytest.mark.timeout(150)
async def test_stuck_clients_and_a_hanging_target_do_not_hold_up_the_end_and_nothing_is_lost(home, tell):
    ledger = Ledger()
    async with open_sink() as sink:
        sink.fault = Fault(hang=True)
        Settings(home, crm=sink.url, crm_options='timeout = "25s"').write()
        async with running(home) as daemon:
            with ExitStack() as stuck:
                await _get_stuck(daemon.port, home.admin, stuck)
                with Client(daemon.port) as client:
                    for number in range(50):
                        await client.insist(truework(f"order-{number}", ORDERS_TOKEN), ledger)
                await sink.wait(lambda sink: len(sink.arrivals) >= 16, 30)
                began = trio.current_time()
                daemon.signal(signal.SIGTERM)
                assert await daemon.wait_ended(32) == 0
                took = trio.current_time() - began
        assert took <= 30
        sink.fault = Fault()
        async with running(home) as daemon:
            await daemon.wait_settled(60)
            assert await daemon.stop() == 0
        account = ledger.account(json.loads(arrival.body)["data"]["order_id"] for arrival in sink.taken)
    tell(f"SIGTERM with stuck clients and a hanging target: exit 0 after {took:.1f} s; {account}")
    assert account.holds, account


async def _get_stuck(port, admin, stuck):
    """Connect and say nothing, half a head, half a body, much without reading; and half a head to the admin socket."""
    wire = truework("stuck", ORDERS_TOKEN).wire()
    for data in (b"", wire[:40], wire[:-100], truework("x", "wrong").wire() * 20):
        connection = stuck.enter_context(trio.socket.socket())
        connection.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4096)
        await connection.connect(("127.0.0.1", port))
        if data:
            await connection.send(data)
    connection = stuck.enter_context(trio.socket.socket(trio.socket.AF_UNIX))
    await connection.connect(str(admin))
    await connection.send(b"GET /status HTTP/1.1\r\n")


async def test_P16_orders_in_the_midst_of_a_stop_are_answered_with_the_reason_and_begin_nothing_anew(home):
    async with open_sink() as sink:
        sink.fault = Fault(hang=True)
        Settings(home, crm=sink.url, crm_options='timeout = "25s"').write()
        async with running(home) as daemon:
            with Client(daemon.port) as client:
                await client.insist(truework("order-1", ORDERS_TOKEN), Ledger())
            await sink.wait(lambda sink: sink.arrivals, 30)
            daemon.signal(signal.SIGTERM)
            refused = await _until_refused(daemon, "/targets/crm/enable")
            assert refused["error"].startswith("target crm: the gateway is stopping")
            for verb in ("hold", "release"):
                assert await daemon.ask(f"/targets/crm/{verb}", {}, status=503) == refused
            kept = await daemon.ask("/reload", {}, status=409)
            assert kept["problems"] == ["the gateway is stopping: its next start reads the files"]
            assert daemon.running
            assert len(sink.arrivals) == 1
            assert not daemon.logged("connection.failed")


async def _until_refused(daemon, path):
    """Order until the stop has come so far that it is refused with 503; give the answer."""
    with trio.fail_after(30):
        while True:
            try:
                return await daemon.ask(path, {}, status=503)
            except DaemonDiedError:
                await trio.sleep(0.01)


async def test_an_answer_under_way_at_the_stop_is_still_given(home):
    """A request whose body arrives while the daemon stops is answered or cut off, but never acknowledged and lost."""
    ledger = Ledger()
    Settings(home).write()
    async with running(home) as daemon:
        async with trio.open_nursery() as senders:
            for number in range(40):
                senders.start_soon(_try_once, daemon.port, truework(f"order-{number}", ORDERS_TOKEN), ledger)
            await trio.sleep(0.01)
            daemon.signal(signal.SIGTERM)
        assert await daemon.wait_ended(30) == 0
    async with running(home) as daemon:
        await daemon.wait_settled()
    account = ledger.account(line["payload"]["data"]["order_id"] for line in home.lines("audit.jsonl"))
    assert account.holds, account


async def _try_once(port, request, ledger):
    ledger.attempted.add(request.name)
    try:
        answer = await post(port, request)
    except OSError:
        return
    if answer.status == 200:
        ledger.acknowledged.add(request.name)
