"""A reload that comes while the key of a request is fetched: its event is never taken under a name that is gone."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gateway.blueprint import build
from gateway.config.load import load


def without(folder, name):
    """Build the configuration with another name of the source, on the same path."""
    config = folder / "config.toml"
    text = config.read_text().replace(f"[sources.{name}", "[sources.other")
    text = text.replace(f'source = "{name}"', 'source = "other"')
    config.write_text(
        text.replace("[sources.other]", f'[sources.other]\nformerly = "{name}"\npath = "/hooks/{name}"', 1)
    )
    return build(load(config, {"STATE_DIRECTORY": str(folder)}))


async def test_P2_who_waits_for_a_stuck_reload_once_its_key_is_there_is_told_after_seconds(
    open_door, monkeypatch, nursery
):
    monkeypatch.setattr("gateway.intake.LATE_SECONDS", 0.05)
    async with open_door("kinde") as door:
        plan, paused, over = door.plan(door.preset.samples[0]), trio.Event(), trio.Event()
        fetch = door.ring._fetch

        async def pause():
            async with door.intake.pause():
                paused.set()
                await over.wait()

        async def fetch_until_paused(ref):
            nursery.start_soon(pause)
            await paused.wait()
            return await fetch(ref)

        door.ring._fetch = fetch_until_paused
        assert await door.post(plan.signed(plan.request(0, door.runtime.now_ms(), ()))) == 503
        over.set()
        assert await door.events() == []


@pytest.mark.parametrize("paused", [True, False])
async def test_P15_a_source_that_is_renamed_while_its_key_is_fetched_takes_nothing_under_its_old_name(
    open_door, tmp_path, paused, nursery
):
    async with open_door("kinde") as door:
        request = door.plan(door.preset.samples[0]).signed(
            door.plan(door.preset.samples[0]).request(0, door.runtime.now_ms(), ())
        )
        built, answered, statuses = without(tmp_path / "kinde", "kinde"), trio.Event(), []
        fetch = door.ring._fetch

        async def fetch_later(ref):
            await answered.wait()
            return await fetch(ref)

        async def post():
            statuses.append(await door.post(request))

        door.ring._fetch = fetch_later
        nursery.start_soon(post)
        await wait_all_tasks_blocked()
        if paused:
            async with door.intake.pause():
                answered.set()
                await wait_all_tasks_blocked()
                assert statuses == [], "nothing is planned while names change owners"
                door.receiver.use(built)
        else:
            door.receiver.use(built)
            answered.set()
        await wait_all_tasks_blocked()
        assert statuses == [503]
        assert await door.events() == []
        assert await door.post(request) == 200
        assert [event.source for event in await door.events()] == ["other"]
