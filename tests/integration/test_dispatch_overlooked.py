"""P28 in virtual time: what is due and looked at by nobody is told within 30 s, and nothing else is."""

import pytest
import trio
from dispatch_bench import accept, plan_for
from virtual_world import Endpoint, world

from gateway.core.model import Delivery, Retry, StoredEvent, TargetDown
from gateway.dispatch.overlooked import OVERLOOKED_SECONDS, overlooked
from gateway.store.contract import Backlog, Claim


@pytest.mark.parametrize("stuck", ["claim", "note_waiting"])
async def test_P28_a_task_that_is_stuck_is_told_within_30_seconds_of_what_is_due(stuck, monkeypatch, autojump_clock):
    endpoint = Endpoint()
    async with world(plan_for(endpoint)) as here:

        async def hang(*_):
            await trio.sleep_forever()

        if stuck == "claim":
            monkeypatch.setattr(here.store, "claim", hang)
        else:
            endpoint.outcome = TargetDown("refused")
            monkeypatch.setattr(here.gates, "note_waiting", hang)
        await here.accept(3)
        await trio.sleep(30)
        (told,) = here.dispatcher.overlooked()
        assert told.startswith("deliveries to crm have been due for ")


async def test_P28_a_task_that_has_ended_is_told(autojump_clock):
    async with world(plan_for(Endpoint())) as here:
        await trio.sleep(1)
        here.dispatcher.runners["crm"].drain()
        await here.accept(1)
        await trio.sleep(30)
        assert len(here.dispatcher.overlooked()) == 1


@pytest.mark.parametrize("trouble", ["slow", "down", "retries", "held"])
async def test_P28_a_target_with_trouble_of_its_own_is_not_told_of(trouble, autojump_clock):
    """Every delivery takes longer than anybody waits here, or none is tried: that is no fault of ours."""
    endpoint = Endpoint(seconds=25.0 if trouble == "slow" else 0.01)
    endpoint.outcome = {"down": TargetDown("refused"), "retries": Retry("HTTP 500")}.get(trouble, endpoint.outcome)
    async with world(plan_for(endpoint, concurrency=1)) as here:
        if trouble == "held":
            await here.dispatcher.hold("crm", "maintenance")
        await here.accept(300)
        for _ in range(600):
            await trio.sleep(1)
            assert here.dispatcher.overlooked() == []


async def test_P28_a_full_window_hides_no_retry_that_is_due(autojump_clock):
    """Nothing waited in the store when the target was looked at last, and no slot becomes free that would hint."""
    endpoint = Endpoint(seconds=1.0)
    endpoint.outcome = Retry("HTTP 500")
    async with world(plan_for(endpoint, concurrency=1, retry={"delays": [3], "jitter": 0})) as here:
        await trio.sleep(0.5)
        for number in range(60):
            await hand_over(here, number, f"source{number % 12}")
        await trio.sleep(1.1)
        endpoint.seconds = 25.0
        for _ in range(60):
            await trio.sleep(1)
            assert here.dispatcher.overlooked() == []


async def hand_over(here, number, source):
    """Accept an event and have it delivered from memory, as the listener does."""
    lane = here.dispatcher.reserve("crm", 600, source)
    now = here.runtime.now_ms()
    event_id = await accept(here.store, number, "crm", admitted=True, now=now)
    event = StoredEvent(event_id, source, "main", "order.completed", "1", None, now, b"", b"{}", None)
    lane.hand_over(Claim(Delivery(event_id, 0, "crm", "orders", 1, 0, 0, None, now), event), 600)


@pytest.mark.parametrize(
    ("backlog", "looked", "tells"),
    [
        (Backlog(1, 0, 0, 0), 0.0, True),
        (Backlog(1, 0, 0, 0), OVERLOOKED_SECONDS + 1, False),
        (Backlog(1, 0, 0, 30_000), 0.0, False),
        (Backlog(1, 0, 0, 0), None, False),
        (Backlog(0, 5, 9, None), 0.0, False),
        (Backlog(2, 0, 0, 0, waiting=2), 0.0, False),
    ],
    ids=["overlooked", "just looked at", "not due long", "being opened", "nothing pending", "waits for another"],
)
def test_P28_what_counts_as_overlooked(backlog, looked, tells):
    now = OVERLOOKED_SECONDS + 10
    assert (overlooked("crm", backlog, looked, int(now * 1000), now) is not None) == tells
