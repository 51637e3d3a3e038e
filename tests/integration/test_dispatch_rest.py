"""A target that keeps something between deliveries gives it back while there is nothing to deliver."""

import pytest
import trio
from dispatch_bench import plan_for
from structlog.testing import capture_logs
from virtual_world import Endpoint, world


class Keeper(Endpoint):
    """Keeps what a delivery opened until it is asked to rest."""

    def __init__(self, raises=None):
        super().__init__()
        self.kept = self.rests = 0
        self.raises = raises

    async def deliver(self, message):
        self.kept += 1
        return await super().deliver(message)

    def rest(self):
        self.rests += 1
        if self.raises:
            raise self.raises
        self.kept = 0


async def test_P21_a_quiet_target_gives_back_what_it_keeps_within_a_minute_and_goes_on_delivering(autojump_clock):
    keeper = Keeper()
    async with world(plan_for(keeper)) as here:
        await here.accept(3)
        await here.wait_settled()
        assert keeper.kept == 3
        await trio.sleep(60)
        assert keeper.kept == 0
        assert keeper.rests <= 3
        await here.accept(1)
        await here.wait_settled()
        assert keeper.kept == 1


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1)])
async def test_P22_a_target_whose_rest_fails_costs_a_warning_and_nothing_else(error, autojump_clock):
    keeper = Keeper(error)
    async with world(plan_for(keeper)) as here:
        with capture_logs() as logs:
            await trio.sleep(40)
        assert "target.rest_failed" in {entry["event"] for entry in logs}
        await here.accept(1)
        await here.wait_settled()
        assert keeper.kept == 1
