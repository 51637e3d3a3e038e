"""The running daemon knows where it listens, and lets no target lead there (C6, P24)."""

from harness.daemon import running
from harness.senders import post, truework
from harness.settings import ORDERS_TOKEN, Settings


async def test_C6_a_target_that_turns_out_to_be_our_own_listener_gets_nothing_and_costs_no_attempt(home):
    settings = Settings(home, crm="http://127.0.0.1:1/hooks", file=False)
    settings.write()
    async with running(home) as daemon:
        settings.crm = f"http://127.0.0.1:{daemon.port}/hooks/truework"  # `bind` says port 0: only the daemon knows
        await daemon.reload(settings.text())
        assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN))).status == 200
        told = (await daemon.wait_logged("attempt.failed"))[0]
        assert "the gateway itself listens there" in told["reason"]
        (waiting,) = await daemon.wait_pending("crm", 1)
        assert waiting["attempts"] == 0
