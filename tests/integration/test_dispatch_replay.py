"""Live traffic beside a replay, in virtual time: it never waits for more of it than one window holds."""

import pytest
import trio
from dispatch_bench import accept, plan_for
from virtual_world import Endpoint, world

from gateway.core.model import Delivered, Retry
from gateway.core.pace import AHEAD_SECONDS, Rate
from gateway.dispatch.runner import WINDOW_MIN
from gateway.replayer import BACKLOG_MAX
from gateway.store.contract import NewDelivery
from gateway.store.operator import Advance, Planned, Replay

LIVE = 400
SLOW = 1.0


async def replay(here, count):
    """Have `count` old events wait for the target by a replay, as many as one lets wait at most."""
    ids = [await accept(here.store, -number, now=here.runtime.now_ms()) for number in range(1, count + 1)]
    await here.store.operator.begin_replay(Replay("r", here.runtime.now_ms(), "uid 0", "{}"))
    planned = [Planned(event_id, (NewDelivery("orders", "crm", False),)) for event_id in ids]
    await here.store.operator.advance_replay("r", Advance(planned, 0, 0, ids[-1], done=True))
    here.dispatcher.hint("crm")


async def waits_of(here, endpoint, every):
    """Accept live events one by one; give how long each waited for its first try."""
    came = {}
    for _ in range(LIVE):
        await here.accept()
        came[b'{"n":%d}' % here.accepted] = trio.current_time()
        await trio.sleep(every)
    await here.wait_settled()
    first = {content: when for when, content in reversed(endpoint.tries)}
    return [first[content] - when for content, when in came.items()]


@pytest.mark.parametrize(
    ("special", "window"),
    [({"concurrency": 1}, WINDOW_MIN * SLOW), ({"rate": Rate(1.0, 1), "concurrency": 4}, AHEAD_SECONDS + 2 * SLOW)],
    ids=["one at a time", "one a second"],
)
async def test_live_traffic_waits_for_no_more_of_a_replay_than_one_window_holds(special, window, autojump_clock):
    """Nine live events in the time of ten tries: first come, first served would have them wait for the whole replay."""
    endpoint = Endpoint(seconds=SLOW - 0.01)
    async with world(plan_for(endpoint, **special)) as here:
        await replay(here, BACKLOG_MAX)
        waits = await waits_of(here, endpoint, every=SLOW / 0.9)
        assert max(waits) <= window
        assert {row.state for row in await here.rows()} == {"delivered"}, "and all of the replay comes in the end"


async def test_a_live_event_that_is_tried_again_goes_before_a_replay(autojump_clock):
    endpoint = Endpoint(seconds=SLOW - 0.01)
    async with world(plan_for(endpoint, concurrency=1, retry={"delays": ["10s"]})) as here:
        endpoint.outcome = Retry("HTTP 500")
        await here.accept()
        await trio.sleep(SLOW)
        endpoint.outcome = Delivered()
        await replay(here, BACKLOG_MAX)
        await trio.sleep(10 + WINDOW_MIN * SLOW)
        assert [content for _, content in endpoint.tries].count(b'{"n":1}') == 2
