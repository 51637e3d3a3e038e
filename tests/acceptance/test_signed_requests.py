"""A real daemon that signs: an endpoint with the reference library misses nothing while the secret is exchanged."""

import base64
import json

from standardwebhooks import Webhook, WebhookVerificationError

from harness.daemon import running
from harness.senders import post, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.sink import Fault, open_sink

OLD, NEW = ("whsec_" + base64.b64encode(letter * 32).decode() for letter in (b"o", b"n"))
SIGN = """
sign = {{ secret = {{ file = "{}" }}{} }}
headers = {{ X-Order = "{{body.data.order_id}}" }}
method = "PUT"
retry = {{ delays = ["1s"], then = "1s", give_up = "1h" }}
"""


def genuine(secret, arrival):
    try:
        Webhook(secret).verify(arrival.body, arrival.headers)
    except WebhookVerificationError:
        return False
    return True


async def test_an_endpoint_takes_every_message_while_the_secret_is_exchanged(home):
    """Old secret, both, new one, each by a reload; the endpoint changes over while both signatures go out."""
    steps = [("old", ""), ("new", ', previous = { file = "old" }'), ("new", "")]
    home.write_secret("old", OLD)
    home.write_secret("new", NEW)
    async with open_sink() as sink:
        settings = Settings(home, crm=f"{sink.url}/{{body.data.order_id}}", file=False)
        settings.crm_options = SIGN.format(*steps[0])
        settings.write()
        async with running(home) as daemon:
            for number, step in enumerate(steps):
                if number:
                    settings.crm_options = SIGN.format(*step)
                    await daemon.reload(settings.text())
                assert (await post(daemon.port, truework(f"o-{number}", ORDERS_TOKEN))).status == 200
                await sink.wait_taken(number + 1, 20)
            assert await daemon.stop() == 0
    orders = [json.loads(arrival.body)["data"]["order_id"] for arrival in sink.taken]
    assert orders == ["o-0", "o-1", "o-2"]
    assert [arrival.path for arrival in sink.taken] == [f"/hooks/{order}" for order in orders]
    assert [arrival.headers["x-order"] for arrival in sink.taken] == orders
    assert [genuine(OLD, arrival) for arrival in sink.taken] == [True, True, False]
    assert [genuine(NEW, arrival) for arrival in sink.taken] == [False, True, True]


async def test_a_later_try_has_its_own_timestamp_and_the_same_id(home):
    home.write_secret("old", OLD)
    async with open_sink() as sink:
        sink.choose = lambda _: Fault(503) if not sink.arrivals else Fault()
        settings = Settings(home, crm=sink.url, crm_options=SIGN.format("old", ""), file=False)
        settings.write()
        async with running(home) as daemon:
            assert (await post(daemon.port, truework("o-1", ORDERS_TOKEN))).status == 200
            await sink.wait_taken(1, 20)
            assert await daemon.stop() == 0
    first, second = sink.arrivals
    assert genuine(OLD, first)
    assert genuine(OLD, second)
    assert first.webhook_id == second.webhook_id
    assert int(second.headers["webhook-timestamp"]) > int(first.headers["webhook-timestamp"])


async def test_a_value_that_does_not_fit_is_dead_with_its_reason_and_never_sent(home):
    home.write_secret("old", OLD)
    async with open_sink() as sink:
        settings = Settings(home, crm=f"{sink.url}/{{body.data.order_id}}", file=False)
        settings.write()
        async with running(home) as daemon:
            assert (await post(daemon.port, truework("../admin", ORDERS_TOKEN))).status == 200
            await daemon.wait_settled()
            told = await daemon.cli("deliveries", "list", "--state", "dead")
            assert await daemon.stop() == 0
    assert sink.arrivals == []
    assert "url: a value for the path holds a slash" in json.dumps(told)
