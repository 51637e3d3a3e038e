"""P15: a reload is all or nothing and costs nobody a connection.

`HOOKGATE_RELOADS` sets their number (60 in CI, 5,000 for a release).
"""

import json
import os
import random
import signal
import sqlite3
from contextlib import closing

import pytest
import trio

from harness.daemon import running
from harness.senders import post, send_steadily, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.sink import Fault, open_sink
from harness.tq import Ledger

RELOADS = int(os.environ.get("HOOKGATE_RELOADS", "60"))
SENDERS = 8
BROKEN = [
    "[server\n",
    "[nonsense]\nkey = 1\n",
    '[routes.broken]\nsource = "nobody"\ntargets = ["crm"]\n',
    '[routes.broken]\nsource = "truework"\ntargets = ["nowhere"]\n',
    '[targets.broken]\ntype = "http"\nurl = "gopher://x"\n',
    '[sources.broken]\nprovider = "truework"\ncredentials.main = { secret = { file = "missing" } }\n',
]


def _extra(number, url):
    """A valid change: another target and route for a type that nobody sends, and another header of the old target."""
    return f"""
[targets.extra{number}]
type = "http"
url = "{url}"
[routes.extra{number}]
source = "truework"
event = "never.{number}"
targets = ["extra{number}"]
"""


@pytest.mark.timeout(60 + 2 * RELOADS)
async def test_reloads_under_load_lose_nothing_and_refuse_no_connection(home, tell):
    dice, ledger = random.Random(RELOADS), Ledger()
    refused, invalid = [], 0

    async with open_sink() as sink:
        settings = Settings(home, crm=sink.url)
        settings.write()
        async with running(home) as daemon:
            stop = trio.Event()

            async def send(tag):
                refused.append(await send_steadily(daemon.port, ledger, ORDERS_TOKEN, stop, tag))

            async with trio.open_nursery() as load:
                for number in range(SENDERS):
                    load.start_soon(send, f"sender{number}")
                for number in range(RELOADS):
                    if dice.random() < 0.3:
                        invalid += 1
                        settings.more = dice.choice(BROKEN)
                    else:
                        settings.more = _extra(number, sink.url)
                        settings.crm_options = f'headers = {{ X-Reload = "{number}" }}'
                    await daemon.reload(settings.text())
                    async with trio.open_nursery() as fresh:
                        fresh.start_soon(_knock, daemon.port)
                        fresh.start_soon(_knock, daemon.port)
                stop.set()
            await daemon.wait_settled()
            outcomes = [len(daemon.logged(event)) for event in ("config.reloaded", "config.refused")]
            assert await daemon.stop() == 0
        account = ledger.account(json.loads(arrival.body)["data"]["order_id"] for arrival in sink.taken)
    tell(f"{RELOADS} reloads, {invalid} of them invalid: {account}; refused connections {sum(refused)}")
    assert account.holds, account
    assert account.duplicated == 0
    assert sum(refused) == 0
    assert outcomes == [RELOADS - invalid, invalid]
    assert account.acknowledged > 5 * RELOADS, "too little load to prove anything"


async def test_P15_targets_renamed_under_load_keep_what_was_planned_for_their_former_names(home, tell):
    """Each acknowledged event reaches the file, whichever name its target had when the event came."""
    ledger = Ledger()
    settings = Settings(home, file=False)

    def rename(number):
        formerly = f'formerly = "t{number - 1}"\n' if number else ""
        settings.more = f'[targets.t{number}]\ntype = "file"\npath = "{home.files}/audit.jsonl"\n{formerly}'
        settings.orders_targets = [f"t{number}"]

    rename(0)
    settings.write()
    async with running(home) as daemon:
        stop = trio.Event()
        async with trio.open_nursery() as load:
            for number in range(SENDERS):
                load.start_soon(send_steadily, daemon.port, ledger, ORDERS_TOKEN, stop, f"sender{number}")
            for number in range(1, 16):
                rename(number)
                await daemon.reload(settings.text())
                await trio.sleep(0.05)
            stop.set()
        await daemon.wait_settled()
        assert {target["name"] for target in (await daemon.ask("/targets"))["targets"]} == {"t15"}
        assert len(daemon.logged("target.renamed")) == 15
        assert await daemon.stop() == 0
    account = ledger.account(line["payload"]["data"]["order_id"] for line in home.lines("audit.jsonl"))
    tell(f"15 renames under load: {account}")
    assert account.holds, account


async def test_P15_a_store_that_cannot_rename_now_refuses_the_reload_and_nothing_else(home):
    settings = Settings(home)
    settings.write()
    async with running(home) as daemon:
        assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN))).status == 200
        await daemon.wait_settled()
        other = sqlite3.connect(home.database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        renamed = settings.text().replace("[targets.audit]", '[targets.books]\nformerly = "audit"')
        renamed = renamed.replace('targets = ["audit"]', 'targets = ["books"]')
        await daemon.reload(renamed, 20)
        assert "another process" in daemon.logged("config.refused")[-1]["problems"][0]
        other.execute("ROLLBACK")
        other.close()
        await daemon.reload()
        assert daemon.logged("target.renamed")
        assert (await post(daemon.port, truework("order-2", ORDERS_TOKEN))).status == 200


async def _knock(port):
    """A fresh connection is served, not only the kept ones."""
    assert (await post(port, truework("knock", "wrong"))).status == 401


async def test_an_invalid_file_changes_nothing_and_tells_why(home):
    async with open_sink() as sink:
        settings = Settings(home, crm=sink.url)
        settings.write()
        async with running(home) as daemon:
            before = (await daemon.ask("/status"))["config_digest"]
            settings.more = '[targets.extra]\ntype = "htpp"\nurl = "http://127.0.0.1:1/"\n'
            await daemon.reload(settings.text())
            status = await daemon.ask("/status")
            assert status["config_digest"] == before
            assert status["last_reload"]["ok"] is False
            assert "targets.extra" in "\n".join(status["last_reload"]["problems"])
            assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN))).status == 200
            await sink.wait_taken(1, 30)


async def reloads_at_last(daemon):
    """How many there have been, once there are no more: none goes on, and in a second none begins."""
    done = -1
    with trio.fail_after(60):
        while done != (done := len(daemon.logged("config.reloaded"))) or not (
            daemon.notices.count("READY=1") == daemon.notices.count("RELOADING=1") + 1 > done
        ):
            await trio.sleep(1)
    return done


async def test_C5_a_thousand_hangups_in_a_second_are_a_few_reloads_one_at_a_time(home):
    Settings(home).write()
    async with running(home) as daemon:
        for _ in range(1000):
            daemon.signal(signal.SIGHUP)
            await trio.sleep(0.0005)
        await daemon.wait_notice("READY=1", 2, 30)
        with trio.fail_after(20):
            while (await daemon.ask("/status"))["last_reload"] is None:
                await trio.sleep(0.05)
        assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN))).status == 200
        done = await reloads_at_last(daemon)
        assert 1 <= done < 200
        assert daemon.notices.count("READY=1") == daemon.notices.count("RELOADING=1") + 1 == done + 1


async def test_C7_deliveries_of_a_removed_target_are_parked_shown_and_resumed_when_it_is_back(home):
    async with open_sink() as sink:
        sink.fault = Fault(503)
        with_crm = Settings(home, crm=sink.url, crm_options='retry = { first = "1s", give_up = "1d" }')
        without = Settings(home)
        with_crm.write()
        async with running(home) as daemon:
            for number in range(5):
                assert (await post(daemon.port, truework(f"order-{number}", ORDERS_TOKEN))).status == 200
            await sink.wait(lambda sink: len(sink.arrivals) >= 5, 30)
            await daemon.reload(without.text())
            with trio.fail_after(30):
                while (parked := await daemon.target("crm"))["in_flight"]:  # what is being tried is tried to its end
                    await trio.sleep(0.02)
            assert (parked["type"], parked["pending"]) == ("", 5)
            assert parked["next_step"]
            sink.fault = Fault()
            before = len(sink.arrivals)
            await trio.sleep(1.5)
            assert len(sink.arrivals) == before
            await daemon.reload(with_crm.text())
            await sink.wait_taken(5, 30)
            await daemon.wait_settled()
            assert len(sink.taken) == 5


async def test_a_repeat_over_a_change_of_the_dedup_rule_is_still_a_repeat(home):
    settings = Settings(home)
    settings.write()
    changed = settings.text().replace(
        'provider = "truework"\n', 'provider = "truework"\ndedup = { key = ["body.data.order_id"] }\n', 1
    )
    old, new = truework("before", ORDERS_TOKEN), truework("after", ORDERS_TOKEN)
    async with running(home) as daemon:
        assert (await post(daemon.port, old)).status == 200
        await daemon.reload(changed)
        assert (await post(daemon.port, old)).status == 200
    async with running(home) as daemon:
        for request in (old, new, new):
            assert (await post(daemon.port, request)).status == 200
        await daemon.wait_settled()
        assert await daemon.stop() == 0
    with closing(sqlite3.connect(home.database)) as store:
        assert store.execute("SELECT count(*) FROM event").fetchone() == (2,)
