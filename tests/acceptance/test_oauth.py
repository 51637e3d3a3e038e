"""A running daemon whose token endpoint is down for a while: told, not hammered, and no attempt is spent."""

from harness.daemon import running
from harness.senders import post, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.sink import Fault, open_sink
from harness.tokens import SECRET, open_token_endpoint


async def test_a_token_endpoint_that_is_down_costs_no_attempt_and_is_asked_once_a_pause(home):
    async with open_sink() as crm, open_token_endpoint() as tokens:
        oauth2 = f'token_url = "{tokens.sink.url}", client_id = "hookgate", client_secret = {{ file = "crm-client" }}'
        options = f"auth = {{ oauth2 = {{ {oauth2} }} }}"
        home.write_secret("crm-client", SECRET)
        Settings(home, crm=crm.url, crm_options=options, file=False).write()
        tokens.sink.fault = Fault(503)
        async with running(home) as daemon:
            for number in range(20):
                assert (await post(daemon.port, truework(f"order-{number}", ORDERS_TOKEN))).status == 200
            await daemon.wait_logged("attempt.failed")
            await daemon.cli("targets", "enable", "crm")
            status = await daemon.target("crm")
            assert (status["pending"] + status["in_flight"], status["dead"]) == (20, 0)
            waiting = (await daemon.ask("/deliveries?target=crm"))["deliveries"]
            assert {each["attempts"] for each in waiting} == {0}
            assert "token: " in status["last_error"]
            assert "HTTP 503" in status["last_error"]
            tokens.sink.fault = Fault()
            await daemon.wait_settled(60)
            assert len({arrival.webhook_id for arrival in crm.taken}) == 20
            assert {arrival.headers["authorization"] for arrival in crm.taken} == {f"Bearer {tokens.valid}"}
            assert len(tokens.asked) <= 5, "twenty deliveries and their probes, a few questions"
            assert SECRET not in daemon.tail()
            assert tokens.valid not in daemon.tail()
