"""The command against the real process: signed samples arrive, a stopped store is read, no secret is ever told."""

import json

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
        await daemon.wait_settled()
        events = (await daemon.cli("events", "list"))["events"]
        status = await daemon.cli("status")
    assert sorted(event["type"] for event in events) == sorted(kind for *_, kind in SAMPLES * 2)
    assert sum(status["ingress"]["refused"].values()) == 3
    used = {one["name"]: one["used_alone"] for source in status["sources"] for one in source["credentials"]}
    assert used == {"orders": 2, "states": 2, "main": 2}


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
            ("deliveries", "show", event, "0"),
        ]
        live = [await daemon.cli(*verb) for verb in verbs]
        assert await daemon.stop() == 0
        stopped = [await daemon.cli(*verb) for verb in verbs]
        for changing in (("retry", "--all"), ("replay", event), ("targets", "hold", "audit"), ("reload",), ("status",)):
            await refused(daemon, *changing)
    assert stopped == live


async def refused(daemon, *verb):
    """A verb that needs the daemon: exit status 3, nothing on standard output."""
    with pytest.raises(DaemonDiedError, match="ended with 3"):
        await daemon.cli(*verb)


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
