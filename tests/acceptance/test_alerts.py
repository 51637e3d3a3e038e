"""Own events of the real process: what only time or many requests bring about, and what needs no store."""

import json

import pytest
import trio

from harness.daemon import running
from harness.mail import real_server
from harness.senders import Client, post, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.sink import open_sink
from harness.small_disk import fill, inside, mounts_work, on_small_disk

PAGER = """
[alerts]
targets = ["pager"]
{more}
[targets.pager]
type = "http"
url = "{url}"
"""


def told(sink):
    return [(body["type"], body["subject"]) for body in bodies(sink)]


def bodies(sink):
    return [json.loads(arrival.body) for arrival in sink.taken]


@pytest.mark.skipif(not mounts_work(), reason="a tmpfs cannot be mounted here (needs root and mount namespaces)")
async def test_a_full_disk_is_told_past_the_store_in_the_log_and_to_the_service_manager(home):
    with real_server() as (mailbox, port):
        async with open_sink() as sink:
            mail = f'smtp = {{ host = "127.0.0.1", port = {port}, tls = "none", from = "h@acme.example" }}'
            more = f'[targets.mail]\ntype = "email"\nto = ["ops@acme.example"]\n{mail}\n'
            settings = Settings(home, more=PAGER.format(url=sink.url, more="") + more)
            settings.more = settings.more.replace('["pager"]', '["pager", "mail"]')
            settings.write()
            home.write_config(settings.text().replace('low_water = "1MiB"', 'low_water = "8MiB"'))
            async with running(home, before=on_small_disk(home.state, "80m")) as daemon:
                filler = fill(inside(daemon.pid, home.state), 4 * 1024 * 1024)
                await daemon.wait_logged("store.troubled", seconds=30)
                await sink.wait(lambda sink: sink.taken, 30)
                with trio.fail_after(30):
                    while not mailbox.mails:
                        await trio.sleep(0.02)
                assert any(line.startswith("STATUS=NOT ACCEPTING: ") for line in daemon.notices)
                filler.unlink()
                await daemon.wait_logged("store.recovered", seconds=30)
                assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN))).status == 200
                assert await daemon.stop() == 0
            assert told(sink) == [("store.troubled", "the store")], "once, however long it lasts"
    assert b"\r\nSubject: Hookgate: New events are not accepted\r\n" in mailbox.mails[0].content


async def test_a_source_that_refuses_most_of_its_requests_is_told_with_the_reason(home):
    async with open_sink() as sink:
        rule = 'refusing = { share = "50%", within = "1m", at_least = 12 }'  # all, whenever it looks
        settings = Settings(home, more=PAGER.format(url=sink.url, more=rule))
        settings.write()
        async with running(home) as daemon:
            with Client(daemon.port) as client:
                await client.send(truework("order-1", ORDERS_TOKEN))
                for number in range(12):
                    assert (await client.send(truework(f"bad-{number}", "an-old-token-0123456789ab"))).status == 401
            await sink.wait(lambda sink: sink.taken, 30)
            assert await daemon.stop() == 0
    (body,) = bodies(sink)
    assert (body["type"], body["subject"]) == ("source.refusing", "truework")
    assert (body["data"]["refused"], body["data"]["requests"]) == (12, 13)
    assert body["data"]["reason"]
    assert body["data"]["credentials"] == "states", "nobody used it meanwhile, while orders was proven once"


async def test_a_secret_near_its_end_is_told_once_also_over_a_restart(home):
    async with open_sink() as sink:
        settings = Settings(home, more=PAGER.format(url=sink.url, more='expiry = "365d"'))
        settings.write()
        ends = '{ file = "truework-orders", expires = 2020-01-31 }'
        home.write_config(settings.text().replace('{ file = "truework-orders" }', ends))
        for _ in range(2):
            async with running(home) as daemon:
                await sink.wait(lambda sink: sink.taken, 30)
                await daemon.wait_settled()
                assert await daemon.stop() == 0
    (body,) = bodies(sink)
    assert body["type"] == "secret.expiring"
    assert (body["data"]["secret"], body["data"]["expires"]) == ("file truework-orders", "2020-01-31")
    assert ORDERS_TOKEN not in json.dumps(body)


async def test_a_sender_of_ever_new_types_floods_neither_alerts_nor_log(home):
    async with open_sink() as sink:
        settings = Settings(home, more=PAGER.format(url=sink.url, more=""))
        settings.write()
        home.write_config(settings.text().replace(', event = "order.completed" }', " }"))
        async with running(home) as daemon:
            with Client(daemon.port) as client:
                for number in range(120):
                    request = truework(f"order-{number}", ORDERS_TOKEN, event=f"type.{number}")
                    assert (await client.send(request)).status == 200
            await sink.wait(lambda sink: len(sink.taken) >= 50, 60)
            await daemon.wait_settled()
            assert len(daemon.logged("event.unmatched")) == 50
            assert await daemon.stop() == 0
    assert len(sink.taken) == 50
    assert [body["data"].get("more") for body in bodies(sink)].count(True) == 1


async def test_alerts_that_a_reload_brings_tell_what_nobody_was_told_before(home):
    async with open_sink() as sink:
        settings = Settings(home)
        settings.write()
        async with running(home) as daemon:
            assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN, version="v9"))).status == 200
            await daemon.wait_logged("event.version_unseen")
            await daemon.reload(settings.text() + PAGER.format(url=sink.url, more=""))
            assert (await post(daemon.port, truework("order-2", ORDERS_TOKEN, version="v9"))).status == 200
            await sink.wait(lambda sink: sink.taken, 30)
            assert await daemon.stop() == 0
        assert [kind for kind, _ in told(sink)] == ["event.version_unseen"]
