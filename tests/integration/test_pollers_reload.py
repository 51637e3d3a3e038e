"""Pollers that a reload takes away while they are at work."""

from types import SimpleNamespace

import trio
from trio.testing import wait_all_tasks_blocked

from gateway.errors import StoreFullError
from gateway.metrics import Counters
from gateway.pollers.poll import _offer
from gateway.pollers.pollers import Pollers
from gateway.runtime import Runtime
from gateway.wire.guard import Guard


class FullStore:
    """Has no room, and tells when it was asked."""

    def __init__(self, asked):
        self._asked = asked

    async def notes(self, _prefix):
        self._asked()
        raise StoreFullError("no room")


async def test_P15_a_poller_that_a_reload_takes_away_in_the_moment_its_answer_comes_ends_alone(nursery):
    plan = SimpleNamespace(name="list", source="acme", every_seconds=0.001, fingerprint="1", formerly=None)
    gone = trio.Event()

    def reload():
        pollers.use(SimpleNamespace(pollers={}))
        gone.set()

    pollers = Pollers(FullStore(reload), None, Runtime(), Counters(), None, Guard())
    await nursery.start(pollers.run, SimpleNamespace(pollers={"list": plan}))
    with trio.fail_after(20):
        await gone.wait()
    await wait_all_tasks_blocked()
    assert pollers.states() == []
    nursery.cancel_scope.cancel()


async def test_P15_a_page_that_came_while_its_source_was_renamed_moves_no_cursor(nursery):
    paused, scope, offered = trio.Event(), trio.CancelScope(), []
    intake = SimpleNamespace(paused=paused, blueprint=SimpleNamespace(sources={}))

    async def offer():
        with scope:
            offered.append(await _offer(SimpleNamespace(source="acme", match=None), intake, None, []))

    nursery.start_soon(offer)
    await wait_all_tasks_blocked()
    intake.paused = None
    paused.set()
    scope.cancel()  # as the pollers do where their plans have changed
    await wait_all_tasks_blocked()
    assert offered == []
