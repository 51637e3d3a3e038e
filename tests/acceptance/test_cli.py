"""The command against the real process: signed samples arrive, a stopped store is read, no secret is ever told."""

import json
from pathlib import Path

import pytest

from harness.daemon import DaemonDiedError, running
from harness.settings import ORDERS_TOKEN, STATES_TOKEN, TRUORA_KEY, Settings

SAMPLES = [
    ("truework", "order-completed", "order.completed"),
    ("truework", "verification_request.state.change", "verification_request.state.change"),
    ("truora", "identity-succeeded", "digital_identity.identity_process.succeeded"),
]


def to(daemon):
    return ("--to", f"http://127.0.0.1:{daemon.port}")


async def test_each_sample_is_taken_as_the_type_it_says_and_refused_with_a_spoilt_signature(home):
    Settings(home).write()
    async with running(home) as daemon:
        for provider, sample, _ in SAMPLES:
            sent = await daemon.cli("send", provider, sample, "--count", "2", *to(daemon))
            assert sent["answers"] == {"200": 2}
            spoilt = await daemon.cli("send", provider, sample, "--bad-signature", *to(daemon))
            assert spoilt["answers"] == {"401": 1}
            assert spoilt["meaning"] == "refused with 401, as it should be: its signature is spoilt"
            assert spoilt["next"].startswith("hookgate status ")
        await daemon.wait_settled()
        events = (await daemon.cli("events", "list"))["events"]
        status = await daemon.cli("status")
    assert sorted(event["type"] for event in events) == sorted(kind for *_, kind in SAMPLES * 2)
    assert sum(status["ingress"]["refused"].values()) == 3
    used = {one["name"]: one["used_alone"] for source in status["sources"] for one in source["credentials"]}
    assert used == {"orders": 2, "states": 2, "main": 2}


async def test_duplicates_make_one_event_each_and_a_burst_is_answered_whole(home):
    Settings(home).write()
    async with running(home) as daemon:
        sent = await daemon.cli("send", "truework", "order-completed", "--duplicate", "--burst", "20", *to(daemon))
        assert (sent["sent"], sent["answers"]) == (40, {"200": 40})
        assert "each was sent twice, and the second makes no event; 20 at once" in sent["meaning"]
        await daemon.wait_settled()
        assert len((await daemon.cli("events", "list", "--limit", "100"))["events"]) == 20


STAMPED = """
[sources.stamped]
provider = "generic"
credentials.main = { secret = { file = "truora" } }
identify = { type = "body.event" }
[sources.stamped.verify]
scheme = "hmac"
header = "X-Sig"
shape = "pairs"
timestamp = "pair.t"
template = "{timestamp}.{body}"
[routes.stamped]
source = "stamped"
targets = ["audit"]
"""


async def test_what_is_signed_as_old_is_refused_where_the_time_is_signed(home):
    Settings(home, more=STAMPED).write()
    async with running(home) as daemon:
        assert (await daemon.cli("send", "stamped", "example", *to(daemon)))["answers"] == {"200": 1}
        old = await daemon.cli("send", "stamped", "example", "--old", "1h", *to(daemon))
        assert (old["answers"], old["as_expected"]) == ({"401": 1}, True)
        within = await daemon.cli("send", "stamped", "example", "--old", "1m", *to(daemon))
        assert (within["answers"], within["as_expected"]) == ({"200": 1}, True)


async def test_the_samples_of_a_provider_are_listed_and_fields_can_be_changed(home):
    Settings(home).write()
    async with running(home) as daemon:
        listed = await daemon.cli("send", "truework")
        assert [each["name"] for each in listed["samples"]] == ["order-completed", "state-change"]
        sent = await daemon.cli("send", "truework", "order-completed", "--field", "data.state=canceled", *to(daemon))
        (event,) = (await daemon.cli(*sent["next"].split()[1:]))["events"]
        shown = await daemon.cli("events", "show", event["id"])
    assert json.loads(shown["payload"]["text"])["data"]["state"] == "canceled"


async def test_a_stopped_store_is_read_as_the_running_daemon_tells_it(home):
    Settings(home).write()
    async with running(home) as daemon:
        await daemon.cli("send", "truework", "order-completed", "--count", "3", *to(daemon))
        await daemon.wait_settled()
        event = (await daemon.cli("events", "list"))["events"][0]["id"]
        verbs = [
            ("events", "list", "--limit", "2"),
            ("events", "show", event),
            ("deliveries", "list", "--state", "delivered"),
            ("deliveries", "list", "--source", "truework"),
            ("deliveries", "show", event, "0"),
            ("replays", "list"),
            ("replays", "show", "one"),
            ("audit",),
        ]
        await daemon.cli("replay", event, "--id", "one")
        await daemon.wait_settled()
        live = [await daemon.cli(*verb) for verb in verbs]
        assert await daemon.stop() == 0
        stopped = [await daemon.cli(*verb) for verb in verbs]
        verbs_of_change = [
            ("retry", "--all"),
            ("cancel", event),
            ("replay", event),
            ("replays", "cancel", "one"),
            ("reload",),
        ]
        for changing in (*verbs_of_change, ("targets", "hold", "audit"), ("status",)):
            await refused(daemon, *changing)
    fields = live[1].pop("fields")
    assert fields.keys() == {"state", "subject", "order"}, "the daemon knows what its source calls them"
    assert stopped[1].pop("fields") is None, "the files alone do not"
    assert stopped == live


async def refused(daemon, *verb):
    """A verb that needs the daemon: exit status 3, nothing on standard output."""
    with pytest.raises(DaemonDiedError, match="ended with 3"):
        await daemon.cli(*verb)


async def fails(daemon, *verb):
    """Run a verb that ends with exit status 1; give what it said."""
    with pytest.raises(DaemonDiedError, match="ended with 1") as error:
        await daemon.cli(*verb)
    return str(error.value)


async def test_names_that_nobody_knows_are_refused_with_those_there_are(home):
    Settings(home).write()
    async with running(home) as daemon:
        for verb in (("retry", "--target", "nope"), ("deliveries", "list", "--target", "nope")):
            assert "there is no target 'nope'; known: audit" in await fails(daemon, *verb)
        assert "there is no event evt_0000000000000001" in await fails(daemon, "retry", "evt_0000000000000001")
        assert (await daemon.cli("deliveries", "list", "--target", "audit"))["deliveries"] == []
        for verb in (("retry",), ("cancel",), ("replay",), ("events", "list"), ("deliveries", "list")):
            told = await fails(daemon, *verb, "--source", "trueworks")
            assert "there is no source 'trueworks'; did you mean \\\"truework\\\"?" in told
        for kind in ("events", "deliveries"):
            assert (await daemon.cli(kind, "list", "--source", "truework"))[kind] == []
        assert await daemon.stop() == 0
        for kind in ("events", "deliveries"):
            told = await fails(daemon, kind, "list", "--source", "trueworks")
            assert "there is no source 'trueworks'; did you mean \\\"truework\\\"?" in told
            assert (await daemon.cli(kind, "list", "--source", "hookgate"))[kind] == []
        told = await fails(daemon, "deliveries", "list", "--target", "audti")
        assert "there is no target 'audti'; did you mean \\\"audit\\\"?" in told
        assert (await daemon.cli("deliveries", "list", "--target", "audit"))["deliveries"] == []


async def test_log_and_status_tell_whole_paths_where_the_folders_are_relative(home):
    Settings(home).write()
    text = home.config.read_text()
    home.write_config(text[: text.index("[admin]")] + text[text.index("[store]") :])
    (home.folder / "var").mkdir()
    environ = {"STATE_DIRECTORY": "", "RUNTIME_DIRECTORY": ""}
    async with running(home, environ, config=Path("hookgate.toml")) as daemon:
        (started,) = daemon.logged("daemon.started")
        assert started["config"] == str(home.config)
        assert started["state"] == f"{home.folder}/var"
        assert started["admin"] == f"unix:{home.folder}/var/run/admin.sock"
        assert daemon.logged("store.opened")[0]["path"] == f"{home.folder}/var/hookgate.db"
        home.admin = home.folder / "var/run/admin.sock"
        status = await daemon.ask("/status")
        assert (status["config_path"], status["store"]["path"]) == (
            str(home.config),
            f"{home.folder}/var/hookgate.db",
        )


async def test_a_gate_that_nobody_opened_is_not_told_as_opened(home):
    Settings(home).write()
    async with running(home) as daemon:
        for verb in ("release", "enable"):
            assert not (await daemon.cli("targets", verb, "audit"))["changed"]
            await fails(daemon, "targets", verb, "nope")
        await daemon.cli("targets", "hold", "audit")
        assert (await daemon.cli("targets", "release", "audit"))["changed"]
        assert len(daemon.logged("target.released")) == 1
        assert not daemon.logged("target.enabled")


async def test_a_target_that_left_with_a_backlog_is_told_at_reload_and_start_with_its_gates(home):
    settings = Settings(home)
    settings.more = f'[targets.crm2]\ntype = "file"\npath = "{home.files}/crm2.jsonl"\n'
    settings.orders_targets = ["crm2"]
    settings.write()
    told = "1 delivery waits for crm2, which the configuration does not name: "
    advice = 'name it again, or write formerly = "crm2" in a new target'
    async with running(home) as daemon:
        await daemon.cli("targets", "hold", "crm2")
        await daemon.cli("send", "truework", "order-completed", *to(daemon))
        settings.more, settings.orders_targets = "", []
        home.write_config(settings.text())
        reloaded = await daemon.cli("reload")
        assert [change for change in reloaded["changes"] if change.startswith(told + advice)]
        (left,) = [each for each in (await daemon.cli("targets", "list"))["targets"] if each["name"] == "crm2"]
        assert [gate["kind"] for gate in left["gates"]] == ["held"]
        assert await daemon.stop() == 0
    async with running(home) as daemon:
        assert [line for line in daemon.logged("config.warned") if line["problem"].startswith(told)]


async def test_A5_no_answer_of_the_admin_listener_holds_a_secret(home):
    Settings(home).write()
    async with running(home) as daemon:
        for provider, sample, _ in SAMPLES:
            await daemon.cli("send", provider, sample, *to(daemon))
        await daemon.wait_settled()
        events = await daemon.ask("/events")
        told = [events, await daemon.ask("/status"), await daemon.ask("/targets"), await daemon.ask("/deliveries")]
        told += [await daemon.ask(f"/events/{event['id']}") for event in events["events"]]
        told += [await daemon.ask("/config", status=404), await daemon.ask("/secrets", status=404)]
    for secret in (ORDERS_TOKEN, STATES_TOKEN, TRUORA_KEY):
        assert secret not in json.dumps(told)
