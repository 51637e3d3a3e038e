"""Fetch-back with the real process: a resource of the provider goes along, and its trouble stays its own."""

import json

import trio

from harness.daemon import running
from harness.senders import Client, post, truework
from harness.settings import ORDERS_TOKEN, STATES_TOKEN, Settings
from harness.sink import Fault, open_sink

KEY = "tw_sk_test_9f2d"


def order(arrival, **more):
    """Answer as the provider's API does: the order of the path."""
    return Fault(body=json.dumps({"id": arrival.path.rpartition("/")[2], "price": 12, **more}).encode())


def settings(home, api, crm, fetch="", options=""):
    """Truework's recipe against a provider on loopback."""
    home.write_secret("truework-api", KEY)
    table = f'fetch = {{ recipe = "truework.order", event = "order.completed", base_url = "http://127.0.0.1:{api.port}"'
    table += f', auth = {{ bearer = {{ file = "truework-api" }} }}{fetch} }}'
    return Settings(home, crm=crm.url, crm_options=f'send = "envelope"\n{table}\n{options}', file=False)


async def send(daemon, *names, token=ORDERS_TOKEN, **more):
    for name in names:
        assert (await post(daemon.port, truework(name, token, **more))).status == 200


async def test_the_recipe_of_the_preset_puts_the_order_beside_the_payload(home):
    """With the operator's credentials and the recipe's headers; an event that needs nothing has no such key."""
    async with open_sink() as api, open_sink() as crm:
        api.choose = order
        settings(home, api, crm).write()
        async with running(home) as daemon:
            await send(daemon, "ord/1", "ord-2")
            await send(daemon, "ord-3", token=STATES_TOKEN, event="verification_request.state.change")
            await daemon.wait_settled()
            found = {each["payload"]["data"]["order_id"]: each for each in map(json.loads, (a.body for a in crm.taken))}
            assert found["ord-2"]["fetched"] == {"id": "ord-2", "price": 12}
            assert "fetched" not in found["ord-3"]
            assert [each.path for each in api.arrivals] == ["/orders/ord-2"], "a slash in a value is refused"
            asked = api.arrivals[0]
            assert (asked.method, asked.headers["authorization"]) == ("GET", f"Bearer {KEY}")
            assert asked.headers["accept"] == "application/json; version=2023-10-30"
            dead = (await daemon.ask("/deliveries?target=crm&state=dead"))["deliveries"]
            assert ["slash" in each["last_reason"] for each in dead] == [True]
            assert KEY not in daemon.tail()


async def test_a_provider_that_is_down_costs_no_attempt_and_delays_nothing_that_needs_nothing_of_it(home):
    """It is asked by probes; what needs no fetch passes by; once it is back everything is delivered."""
    async with open_sink() as api, open_sink() as crm:
        settings(home, api, crm).write()
        api.fault = Fault(401)
        async with running(home) as daemon:
            await send(daemon, *(f"ord-{number}" for number in range(30)))
            await daemon.wait_logged("fetch.down")
            await send(daemon, "free", token=STATES_TOKEN, event="verification_request.state.change")
            await crm.wait_taken(1, 20)
            status = await daemon.target("crm")
            assert (status["dead"], status["gates"]) == (0, [])
            waiting = await daemon.wait_pending("crm", 29)
            assert {each["attempts"] for each in waiting} == {0}
            assert len(api.arrivals) <= 10, "thirty deliveries, a few questions"
            api.choose = order
            await daemon.wait_settled(60)
            assert len(crm.taken) == 31
            with Client(home.admin) as client:
                page = (await client.exchange(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")).body
            assert b'hookgate_fetches_total{result="down",target="crm"}' in page
            assert b'hookgate_fetches_total{result="found",target="crm"} 30.0' in page


async def test_a_provider_that_never_answers_holds_no_worker_of_the_target(home):
    """More deliveries than fetches may run at once hang; the next event that needs none is delivered at once."""
    async with open_sink() as api, open_sink() as crm:
        settings(home, api, crm, fetch=', timeout = "30s"', options="concurrency = 1").write()
        api.fault = Fault(hang=True)
        async with running(home) as daemon:
            await send(daemon, *(f"ord-{number}" for number in range(100)))
            await api.wait(lambda sink: len(sink.arrivals) == 8, 30)
            await send(daemon, "free", token=STATES_TOKEN, event="verification_request.state.change")
            await crm.wait_taken(1, 20)
            api.choose = order
            assert await daemon.stop() == 0, "what hangs ends at stop"
        api.fault = Fault()
        async with running(home) as daemon:
            await daemon.wait_settled(60)
            assert len({each.webhook_id for each in crm.taken}) == 101


async def test_a_404_is_tried_again_by_the_policy_until_the_resource_is_there(home):
    """That costs attempts, as documented; `deliver` goes without it, `dead` gives up."""
    async with open_sink() as api, open_sink() as crm:
        settings(home, api, crm, options='retry = { delays = ["1s", "1s", "1s"] }').write()
        answers = iter([Fault(404)])
        api.choose = lambda arrival: next(answers, order(arrival))
        async with running(home) as daemon:
            await send(daemon, "late")
            await daemon.wait_settled()
            assert json.loads(crm.taken[0].body)["fetched"]["id"] == "late"
            assert crm.taken[0].headers["hookgate-attempt"] == "2"
            api.choose = lambda _: Fault(404)
            await daemon.reload(settings(home, api, crm, fetch=', missing = "deliver"').text())
            await send(daemon, "never")
            await crm.wait_taken(2, 20)
            assert json.loads(crm.taken[1].body)["fetched"] is None
            await daemon.reload(settings(home, api, crm, fetch=', missing = "dead"').text())
            await send(daemon, "gone")
            await daemon.wait_settled()
            assert (await daemon.target("crm"))["dead"] == 1
            assert len(crm.taken) == 2


async def test_the_reply_decides_neither_where_the_next_request_goes_nor_how_much_is_read(home):
    """A redirect is not followed, what is too long or too deep is no resource; all of it is bounded."""
    async with open_sink() as api, open_sink() as crm, open_sink() as inside:
        settings(home, api, crm, fetch=', body = "1KiB"', options="retry = { attempts = 1 }").write()
        async with running(home) as daemon:
            for name, body in (("long", b'"' + b"x" * 5000 + b'"'), ("deep", b"[" * 100), ("page", b"<html>")):
                api.fault = Fault(body=body)
                await send(daemon, name)
                await daemon.wait_settled()
            assert (await daemon.target("crm"))["dead"] == 3
            api.fault = Fault(302, headers=(("Location", inside.url),))
            await send(daemon, "moved")
            await daemon.wait_logged("fetch.down")
            assert not inside.arrivals
            assert not crm.arrivals


async def test_a_url_of_the_payload_leads_only_to_the_hosts_that_were_written_and_never_inside(home):
    """Without `allow` only to public addresses, whatever the name; with it to what the operator says."""
    async with open_sink() as api, open_sink() as crm:
        api.choose = order
        host = f'hosts = ["127.0.0.1:{api.port}"]'
        fetch = f'fetch = {{ url_at = "body.data.metadata.url", {host}, event = "order.*"%s }}'
        once = 'send = "envelope"\nretry = { delays = ["1s"] }\n'
        Settings(home, crm=crm.url, crm_options=once + fetch % "", file=False).write()
        async with running(home) as daemon:
            here = f"http://127.0.0.1:{api.port}/orders/one"
            await send(daemon, "inside", metadata={"url": here})
            await daemon.wait_settled()
            assert not api.arrivals
            assert "denied" in (await daemon.target("crm"))["last_error"]
            assert not daemon.logged("fetch.down"), "what one payload says concerns no other"
            allowed = Settings(home, crm=crm.url, crm_options=once + fetch % ', allow = ["loopback"]', file=False)
            await daemon.reload(allowed.text())
            await send(daemon, "allowed", metadata={"url": here})
            await send(daemon, "elsewhere", metadata={"url": f"http://127.0.0.1:{crm.port}/orders/two"})
            await send(daemon, "no url", metadata={"url": 7})
            await daemon.wait_settled()
            assert (await daemon.target("crm"))["dead"] == 3
            assert [each.path for each in api.arrivals] == ["/orders/one"]


async def test_one_fetch_serves_the_events_that_had_come_before_it_and_no_later_one(home):
    """Two deliveries of one order that wait share a fetch; an event that comes after it asks anew."""
    async with open_sink() as api, open_sink() as crm:
        settings(home, api, crm).write()
        go = trio.Event()
        api.choose = lambda arrival: order(arrival, number=len(api.arrivals))._replace(until=go)
        async with running(home) as daemon:
            await send(daemon, "same", version="2023-10-30")
            await api.wait(lambda sink: len(sink.arrivals) == 1, 20)
            go.set()
            await crm.wait_taken(1, 20)
            await send(daemon, "same", version="2023-10-31")
            await crm.wait_taken(2, 20)
            numbers = [json.loads(each.body)["fetched"]["number"] for each in crm.taken]
            assert numbers == [0, 1], "the second came after the first had been fetched"
