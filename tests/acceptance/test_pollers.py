"""Pollers with the real process: what no webhook told of is found, once, whatever restarts in between."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from harness.daemon import running
from harness.senders import post, truework, truora, truora_event
from harness.settings import ORDERS_TOKEN, TRUORA_KEY, Settings
from harness.sink import Fault, open_sink

KEY = "truora-api-4c1d"


def moment(ago=0.0):
    """Write the time `ago` seconds before now."""
    return (datetime.now(UTC) - timedelta(seconds=ago)).isoformat()


class Provider:
    """A list of events in pages of two, the newest first."""

    def __init__(self, sink):
        self.items = []
        self.asked = []
        self.link = None
        sink.choose = self.answer

    def add(self, name, ago=0.0):
        event = truora_event(name, timestamp=moment(ago))
        self.items.insert(0, event)
        return event

    def answer(self, arrival):
        self.asked.append(arrival)
        page = int(parse_qs(urlsplit(arrival.path).query).get("page", ["1"])[0])
        found = self.items[2 * page - 2 : 2 * page]
        more = self.link or (f"/v1/events?page={page + 1}" if self.items[2 * page :] else None)
        return Fault(body=json.dumps({"events": found, "next": more}).encode())


def settings(home, api, crm, more="", alerts=""):
    home.write_secret("truora-api", KEY)
    poller = f"""
[pollers.truora]
source = "truora"
url = "http://127.0.0.1:{api.port}/v1/events"
items = "body.events[]"
next = "body.next"
every = "1s"
grace = "0s"
headers = {{ Truora-API-Key = {{ file = "truora-api" }} }}
{more}
{alerts}
"""
    return Settings(home, crm=crm.url, file=False, more=poller)


def ids(crm):
    return sorted(json.loads(each.body)["id"] for each in crm.taken)


async def asked_again(api, times=2):
    """Wait until everything that is listed now was asked for."""
    before = len(api.arrivals)
    await api.wait(lambda sink: len(sink.arrivals) >= before + times, 40)


async def test_a_webhook_that_never_came_is_found_once_and_one_that_came_is_not_doubled(home):
    """Before or after the poll, over a kill -9 and a reload; the status says how many were missed."""
    async with open_sink() as api, open_sink() as crm:
        provider = Provider(api)
        provider.add("before the poller", 60)
        text = settings(home, api, crm)
        text.write()
        async with running(home) as daemon:
            await asked_again(api)
            came = truora_event("came", timestamp=moment())
            assert (await post(daemon.port, truora([came], TRUORA_KEY))).status == 200
            provider.items.insert(0, came)  # no poll comes between
            late = provider.add("late")
            missed = [provider.add(f"missed-{number}") for number in range(4)]
            await crm.wait_taken(6, 40)
            assert (await post(daemon.port, truora([late], TRUORA_KEY))).status == 200
            await asked_again(api, 6)
            assert ids(crm) == sorted(["came", "late", *(each["id"] for each in missed)])
            status = (await daemon.ask("/status"))["pollers"]
            assert [(each["name"], each["missed"], each["failures"]) for each in status] == [("truora", 5, 0)]
            assert await daemon.wait_logged("webhook.missed")
            metrics = (await daemon.ask("/events"))["events"]
            assert len(metrics) == 6
            await daemon.kill()
        provider.add("while it was down")
        async with running(home) as daemon:
            await crm.wait_taken(7, 40)
            await daemon.reload(text.text() + "\n# changed\n")
            await daemon.reload(text.text().replace('every = "1s"', 'every = "2s"'))
            await asked_again(api, 6)
            assert len(ids(crm)) == 7
            assert KEY not in daemon.tail()
        assert {each.headers["truora-api-key"] for each in provider.asked} == {KEY}


async def test_what_just_happened_is_left_to_its_webhook_for_the_grace(home):
    """Young items are not counted as missed; they are taken once they are old enough."""
    async with open_sink() as api, open_sink() as crm:
        provider = Provider(api)
        settings(home, api, crm, more='overlap = "1h"').write()
        home.write_config(home.config.read_text().replace('grace = "0s"', 'grace = "8s"'))
        async with running(home) as daemon:
            await asked_again(api)
            provider.add("young")
            await asked_again(api)
            assert not crm.arrivals
            await crm.wait_taken(1, 40)
            assert ids(crm) == ["young"]
            await daemon.wait_logged("webhook.missed")
            assert (await daemon.ask("/status"))["pollers"][0]["missed"] == 1


async def test_a_reply_leads_to_no_other_host_and_trouble_backs_off_and_is_told(home):
    """A next page elsewhere is not asked for; failures in a row make the pause grow, and tell; then it catches up."""
    async with open_sink() as api, open_sink() as crm, open_sink() as inside:
        provider = Provider(api)
        settings(home, api, crm).write()
        async with running(home) as daemon:
            await asked_again(api)
            provider.add("found")
            provider.link = f"http://127.0.0.1:{inside.port}/v1/events"
            await crm.wait_taken(0, 1)
            (failed,) = (await daemon.wait_logged("poll.failed"))[:1]
            assert "another host" in failed["reason"]
            api.choose = lambda _: Fault(302, headers=(("Location", inside.url),))
            await daemon.wait_logged("poller.behind")
            assert not inside.arrivals
            api.choose = provider.answer
            provider.link = None
            await daemon.wait_logged("poller.caught_up")
            await crm.wait_taken(1, 20)
            assert ids(crm) == ["found"]


async def test_a_poller_delays_no_webhook_and_needs_an_occurrence_on_both_sides(home):
    """A list that hangs holds nothing else; a source without `occurrence` is refused with what to write."""
    async with open_sink() as api, open_sink() as crm:
        api.fault = Fault(hang=True)
        settings(home, api, crm).write()
        async with running(home) as daemon:
            await api.wait(lambda sink: len(sink.arrivals) == 1, 30)
            assert (await post(daemon.port, truework("ord-1", ORDERS_TOKEN))).status == 200
            await crm.wait_taken(1, 20)
            home.write_config(home.config.read_text().replace('source = "truora"\nurl', 'source = "truework"\nurl'))
            await daemon.ask("/reload", {}, 409)
            (refused,) = await daemon.wait_logged("config.refused")
            assert "occurrence" in refused["problems"][0]
