"""Retry, cancel and replay against the real process: what an operator does after an outage, also through kill -9."""

import json
import signal
import sys
from pathlib import Path

import pytest
import trio

from harness.daemon import DaemonDiedError, running
from harness.lives import let_back_off_pass
from harness.senders import post, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.sink import Fault, open_sink

FILL = Path(__file__).parents[2] / "benchmarks" / "fill.py"
REPLAYED = 400
WHO = "uid 0 (root)"


async def fill(home, count, target):
    await trio.run_process([sys.executable, str(FILL), str(home.database), "--count", str(count), "--target", target])


async def fails(daemon, *verb):
    """Run a verb that ends with exit status 1; give what it said."""
    with pytest.raises(DaemonDiedError, match="ended with 1") as error:
        await daemon.cli(*verb)
    return str(error.value)


async def send(daemon, *names):
    for name in names:
        assert (await post(daemon.port, truework(name, ORDERS_TOKEN))).status == 200


def orders(home, name):
    return [line["payload"]["data"]["order_id"] for line in home.lines(name, after_kill=True)]


def files(home, *names, options=""):
    """Tables of file targets."""
    return "".join(
        f'[targets.{name}]\ntype = "file"\npath = "{home.files}/{name}.jsonl"\n{options}\n' for name in names
    )


async def wait_for(daemon, replay, found):
    """Wait until the replay is as `found` says; give it."""
    with trio.fail_after(60):
        while not found(row := await daemon.ask(f"/replays/{replay}")):
            await trio.sleep(0.02)
    return row


async def test_dead_deliveries_are_retried_by_what_they_are_and_the_audit_tells_who_did(home):
    async with open_sink() as sink:
        sink.choose = lambda arrival: Fault(400 if b"bad" in arrival.body else 422)
        Settings(home, crm=sink.url, file=False).write()
        async with running(home) as daemon:
            await send(daemon, "bad-1", "other-1", "bad-2")
            await daemon.wait_settled()
            counted = await daemon.cli("retry", "--target", "crm", "--error", "400", "--dry-run")
            assert counted["selected"] == 2
            sink.choose = lambda _: Fault()
            assert (await daemon.cli("retry", "--error", "400", "--since", "1h"))["retried"] == 2
            await daemon.wait_settled()
            assert (await daemon.target("crm"))["dead"] == 1
            (left,) = (await daemon.cli("deliveries", "list", "--state", "dead"))["deliveries"]
            assert (await daemon.cli("retry", f"{left['event']}:1"))["retried"] == 0
            assert (await daemon.cli("cancel", f"{left['event']}:0", "--reason", "sent by hand"))["cancelled"] == 1
            assert (await daemon.cli("retry", left["event"]))["retried"] == 0
            shown = await daemon.cli("deliveries", "show", left["event"], "0")
            assert (shown["state"], shown["last_reason"]) == ("cancelled", "sent by hand")
            told = (await daemon.cli("audit"))["audit"]
            assert [(row["who"], row["action"], row["affected"], row["reason"]) for row in told] == [
                (WHO, "cancel", 1, "sent by hand"),
                (WHO, "retry", 2, ""),
            ]
            assert told[1]["subject"].startswith("error=400 since=20")
            (line,) = daemon.logged("deliveries.retried")
            assert (line["who"], line["count"]) == (WHO, 2)
    assert len([arrival for arrival in sink.arrivals if b"bad-1" in arrival.body]) == 2


async def test_a_replay_goes_by_todays_routes_to_given_targets_or_where_the_event_went_once_for_each_id(home):
    settings = Settings(home, more=files(home, "crm2", "crm3"), orders_targets=["audit"])
    settings.write()
    async with running(home) as daemon:
        await send(daemon, "a")
        event = (await daemon.cli("events", "list"))["events"][0]["id"]
        first = await daemon.cli("replay", event, "--id", "one")
        assert (first["state"], first["added"], first["again"], first["who"]) == ("done", 1, False, WHO)
        again = await daemon.cli("replay", event, "--id", "one")
        assert (again["added"], again["again"]) == (1, True)
        assert "the id one stands for another replay" in await fails(
            daemon, "replay", event, "--target", "crm2", "--id", "one"
        )
        settings.orders_targets = ["crm2"]
        home.write_config(settings.text())
        await daemon.cli("reload")
        assert (await daemon.cli("replay", "--source", "truework", "--since", "1h", "--id", "two"))["events"] == 1
        assert (await daemon.cli("replay", "--source", "truework", "--since", "1h", "--id", "two"))["again"]
        await daemon.cli("replay", event, "--same")
        await daemon.cli("replay", event, "--target", "crm3")
        await daemon.wait_settled()
        home.write_config(settings.text().replace('"order.*", ', ""))
        await daemon.cli("reload")
        said = await fails(daemon, "replay", event)
        assert f"no route takes {event} (source truework, type order.completed, version 2023-" in said
        unknown = await fails(daemon, "replay", event, "--target", "nope")
        assert "there is no target 'nope'; known: audit, crm2, crm3" in unknown
        assert "is not in the store" in await fails(daemon, "replay", "evt_0000000000000001")
        passed = await daemon.cli("replay", "--source", "truework", "--id", "none")
        assert (passed["events"], passed["passed_over"]) == (0, 1)
    assert {name: len(orders(home, f"{name}.jsonl")) for name in ("audit", "crm2", "crm3")} == {
        "audit": 1 + 1 + 1,
        "crm2": 1 + 1,
        "crm3": 1,
    }


async def test_a_target_that_asks_is_replayed_to_only_by_name_and_one_that_never_does_not_at_all(home):
    settings = Settings(home, orders_targets=["audit", "asks", "never"])
    settings.more = files(home, "asks", options='replay = "ask"') + files(home, "never", options='replay = "never"')
    settings.more += files(home, "script", options='replay = "ask"')
    settings.write()
    async with running(home) as daemon:
        await send(daemon, "a")
        event = (await daemon.cli("events", "list"))["events"][0]["id"]
        plain = await daemon.cli("replay", event, "--id", "plain")
        assert (plain["added"], plain["left_out"]) == (1, 2)
        also = await daemon.cli("replay", event, "--also", "asks", "--id", "also")
        assert (also["added"], also["left_out"]) == (2, 1)
        assert (await daemon.cli("replay", event, "--target", "asks", "--id", "named"))["added"] == 1
        for chosen in (("--source", "truework"), (event,)):
            astray = await fails(daemon, "replay", *chosen, "--also", "script", "--yes")
            assert "nothing leads what was chosen to script" in astray
        assert f"hookgate replay {event} --target script" in astray
        for how in ("--target", "--also"):
            assert 'never takes no replays: its configuration says replay = "never"' in (
                await fails(daemon, "replay", event, how, "never")
            ).replace("\\", "")
        settings.orders_targets = ["asks"]
        home.write_config(settings.text())
        await daemon.cli("reload")
        said = await fails(daemon, "replay", event)
        assert "goes to asks only" in said
        assert f"hookgate replay {event} --also asks" in said
        await daemon.wait_settled()
    assert [len(orders(home, f"{name}.jsonl")) for name in ("audit", "asks", "never")] == [3, 3, 1]


@pytest.mark.timeout(120)
async def test_kill_9_in_the_middle_of_a_paced_replay_neither_loses_nor_doubles_what_was_planned(home, tell):
    """It goes on by itself, three times; what the file has twice was being delivered at a kill."""
    settings = Settings(home, more=files(home, "copy"))
    settings.write()
    await fill(home, REPLAYED, "audit")
    progress, went_on = [], []
    for life in range(4):
        async with running(home) as daemon:
            if life == 0:
                begun = await daemon.cli(
                    "replay", "--source", "truework", "--target", "copy", "--rate", "100/s", "--id", "r", "--yes"
                )
                assert begun["state"] == "running"
            if life < 3:
                seen = REPLAYED * (life + 1) // 4
                progress.append((await wait_for(daemon, "r", lambda row, seen=seen: row["events"] >= seen))["events"])
                continued = await daemon.wait_logged("replay.continued", min(life, 1))
                went_on += [(line["replay"], line["who"]) for line in continued]
                daemon.signal(signal.SIGKILL)
                await daemon.wait_ended()
                let_back_off_pass(home)
                continue
            ended = await wait_for(daemon, "r", lambda row: row["state"] != "running")
            again = await daemon.cli(
                "replay", "--source", "truework", "--target", "copy", "--rate", "100/s", "--id", "r", "--yes"
            )
            await daemon.wait_settled()
            audit = (await daemon.cli("audit"))["audit"]
    assert (ended["state"], ended["events"], ended["added"]) == ("done", REPLAYED, REPLAYED)
    assert (again["again"], again["added"]) == (True, REPLAYED)
    assert went_on == [("r", WHO)] * 2, "in the second and the third life"
    assert [(row["action"], row["affected"]) for row in audit] == [("replay", REPLAYED)]
    arrived = orders(home, "copy.jsonl")
    tell(f"killed after {progress} of {REPLAYED} events; {len(arrived) - REPLAYED} delivered twice")
    assert len(set(arrived)) == REPLAYED, "something was lost"
    assert len(arrived) - REPLAYED <= 3 * 64, "more came twice than was being delivered"


async def test_a_running_replay_is_cancelled_and_so_is_what_it_added(home):
    async with open_sink() as sink:
        sink.fault = Fault(503)
        Settings(home, crm=sink.url, orders_targets=["audit"]).write()
        await fill(home, REPLAYED, "audit")
        async with running(home) as daemon:
            await daemon.cli("targets", "hold", "crm")
            await daemon.cli("replay", "--all", "--target", "crm", "--rate", "20/s", "--id", "r", "--yes")
            await wait_for(daemon, "r", lambda row: row["added"] > 20)
            ended = await daemon.cli("replays", "cancel", "r", "--reason", "wrong target")
            assert (ended["state"], ended["reason"]) == ("cancelled", "wrong target")
            assert "replay r is cancelled already" in await fails(daemon, "replays", "cancel", "r")
            waiting = (await daemon.target("crm"))["pending"]
            assert waiting == ended["added"] < REPLAYED
            assert (await daemon.cli("cancel", "--replay", "r", "--yes"))["cancelled"] == waiting
            assert (await daemon.target("crm"))["pending"] == 0
            assert (await daemon.cli("replay", "--all", "--target", "crm", "--id", "r", "--yes"))[
                "state"
            ] == "cancelled"
    assert sink.arrivals == []


@pytest.mark.timeout(180)
async def test_100_000_deliveries_are_cancelled_and_a_replay_of_100_000_waits_for_its_target_in_bounded_memory(
    home, tell
):
    """Events are accepted and delivered meanwhile."""
    settings = Settings(home, more=files(home, "copy"))
    settings.write()
    await fill(home, 100_000, "gone")
    async with running(home) as daemon:
        before = daemon.resident_bytes()
        await daemon.cli("targets", "hold", "copy")
        begun = await daemon.cli("replay", "--all", "--target", "copy", "--rate", "1000/s", "--id", "r", "--yes")
        assert begun["state"] == "running"
        began = trio.current_time()
        answers = []
        async with trio.open_nursery() as nursery:

            async def cancel():
                answers.append(await daemon.cli("cancel", "--target", "gone", "--yes", "--reason", "it left"))
                nursery.cancel_scope.cancel()

            nursery.start_soon(cancel)
            slowest, number = 0.0, 0
            while True:
                asked = trio.current_time()
                await send(daemon, f"new-{number}")
                slowest, number = max(slowest, trio.current_time() - asked), number + 1
                await trio.sleep(0.05)
        took = trio.current_time() - began
        row = await wait_for(daemon, "r", lambda row: row["waits"])
        grown = (daemon.resident_bytes() - before) // 1024 // 1024
        status = await daemon.target("copy")
    tell(f"cancelled 100,000 in {took:.1f} s; slowest of {number} answers {1000 * slowest:.0f} ms; {grown} MiB more")
    assert answers[0]["cancelled"] == 100_000
    assert row["waits"].endswith("deliveries wait for copy already")
    assert status["pending"] < 1200
    assert slowest < 1.0
    assert grown < 64
    assert len(json.dumps(row)) < 2000
