"""Replays carried out on a real store and a real configuration: where they go, what they wait for, how they end."""

from pathlib import Path

import pytest
import trio
import trio.testing
from ingress_bench import CONFIG, order, parts_of
from structlog.testing import capture_logs

from gateway import desk as desk_module
from gateway import replayer as module
from gateway.admin.desk import Asker
from gateway.admin.operations import NotPossibleError
from gateway.blueprint import OWN_SOURCE
from gateway.desk import OperatorDesk
from gateway.dispatch.dispatcher import Dispatcher
from gateway.narrator import Narrator
from gateway.replay_plan import ReplayPlan, read_plan
from gateway.replayer import Replayer
from gateway.store.contract import DeliveryQuery, Keep, Rename
from gateway.store.operator import DeliveryFilter, EventFilter, Note, Position, Replay

ALL = EventFilter(without_source=OWN_SOURCE)
TO_CRM = ReplayPlan(ALL, ("crm",))
PLACE = (Path("/nowhere"), ())
NOTE = Note("uid 0", "r", "wrong")


class Desk:
    """A replayer at work, with its store."""

    def __init__(self, parts, nursery, clock):
        self.parts, self.clock = parts, clock
        self.operator = parts.store.operator
        self.replayer = Replayer(parts.store, parts.intake, parts.admission, parts.runtime)
        self.nursery = nursery

    async def begin(self, plan, name="r"):
        await self.operator.begin_replay(Replay(name, self.parts.runtime.now_ms(), "uid 0", plan.write()))
        self.replayer.begin(await self.operator.replay(name))

    async def until(self, done):
        """Let the clock go on until the replay is as `done` says; give it."""
        while not done(row := await self.operator.replay("r")):
            self.clock.jump(0.25)
        return row

    async def ended(self):
        return await self.until(lambda row: row.state != "running" and not self.replayer.running)

    async def carried_out(self, plan):
        await self.begin(plan)
        return await self.ended()

    async def added(self, name="r"):
        rows = await self.parts.store.deliveries(DeliveryQuery(limit=1000))
        return sorted(row.target for row in rows if row.replay == name)


@pytest.fixture
async def desk(tmp_path, nursery, mock_clock):
    async with parts_of(tmp_path) as parts:
        desk = Desk(parts, nursery, mock_clock)
        await nursery.start(desk.replayer.run)
        for number in range(3):
            await parts.post(order(f"o-{number}"))
        yield desk
        nursery.cancel_scope.cancel()


async def test_it_goes_by_the_routes_of_the_moment_and_tells_dispatch(desk):
    desk.parts.use(CONFIG.replace('targets = ["crm", "audit"]', 'targets = ["audit"]'))
    row = await desk.carried_out(ReplayPlan(ALL, per_second=1000.0))
    assert (row.state, row.events, row.added, row.left_out, row.passed_over) == ("done", 3, 3, 0, 0)
    assert await desk.added() == ["audit"] * 3
    assert "audit" in desk.parts.admission.hinted


async def test_it_ends_with_what_was_there_when_it_was_asked_for(desk):
    await desk.operator.begin_replay(Replay("r", 0, "uid 0", TO_CRM.write()))
    await desk.parts.post(order("later"))
    desk.replayer.begin(await desk.operator.replay("r"))
    assert (await desk.ended()).events == 3


async def test_P14_what_is_asked_for_in_the_last_moment_of_a_stop_is_carried_out_by_the_next_process(
    tmp_path, mock_clock
):
    async with parts_of(tmp_path) as parts:
        await parts.post(order("o-1"))
        async with trio.open_nursery() as nursery:
            desk = Desk(parts, nursery, mock_clock)
            await nursery.start(desk.replayer.run)
            nursery.cancel_scope.cancel()
        await desk.begin(TO_CRM)
        assert (await desk.operator.replay("r")).state == "running"
        async with trio.open_nursery() as nursery:
            await nursery.start(desk.replayer.run)
            assert (await desk.ended()).added == 1
            nursery.cancel_scope.cancel()


async def test_the_same_targets_are_those_of_then_as_they_are_called_now(desk):
    await desk.parts.store.rename([Rename("target", "crm", "sales")])
    renamed = CONFIG.replace("[targets.crm]", '[targets.sales]\nformerly = "crm"').replace('"crm", "audit"', '"audit"')
    desk.parts.use(renamed.replace('targets = ["audit"]', 'targets = ["ops"]'))
    assert (await desk.carried_out(ReplayPlan(ALL, same=True, per_second=1000.0))).added == 6
    assert await desk.added() == ["audit"] * 3 + ["sales"] * 3


async def test_a_target_that_is_renamed_half_way_gets_the_rest_under_its_new_name(desk):
    await desk.begin(TO_CRM._replace(per_second=1.0))
    await desk.until(lambda row: row.events == 1)
    async with desk.parts.intake.pause():
        await desk.parts.store.rename([Rename("target", "crm", "sales")])
        desk.parts.use(
            CONFIG.replace("[targets.crm]", '[targets.sales]\nformerly = "crm"').replace('"crm", "audit"', '"audit"')
        )
    assert (await desk.ended()).added == 3
    assert await desk.added() == ["sales"] * 3


async def rename_source(desk):
    await desk.parts.store.rename([Rename("source", "truework", "tw")])
    renamed = CONFIG.replace("[sources.truework]", '[sources.tw]\nformerly = "truework"')
    desk.parts.use(
        renamed.replace("[sources.truework.", "[sources.tw.").replace('source = "truework"', 'source = "tw"')
    )


async def test_a_source_that_is_renamed_half_way_is_replayed_to_its_end(desk):
    await desk.begin(ReplayPlan(ALL._replace(source="truework"), per_second=1.0))
    await desk.until(lambda row: row.events == 1)
    async with desk.parts.intake.pause():
        await rename_source(desk)
    row = await desk.ended()
    assert (row.events, row.added, row.passed_over) == (3, 6, 0)


async def test_a_source_renamed_half_way_is_replayed_to_its_end_though_formerly_is_dropped_at_once(desk):
    asked = ReplayPlan(ALL._replace(source="truework"), per_second=1.0)
    await desk.begin(asked)
    await desk.until(lambda row: row.events == 1)
    async with desk.parts.intake.pause():
        await rename_source(desk)
        renamed = CONFIG.replace("[sources.truework", "[sources.tw").replace('source = "truework"', 'source = "tw"')
        desk.parts.use(renamed)
    row = await desk.ended()
    assert (row.state, row.events, row.added) == ("done", 3, 6)
    assert read_plan(row.plan) == asked, "the same id still stands for what was asked for"


async def test_events_that_were_read_before_their_source_was_renamed_are_not_passed_over(desk, monkeypatch):
    renamed, read = trio.Event(), desk.operator.select_events

    async def read_while_it_is_renamed(*arguments):
        found = await read(*arguments)
        desk.nursery.start_soon(rename)
        await trio.testing.wait_all_tasks_blocked()
        return found

    async def rename():
        async with desk.parts.intake.pause():
            if not renamed.is_set():
                await rename_source(desk)
            renamed.set()

    monkeypatch.setattr(desk.operator, "select_events", read_while_it_is_renamed)
    row = await desk.carried_out(ReplayPlan(ALL, per_second=1000.0))
    await renamed.wait()
    assert (row.events, row.added, row.passed_over) == (3, 6, 0)


async def test_a_moment_beyond_all_ids_selects_nothing_or_everything_and_ends_nobody(desk):
    moment = 253_402_300_799_999  # the last of the year 9999
    assert (await desk.carried_out(TO_CRM._replace(chosen=ALL._replace(since=moment)))).events == 0
    found = await desk.operator.select_deliveries(DeliveryFilter(("pending",), until=moment), Position(), 100)
    assert len(found.found) == 6
    assert not (await desk.operator.select_deliveries(DeliveryFilter(("pending",), since=moment), Position(), 1)).found


async def test_P22_a_replay_that_cannot_be_read_is_ended_and_told_and_ends_nobody_else(desk):
    await desk.operator.begin_replay(Replay("r", 0, "uid 0", '{"chosen":{"of another version":1}}'))
    with capture_logs() as told:
        desk.replayer.begin(await desk.operator.replay("r"))
        row = await desk.ended()
    assert row.state == "cancelled"
    assert row.reason.startswith("it cannot go on: ")
    assert [each["replay"] for each in told if each["event"] == "replay.failed"] == ["r"]


async def test_nothing_is_planned_while_names_change_owners(desk):
    async with desk.parts.intake.pause():
        await desk.begin(TO_CRM)
        for _ in range(20):
            await desk.parts.store.probe()
            desk.clock.jump(1)
        assert await desk.added() == []
    assert (await desk.ended()).added == 3


async def test_it_waits_for_a_target_that_the_configuration_does_not_name_and_says_so(desk):
    desk.parts.use(CONFIG.replace("[targets.crm]", "[targets.other]").replace('"crm", "audit"', '"audit"'))
    await desk.begin(TO_CRM)
    await desk.until(lambda _: desk.replayer.waits)
    assert desk.replayer.waits == {"r": "the configuration does not name the target crm"}
    desk.parts.use(CONFIG)
    assert (await desk.ended()).added == 3
    assert desk.replayer.waits == {}


async def test_it_waits_while_much_waits_for_its_target_and_can_be_cancelled_meanwhile(desk, monkeypatch):
    monkeypatch.setattr(module, "BACKLOG_MAX", 4)
    await desk.begin(TO_CRM._replace(per_second=4.0))
    row = await desk.until(lambda _: desk.replayer.waits)
    assert row.added == 1, "three of the first time, and one"
    assert desk.replayer.waits == {"r": "4 deliveries wait for crm already"}
    await desk.operator.cancel_replay("r", NOTE)
    desk.replayer.stop("r")
    await desk.replayer.wait("r", 60)
    assert (desk.replayer.running, desk.replayer.waits) == (0, {})
    assert await desk.added() == ["crm"]


async def test_whoever_cancels_at_the_desk_frees_its_place_at_once_also_while_it_waits(desk, monkeypatch):
    monkeypatch.setattr(module, "BACKLOG_MAX", 3)
    monkeypatch.setattr(desk_module, "WAIT_SECONDS", 0.0)
    parts = desk.parts
    dispatcher = Dispatcher(
        parts.store, parts.runtime, Narrator(parts.counters, parts.announcer, parts.runtime), *PLACE
    )
    at = OperatorDesk(parts.store, parts.intake, dispatcher, desk.replayer, parts.runtime)
    begun = await at.replay("r", TO_CRM._replace(per_second=1.0), Asker(0, "alice"))
    assert (begun.replay.state, begun.replay.who) == ("running", "uid 0 (root), says alice")
    await desk.until(lambda _: desk.replayer.waits)
    assert (await at.find_replay("r")).waits == "4 deliveries wait for crm already"
    ended = await at.cancel_replay("r", "wrong", Asker(None))
    await desk.replayer.wait("r", 60)
    assert (ended.replay.state, ended.waits, desk.replayer.running) == ("cancelled", "", 0)
    monkeypatch.setattr(desk_module, "RUNNING_MAX", 1)
    await at.replay("a", TO_CRM._replace(per_second=0.001), Asker(0))
    with pytest.raises(NotPossibleError, match="1 replays are running"):
        await at.replay("b", TO_CRM, Asker(0))


async def test_it_keeps_its_pace(desk):
    await desk.begin(TO_CRM._replace(per_second=0.5))
    began = trio.current_time()
    await desk.until(lambda row: row.events == 3)
    assert trio.current_time() - began >= 2 / 0.5 - 0.25


async def test_what_has_no_payload_or_no_route_any_more_is_passed_over_and_counted(desk):
    await desk.parts.store.operator.cancel([(row.event_id, row.n) for row in await _rows(desk)], NOTE)
    later = desk.parts.runtime.now_ms() + 10_000
    while await desk.parts.store.retain(Keep(1, 10**12, 10**12, 10**12), later):
        pass
    row = await desk.carried_out(TO_CRM)
    assert (row.events, row.passed_over) == (0, 3)


async def _rows(desk):
    return await desk.parts.store.deliveries(DeliveryQuery(limit=1000))


async def test_a_process_that_starts_goes_on_with_what_runs(desk):
    await desk.operator.begin_replay(Replay("r", 0, "uid 0", TO_CRM.write()))
    again = Replayer(desk.parts.store, desk.parts.intake, desk.parts.admission, desk.parts.runtime)
    await desk.nursery.start(again.run)
    assert (await desk.until(lambda row: row.state == "done")).added == 3


async def test_an_id_is_one_replay_whatever_its_pace_and_times():
    plan = ReplayPlan(EventFilter(source="acme", since=5), ("crm",))
    assert plan.is_like(plan._replace(per_second=1.0, chosen=EventFilter(source="acme", since=6)))
    assert not plan.is_like(plan._replace(targets=("audit",)))
    assert not plan.is_like(plan._replace(chosen=EventFilter(source="bank", since=5)))


async def test_what_a_repeat_plans_between_a_steps_reading_and_its_writing_is_not_planned_twice(desk, monkeypatch):
    desk.parts.use(CONFIG.replace('event = "order.completed"\nmatch', 'event = "order.none"\nmatch'))
    held = order("o-held")
    await desk.parts.post(held)
    desk.parts.use(CONFIG)
    select = desk.operator.select_events

    async def then_it_comes_again(*values):
        selected = await select(*values)
        assert len(selected.found) == 1
        await desk.parts.post(held)
        return selected

    monkeypatch.setattr(desk.operator, "select_events", then_it_comes_again)
    row = await desk.carried_out(ReplayPlan(ALL._replace(hold="unmatched")))
    assert (row.state, row.added, row.passed_over) == ("done", 0, 1)
    assert await desk.added(None) == ["audit"] * 4 + ["crm"] * 4, "all four events went to both targets once"
