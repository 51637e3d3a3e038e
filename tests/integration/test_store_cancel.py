"""Callers that are cancelled after their commit, before they hear of it: what was claimed for them goes back."""

import pytest
import trio
from store_faults import disk
from store_samples import desk_on


@pytest.fixture
def counted():
    with disk() as shim:
        yield shim


class CancelOnceCommitted(trio.abc.Instrument):
    """Holds the trio thread after the caller's first step until its commit is flushed, then cancels it."""

    def __init__(self, counted):
        self.counted = counted
        self.scope = trio.CancelScope()
        self.caller = None

    def after_task_step(self, task):
        if task is self.caller and not self.scope.cancel_called:
            while not self.counted.calls.count(("sync", "-wal")):
                pass  # the writer thread goes on meanwhile
            self.scope.cancel()


async def cancel_between_commit_and_answer(counted, call):
    counted.calls.clear()
    instrument = CancelOnceCommitted(counted)
    trio.lowlevel.add_instrument(instrument)
    try:
        with instrument.scope:
            instrument.caller = trio.lowlevel.current_task()
            await call()
    finally:
        trio.lowlevel.remove_instrument(instrument)
    assert instrument.scope.cancelled_caught


@pytest.mark.parametrize("verb", ["accept", "claim"])
async def test_what_a_cancelled_caller_had_claimed_is_due_again(verb, counted, tmp_path):
    async with desk_on(tmp_path / "h.db") as desk:
        waited = 7 if verb == "claim" else 0
        if verb == "claim":
            await desk.accept_one("k")
            again = desk.ended(await desk.claim_one(), "pending", "500", desk.runtime.now_ms())
            await desk.record(again._replace(waited=7))
            await cancel_between_commit_and_answer(counted, desk.claim)
        else:
            await cancel_between_commit_and_answer(counted, lambda: desk.accept_one("k", admitted=True))
        await desk.store.probe()
        await desk.store.probe()
        assert desk.store.backlog("crm")[:2] == (1, 0)
        delivery = await desk.claim_one()
        assert delivery.claims == 2 + delivery.attempts, "it had been committed as claimed"
        assert delivery.waited == waited
