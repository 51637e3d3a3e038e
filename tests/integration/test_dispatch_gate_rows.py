"""What the store knows of a target's gates, where it could not be told at once."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import trio
from dispatch_bench import Plans, Script, accept, opened_store, plan_for, running, wait_until

from gateway.core.failures import DisableRule
from gateway.core.model import Delivered, Rejected, TargetDown
from gateway.errors import StoreFullError

RULE = DisableRule(0.5, 3_600_000, 20)


async def no_room(*_what):
    raise StoreFullError("no room")


def kinds(gates):
    return [(gate.target, gate.kind) for gate in gates]


async def wait_for_rows(store, expected):
    with trio.fail_after(30):
        while kinds(await store.gates()) != expected:
            await trio.sleep(0.005)


@pytest.mark.parametrize("reloaded", [False, True])
async def test_P19_a_hold_that_the_store_refused_is_written_when_it_is_given_again(tmp_path, monkeypatch, reloaded):
    async with opened_store(tmp_path) as store, running(store, plan_for(Script())) as (dispatcher, _):
        with monkeypatch.context() as full:
            full.setattr(store, "close_gate", no_room)
            with pytest.raises(StoreFullError):
                await dispatcher.hold("crm", "maintenance")
            assert kinds(dispatcher.gates()) == [("crm", "held")], "it holds all the same"
        if reloaded:
            await dispatcher.use(Plans(plan_for(Script(), fingerprint="2")))
        assert await dispatcher.hold("crm", "maintenance")
        assert kinds(await store.gates()) == kinds(dispatcher.gates()) == [("crm", "held")]
        assert not await dispatcher.hold("crm", "again")


async def test_P19_a_gate_that_the_store_could_not_be_told_of_is_written_within_a_minute(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.dispatch.dispatcher.MEMO_SECONDS", 0.01)
    script = Script(lambda _: TargetDown("410 gone", disable=True))
    async with opened_store(tmp_path) as store, running(store, plan_for(script)) as (_, watcher):
        with monkeypatch.context() as full:
            full.setattr(store, "close_gate", no_room)
            await accept(store, 1, "crm")
            await wait_until(lambda: watcher.closed)
        await wait_for_rows(store, [("crm", "disabled")])


async def test_P13_who_was_told_that_a_target_is_down_is_told_that_it_answers_also_on_a_full_disk(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("gateway.core.breaker.OPEN_FIRST_MS", 50)
    monkeypatch.setattr("gateway.dispatch.dispatcher.MEMO_SECONDS", 0.01)
    script = Script(lambda _: TargetDown("refused", after=0.0))
    async with opened_store(tmp_path) as store, running(store, plan_for(script)) as (_, watcher):
        await accept(store, 1, "crm")
        await wait_until(lambda: watcher.closed)
        with monkeypatch.context() as full:
            full.setattr(store, "keep_notes", no_room)
            script.answer = lambda _: Delivered()
            await wait_until(lambda: watcher.opened == ["crm"])
        await wait_for_rows(store, [])


async def test_counted_failures_outlive_a_reload_and_then_a_restart(tmp_path):
    plan = plan_for(Script(lambda _: Rejected("HTTP 422")), disable=RULE)
    async with opened_store(tmp_path) as store:
        async with running(store, plan) as (dispatcher, _):
            for number in range(19):
                await accept(store, number, "crm")
            await wait_until(lambda: store.backlog("crm").dead == 19)
            await dispatcher.use(Plans(replace(plan, fingerprint="2")))
        async with running(store, plan) as (_, watcher):
            await accept(store, 20, "crm")
            await wait_until(lambda: store.backlog("crm").dead == 20)
        assert kinds(watcher.closed) == [("crm", "disabled")]


async def test_what_is_written_late_by_an_outdated_plan_takes_the_place_of_nothing(tmp_path):
    """Else what a restart remembers is what was, and what an operator made it forget."""
    plan = plan_for(Script(lambda _: Rejected("HTTP 422")), disable=RULE)
    async with opened_store(tmp_path) as store, running(store, plan) as (dispatcher, _):
        for number in range(19):
            await accept(store, number, "crm")
        await wait_until(lambda: store.backlog("crm").dead == 19)
        outdated = dispatcher.runners["crm"].gates
        await dispatcher.use(Plans(replace(plan, fingerprint="2")))
        await outdated.save()
        assert await store.notes("gates/") == {}


async def test_P16_a_stop_right_after_a_reload_waits_for_no_order(tmp_path, monkeypatch):
    order = SimpleNamespace(rule="rule", on_dead="block", keep="all")
    async with opened_store(tmp_path) as store, running(store, plan_for(Script())) as (dispatcher, _):
        monkeypatch.setattr(store, "set_ordering", no_room)
        await dispatcher.use(Plans(replace(plan_for(Script(), fingerprint="2"), order=order)))
        dispatcher.drain()
        with trio.fail_after(5):
            await dispatcher.wait_drained()
