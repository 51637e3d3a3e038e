"""Outages of hours in virtual time: nothing is spent on a target that is down, and nothing is lost by it."""

from dataclasses import replace
from functools import partial

import orjson
import pytest
import trio
from dispatch_bench import Plans, plan_for
from virtual_world import Endpoint, world

from gateway.core.breaker import OPEN_MAX_MS
from gateway.core.failures import DisableRule
from gateway.core.model import Delivered, NotTried, Rejected, Retry, TargetDown
from gateway.core.pace import Rate
from gateway.core.render import Renderer, RenderError
from gateway.dispatch.dispatcher import MEMO_SECONDS
from gateway.dispatch.memory import owned_notes
from gateway.plugin import HttpReply
from gateway.store.contract import Rename
from gateway.store.memory_tables import MemoryTables
from gateway.targets.verdicts import judge_reply

HOUR = 3600.0
TRUORA = DisableRule(0.8, 3_600_000, 20)
PROBES = 6 * HOUR / (OPEN_MAX_MS / 1000) + 7
"""So many fit into six hours: one every five minutes, after the first few."""
UNAUTHORIZED = judge_reply(HttpReply(401, [], b"", truncated=False), 5, 0)


@pytest.mark.parametrize(
    ("outcome", "before_it_opens"),
    [(TargetDown("refused"), 1), (UNAUTHORIZED, 1), (Retry("HTTP 500"), 20), (Retry("timeout"), 20)],
    ids=["refused", "401", "500", "timeout"],
)
async def test_P13_six_hours_down_cost_nothing_but_probes_and_every_event_arrives_once(
    outcome, before_it_opens, autojump_clock
):
    endpoint = Endpoint()
    async with world(plan_for(endpoint)) as here:
        endpoint.outcome = outcome
        await here.accept(2160, every=10)
        assert len(endpoint.tries) <= before_it_opens + PROBES
        assert endpoint.most <= 1 or before_it_opens > 1
        endpoint.outcome = Delivered()
        back = len(endpoint.tries)
        await here.wait_settled()
        rows = await here.rows()
        assert [row.state for row in rows] == ["delivered"] * 2160
        assert len(endpoint.tries) - back == 2160
        if isinstance(outcome, TargetDown):
            assert {row.attempts for row in rows} == {1}, "the outage cost no attempt"
        assert await here.store.gates() == []
        assert here.watcher.opened == ["crm"]


class EveryOther:
    """A renderer that has no message for every other event."""

    def render(self, delivery, event, *more):
        if orjson.loads(event.body)["n"] % 2:
            raise RenderError("template: there is nothing at body.m")
        return Renderer("payload").render(delivery, event, *more)


async def test_P13_an_event_that_has_no_message_is_no_answer_of_a_target_that_is_down(autojump_clock):
    endpoint = Endpoint()
    endpoint.outcome = TargetDown("refused")
    async with world(replace(plan_for(endpoint), renderer=EveryOther())) as here:
        await here.accept(60, every=10)
        assert here.watcher.opened == []
        assert [gate.kind for gate in await here.store.gates()] == ["breaker"]
        endpoint.outcome = Delivered()
        await here.wait_settled()
        assert sorted(row.state for row in await here.rows()) == ["dead"] * 30 + ["delivered"] * 30
        assert here.watcher.opened == ["crm"]


async def test_P13_nothing_is_tried_but_what_is_under_way_when_the_breaker_opens(monkeypatch, autojump_clock):
    endpoint = Endpoint()
    endpoint.outcome = TargetDown("refused")
    async with world(plan_for(endpoint, concurrency=4)) as here:
        close_gate = here.store.close_gate

        async def slowly(gate):
            await trio.sleep(2)
            await close_gate(gate)

        monkeypatch.setattr(here.store, "close_gate", slowly)
        await here.accept(100)
        await trio.sleep(4)
        assert len(endpoint.tries) == 4


BUSY = judge_reply(HttpReply(429, [(b"retry-after", b"60")], b"", truncated=False), 5, 0)


async def test_P11_a_busy_target_that_asks_for_time_gets_nothing_meanwhile_and_others_spend_no_attempt(autojump_clock):
    endpoint = Endpoint()
    async with world(plan_for(endpoint, disable=TRUORA)) as here:
        endpoint.outcome = BUSY
        await here.accept()
        await trio.sleep(1)
        endpoint.outcome = Delivered()
        began = trio.current_time()
        await here.accept(100)
        await trio.sleep(57)
        assert len(endpoint.tries) == 1
        (gate,) = await here.store.gates()
        assert gate.reason == "it asks for time: HTTP 429"
        await here.wait_settled()
        assert 58 <= endpoint.tries[1][0] - began <= 61
        assert sorted(row.attempts for row in await here.rows()) == [1] * 100 + [2]
        assert (here.watcher.asked, here.watcher.opened) == (1, []), "it never was down"
        assert await here.store.gates() == []


async def test_P11_one_that_asks_for_long_is_asked_again_by_a_probe_before(autojump_clock):
    endpoint = Endpoint()
    async with world(plan_for(endpoint, concurrency=1, retry={"delays": ["1s"], "pause": "30s"})) as here:
        endpoint.outcome = Retry("HTTP 503", 3600, throttle=True)
        await here.accept(10)
        await trio.sleep(100)
        assert [int(when) for when, _ in endpoint.tries] == [0, 30, 60, 90]
        assert [row.attempts for row in await here.rows()].count(0) == 6


async def test_what_a_single_delivery_is_asked_to_wait_delays_no_other_without_pause(autojump_clock):
    endpoint = Endpoint()
    async with world(plan_for(endpoint, retry={"delays": ["1s"], "pause": "0s"})) as here:
        endpoint.outcome = BUSY
        await here.accept()
        await trio.sleep(1)
        endpoint.outcome = Delivered()
        await here.accept(20)
        await trio.sleep(10)
        assert len(endpoint.tries) == 21
        assert await here.store.gates() == []


async def test_P11_the_drain_begins_with_one_at_a_time_and_doubles_every_two_seconds(autojump_clock):
    endpoint = Endpoint()
    async with world(plan_for(endpoint, concurrency=8)) as here:
        endpoint.outcome = TargetDown("refused")
        await here.accept(3000)
        await trio.sleep(100)
        endpoint.outcome, endpoint.most = Delivered(), 0
        while not here.watcher.opened:
            await trio.sleep(0.01)
        back = trio.current_time()
        await trio.sleep(1.9)
        assert endpoint.most == 1
        await here.wait_settled()
        seconds = endpoint.since(back)
        assert sum(seconds[:2]) <= 21
        assert sum(seconds[2:4]) <= 41
        assert sum(seconds[4:6]) <= 81
        assert max(seconds) > 400, "in the end it goes as fast as the target takes it"


async def test_P11_an_end_of_the_process_in_a_slow_start_makes_no_herd(autojump_clock):
    tables, endpoint = MemoryTables(), Endpoint()
    async with world(plan_for(endpoint), tables=tables) as here:
        endpoint.outcome = TargetDown("refused")
        await here.accept(1000)
        await trio.sleep(20)
        endpoint.outcome = Delivered()
        while not here.watcher.opened:
            await trio.sleep(0.01)
        await trio.sleep(1)
        assert await here.store.gates() == []
    endpoint.most, again = 0, trio.current_time()
    async with world(plan_for(endpoint), tables=tables) as here:
        await trio.sleep(1.9)
        assert endpoint.most == 1
        assert 10 <= sum(endpoint.since(again)) <= 21
        await here.wait_settled()


async def test_P11_a_target_with_too_much_to_do_gets_less_at_once_and_then_more_again(autojump_clock):
    endpoint = Endpoint(seconds=0.5)
    async with world(plan_for(endpoint, concurrency=16)) as here:
        await here.accept(400)
        await trio.sleep(3.2)  # between two rounds, so that one of them meets it
        assert endpoint.running == 16
        endpoint.outcome = Retry("HTTP 429", throttle=True)
        await trio.sleep(0.6)
        endpoint.outcome, endpoint.most = Delivered(), 0
        await trio.sleep(1)
        assert 1 <= endpoint.running <= 8
        await trio.sleep(8)
        assert endpoint.most == 16
        await here.wait_settled()


async def test_P13_a_restart_behind_an_open_breaker_tries_nothing_before_its_time(autojump_clock):
    tables, endpoint = MemoryTables(), Endpoint()
    endpoint.outcome = TargetDown("refused", after=HOUR)
    async with world(plan_for(endpoint), tables=tables) as here:
        await here.accept(50)
        await trio.sleep(600)
    spent = len(endpoint.tries)
    async with world(plan_for(endpoint), tables=tables) as here:
        await trio.sleep(HOUR - 610)
        assert len(endpoint.tries) == spent
        await trio.sleep(20)
        assert len(endpoint.tries) == spent + 1


ASKS = Retry("HTTP 503", 1800, throttle=True)
PAUSED = {"delays": ["1s"], "then": "1h", "give_up": "3d", "pause": "1h"}


async def test_P13_a_restart_within_a_pause_that_was_asked_for_is_no_outage(autojump_clock):
    tables, endpoint = MemoryTables(), Endpoint()
    endpoint.outcome = ASKS
    plan = plan_for(endpoint, disable=TRUORA, retry=PAUSED)
    async with world(plan, tables=tables) as here:
        await here.accept()
        await trio.sleep(1)
    endpoint.outcome = Delivered()
    async with world(plan, tables=tables) as here:
        await here.accept(60, every=20)
        assert [gate.kind for gate in await here.store.gates()] == ["breaker"], "what came is not counted as failed"
        await here.wait_settled()
        assert (here.watcher.closed, here.watcher.opened) == ([], []), "nobody was told that it is down, nor back"
    endpoint.outcome = ASKS
    async with world(plan, tables=tables) as here:
        await here.accept()
        await trio.sleep(1)
        changed = Plans(replace(plan, fingerprint="2"))
        await here.dispatcher.use(changed)
        await here.accept(60, every=20)
        assert [gate.kind for gate in await here.store.gates()] == ["breaker"], "over a reload, too"


async def test_P13_who_was_told_that_a_target_is_down_is_told_that_it_is_back_after_pause_and_restart(autojump_clock):
    tables, endpoint = MemoryTables(), Endpoint()
    plan = plan_for(endpoint, retry=PAUSED)
    async with world(plan, tables=tables) as here:
        endpoint.outcome = ASKS
        await here.accept()
        await trio.sleep(1)
    async with world(plan, tables=tables) as here:
        endpoint.outcome = TargetDown("refused")
        await trio.sleep(1810)
        assert [gate.reason for gate in here.watcher.closed] == ["refused"], "it is down now"
        endpoint.outcome = ASKS
        await trio.sleep(20)
        assert (await here.store.gates())[0].reason.startswith("it asks for time")
    async with world(plan, tables=tables) as here:
        endpoint.outcome = Delivered()
        await here.wait_settled()
        assert here.watcher.opened == ["crm"]


async def test_truoras_rule_disables_a_target_that_fails_and_an_operator_resumes(autojump_clock):
    endpoint = Endpoint()
    async with world(plan_for(endpoint, disable=TRUORA)) as here:
        await here.accept(60, every=60)
        assert here.watcher.closed == [], "an hour of success"
        endpoint.outcome = TargetDown("refused")
        begun = trio.current_time()
        while here.watcher.closed == [] or here.watcher.closed[-1].kind != "disabled":
            await here.accept(1, every=60)
        assert trio.current_time() - begun == pytest.approx(48 * 60, abs=180), "when 80 % of an hour's failed"
        assert [gate.kind for gate in await here.store.gates()] == ["disabled"]
        (told,) = [gate for gate in here.watcher.closed if gate.kind == "disabled"]
        assert "deliveries within 1h failed, the last: refused" in told.reason
        endpoint.outcome, spent = Delivered(), len(endpoint.tries)
        await here.accept(20, every=60)
        assert len(endpoint.tries) == spent, "nothing is tried, not even a probe"
        await here.dispatcher.open("crm", ("disabled", "breaker"))
        await here.wait_settled()
        rows = await here.rows()
        assert [row.state for row in rows] == ["delivered"] * here.accepted
        assert {row.attempts for row in rows} == {1}


@pytest.mark.parametrize("outcome", [Retry("HTTP 500"), Rejected("HTTP 422")])
async def test_a_target_that_answers_badly_is_disabled_before_its_deliveries_die_in_masses(outcome, autojump_clock):
    endpoint = Endpoint()
    endpoint.outcome = outcome
    async with world(plan_for(endpoint, concurrency=1, disable=TRUORA)) as here:
        await here.accept(500)
        await trio.sleep(60)
        assert [gate.kind for gate in here.watcher.closed] == ["disabled"], "told once"
        assert len(endpoint.tries) == 20
        assert here.store.backlog("crm").pending >= 480


async def test_without_a_rule_and_by_trouble_of_our_own_nothing_is_disabled(autojump_clock):
    endpoint = Endpoint()
    endpoint.outcome = NotTried("descriptors")
    async with world(plan_for(endpoint, disable=TRUORA)) as here:
        await here.accept(30)
        await trio.sleep(60)
        assert here.watcher.closed == []
    endpoint.outcome = Retry("HTTP 500")
    async with world(plan_for(endpoint)) as here:
        await here.accept(300)
        await trio.sleep(6 * HOUR)
        assert {gate.kind for gate in here.watcher.closed} == {"breaker"}


async def test_what_waited_already_when_a_slow_target_blinked_does_not_disable_it(autojump_clock):
    endpoint = Endpoint(seconds=0.2)
    async with world(plan_for(endpoint, concurrency=1, disable=TRUORA)) as here:
        await here.accept(1000)
        await trio.sleep(20)
        endpoint.outcome = TargetDown("refused")
        await trio.sleep(1)
        endpoint.outcome = Delivered()
        await here.wait_settled()
        assert [gate.kind for gate in here.watcher.closed] == ["breaker"]


async def test_counted_failures_outlive_a_restart_and_enabling_forgets_them(autojump_clock):
    tables, endpoint = MemoryTables(), Endpoint()
    endpoint.outcome = Rejected("HTTP 422")
    async with world(plan_for(endpoint, disable=TRUORA), tables=tables) as here:
        await here.accept(19)
        await trio.sleep(MEMO_SECONDS + 1)
        assert here.watcher.closed == []
    async with world(plan_for(endpoint, disable=TRUORA), tables=tables) as here:
        await here.accept(1)
        await trio.sleep(1)
        assert [gate.kind for gate in here.watcher.closed] == ["disabled"]
        await here.dispatcher.open("crm", ("disabled",))
        await here.accept(1)
        await trio.sleep(30)
        assert here.gates.are_open, "counted from zero"
    async with world(plan_for(endpoint, disable=TRUORA), tables=tables) as here:
        await here.accept(18)
        await trio.sleep(30)
        assert here.gates.are_open


async def renamed(store, name):
    notes = await owned_notes(store, "crm", name)
    return {each.formerly: each.name for each in await store.rename([Rename("target", "crm", name, notes)])}


@pytest.mark.parametrize("name", ["crm", "sales"], ids=["changed", "renamed"])
async def test_counted_failures_outlive_a_reload_that_changes_or_renames_the_target(name, autojump_clock):
    endpoint = Endpoint()
    endpoint.outcome = Rejected("HTTP 422")
    plan = plan_for(endpoint, disable=TRUORA)
    async with world(plan) as here:
        await here.accept(19)
        await trio.sleep(MEMO_SECONDS + 1)
        formerly = None if name == "crm" else "crm"
        for number in range(2):
            after = Plans(replace(plan, name=name, formerly=formerly, fingerprint=str(number + 2)))
            await here.dispatcher.use(after, partial(renamed, here.store, name))
            assert here.dispatcher.runners[name].gates._failures.counts(here.runtime.now_ms()) == (19, 19)
        await trio.sleep(MEMO_SECONDS + 1)
        assert list(await here.store.notes("gates/")) == [f"gates/{name}"]


async def test_a_rate_is_kept_and_used_and_little_is_claimed_ahead_of_it(autojump_clock):
    endpoint = Endpoint()
    async with world(plan_for(endpoint, rate=Rate(5.0, 1))) as here:
        begun = trio.current_time()
        await here.accept(100)
        await trio.sleep(3)
        assert here.store.backlog("crm").in_flight <= 10
        await here.wait_settled()
        assert trio.current_time() - begun == pytest.approx(20, abs=1.5)
        assert max(endpoint.since(begun)) <= 6


async def test_a_rate_of_six_a_minute_neither_polls_nor_forgets(autojump_clock):
    endpoint = Endpoint()
    async with world(plan_for(endpoint, rate=Rate(0.1, 1))) as here:
        begun = trio.current_time()
        await here.accept(30)
        await here.wait_settled()
        assert trio.current_time() - begun == pytest.approx(290, abs=15)
        assert trio.lowlevel.current_statistics().tasks_living < 20


async def test_what_stands_in_line_is_not_tried_once_an_operator_holds_the_target(autojump_clock):
    endpoint = Endpoint(seconds=10)
    async with world(plan_for(endpoint, concurrency=1, timeout=30)) as here:
        await here.accept(5)
        await trio.sleep(5)
        assert await here.dispatcher.hold("crm", "maintenance")
        await trio.sleep(100)
        assert len(endpoint.tries) == 1, "what was under way ended"
        assert here.store.backlog("crm")[:2] == (4, 0)
        await here.dispatcher.open("crm", ("held",))
        await here.wait_settled()
    assert len(endpoint.tries) == 5


async def test_what_is_claimed_while_a_gate_is_being_closed_goes_back_untried(monkeypatch, autojump_clock):
    endpoint = Endpoint()
    async with world(plan_for(endpoint)) as here:
        claim = here.store.claim

        async def claim_while_held(*args):
            claims = await claim(*args)
            await here.dispatcher.hold("crm", "maintenance")
            return claims

        monkeypatch.setattr(here.store, "claim", claim_while_held)
        await here.accept(5)
        await trio.sleep(5)
        assert endpoint.tries == []
        assert here.store.backlog("crm")[:2] == (5, 0)
        monkeypatch.undo()
        await here.dispatcher.open("crm", ("held",))
        await here.wait_settled()
    assert len(endpoint.tries) == 5
