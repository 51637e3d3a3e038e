"""Order with the real process: a dead head stops its key and says so, and a reload orders what waits already."""

import json

from harness.daemon import running
from harness.senders import post, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.sink import FINE, Fault, open_sink
from harness.turns import Seen, inversions

ORDERED = 'order_by = "body.data.metadata.customer"'
SLOW = 'retry = { first = "3s", max = "3s", factor = 1.0, give_up = "1d" }'
"""So slow that all are tried once before so many failures in a row close the target's gate."""


async def send(daemon, name, customer):
    answer = await post(daemon.port, truework(name, ORDERS_TOKEN, metadata={"customer": customer}))
    assert answer.status == 200


def name_of(arrival):
    return json.loads(arrival.body)["data"]["order_id"]


async def test_P9_a_dead_head_stops_its_key_says_so_and_goes_first_when_it_is_retried(home):
    async with open_sink() as sink:
        Settings(home, crm=sink.url, crm_options=ORDERED, file=False).write()
        sink.choose = lambda arrival: Fault(422) if name_of(arrival) == "a1" else FINE
        async with running(home) as daemon:
            for name, customer in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a")):
                await send(daemon, name, customer)
            await sink.wait(lambda it: {"a1", "b1"} <= {name_of(one) for one in it.arrivals}, 30)
            await sink.wait_taken(1, 30)
            (dead,) = await _listed(daemon, "dead")
            waiting = await _listed(daemon, "pending")
            target = await daemon.target("crm")
            assert [row["behind"] for row in waiting] == [f"{dead['event']}:0"] * 2
            assert (target["pending"], target["behind"], target["blocks"]) == (2, 2, True)
            sink.choose = None
            assert (await daemon.cli("retry", dead["event"]))["next"]
            await daemon.wait_settled()
        assert [name_of(one) for one in sink.taken] == ["b1", "a1", "a2", "a3"]


async def _listed(daemon, state):
    while not (rows := (await daemon.cli("deliveries", "list", "--state", state))["deliveries"]):
        pass
    return rows


async def test_P9_a_reload_orders_what_waits_already_and_another_one_ends_the_order(home):
    async with open_sink() as sink:
        settings = Settings(home, crm=sink.url, crm_options=SLOW, file=False)
        settings.write()
        sink.fault = Fault(500)
        async with running(home) as daemon:
            for number in range(12):
                await send(daemon, f"{number:02}", f"customer{number % 3}")
            await sink.wait(lambda it: len({one.webhook_id for one in it.arrivals}) == 12, 30)
            settings.crm_options = f"{SLOW}\n{ORDERED}"
            await daemon.reload(settings.text())
            await _wait_behind(daemon, 9)
            before = len(sink.arrivals)
            sink.fault = FINE
            await daemon.wait_settled()
            seen = [(name_of(one), one) for one in sink.arrivals[before:]]
            await daemon.reload(Settings(home, crm=sink.url, crm_options=SLOW, file=False).text())
            assert (await daemon.target("crm"))["behind"] == 0
    found = [Seen(str(int(name) % 3), one.webhook_id, one.fault == FINE) for name, one in seen]
    assert inversions(found) == []
    assert len(found) == 12


async def _wait_behind(daemon, count):
    while (await daemon.target("crm"))["behind"] != count:
        pass
