"""A target gets another name while its last tries run: what holds it back goes along."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import trio
import trio.testing
from dispatch_bench import Plans, Script, accept, opened_store, plan_for, running, wait_until

from gateway.core.failures import DisableRule
from gateway.core.model import Rejected, TargetDown
from gateway.dispatch.memory import TargetMemory, owned_notes
from gateway.errors import StoreFullError
from gateway.store.contract import Ordering, Rename

TO_SALES, TO_CRM = Rename("target", "crm", "sales"), Rename("target", "sales", "crm")
RULE = DisableRule(0.5, 3_600_000, 20)
GONE = TargetDown("410 gone", disable=True)


def sales(script):
    return Plans(replace(plan_for(script, "sales"), formerly="crm"))


def kinds(gates):
    return sorted((gate.target, gate.kind) for gate in gates)


class Slow(Script):
    """A target that answers when told to, with what it is told."""

    def __init__(self):
        super().__init__(self._wait)
        self._told = trio.Event()

    def tell(self, outcome):
        self._outcome = outcome
        self._told.set()

    async def _wait(self, _message):
        await self._told.wait()
        return self._outcome


async def rename(store, meanwhile):
    """Have the store rename, and give the names out only once `meanwhile` is over."""
    done = await store.rename([TO_SALES])
    await meanwhile()
    return {each.formerly: each.name for each in done}


async def heirs_of(store):
    return {each.formerly: each.name for each in await store.rename([TO_SALES])}


async def refuse(meanwhile):
    await meanwhile()
    raise StoreFullError("no room")


async def test_P15_a_gate_that_closes_while_the_store_renames_its_target_is_kept_under_the_new_name(tmp_path):
    """Under the former one the next start would not know of it, and a renaming back would find that name taken."""
    old, new = Slow(), Script()
    async with opened_store(tmp_path) as store:
        async with running(store, plan_for(old)) as (dispatcher, watcher):
            await accept(store, 1, "crm")
            await old.wait_seen(1)

            async def close():
                old.tell(GONE)
                await wait_until(lambda: watcher.closed)

            await dispatcher.use(sales(new), partial(rename, store, close))
            assert kinds(dispatcher.gates()) == kinds(await store.gates()) == [("sales", "disabled")]
            await wait_until(lambda: old.closed)
        assert new.seen == []
        assert await store.rename([TO_CRM]), "the way back is free"
        assert kinds(await store.gates()) == [("crm", "disabled")]


async def test_P15_a_gate_that_opens_while_the_store_renames_its_target_is_open_after_a_restart_too(tmp_path):
    new = Script()
    async with opened_store(tmp_path) as store:
        async with running(store, plan_for(Script())) as (dispatcher, _):
            await dispatcher.hold("crm", "maintenance")
            await accept(store, 1, "crm")
            opening = partial(dispatcher.open, "crm", ("held",))
            await dispatcher.use(sales(new), partial(rename, store, opening))
            assert dispatcher.gates() == await store.gates() == []
            assert dispatcher.slow_targets() == {"sales"}
            await new.wait_seen(1)
        assert await store.rename([TO_CRM]), "the way back is free"


async def test_P15_a_gate_that_closes_while_the_store_refuses_to_rename_its_target_is_kept(tmp_path):
    old = Slow()
    async with opened_store(tmp_path) as store, running(store, plan_for(old)) as (dispatcher, watcher):
        await accept(store, 1, "crm")
        await old.wait_seen(1)

        async def close():
            old.tell(GONE)
            await wait_until(lambda: watcher.closed)

        with pytest.raises(StoreFullError):
            await dispatcher.use(sales(Script()), partial(refuse, close))
        assert dispatcher.gates() == await store.gates()
        assert kinds(dispatcher.gates()) == [("crm", "disabled")]
        await dispatcher.hold("crm", "maintenance")
        assert kinds(await store.gates()) == [("crm", "disabled"), ("crm", "held")]


async def test_P15_P16_a_gate_that_closes_after_a_stop_began_in_a_rename_is_kept_under_the_new_name(tmp_path):
    old = Slow()
    async with opened_store(tmp_path) as store:
        async with running(store, plan_for(old)) as (dispatcher, watcher):
            await accept(store, 1, "crm")
            await old.wait_seen(1)

            async def stop():
                dispatcher.drain()

            await dispatcher.use(sales(Script()), partial(rename, store, stop))
            old.tell(GONE)
            await wait_until(lambda: watcher.closed)
        assert kinds(await store.gates()) == [("sales", "disabled")]
        assert await store.rename([TO_CRM]), "the way back is free"


async def test_P15_what_is_being_ordered_while_its_target_is_renamed_leaves_the_former_name_free(tmp_path):
    async with opened_store(tmp_path) as store:
        for number in range(3):
            await accept(store, number, "crm")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.set_ordering, "crm", Ordering("rule", "block"), lambda _: bytes(16))
            await trio.testing.wait_all_tasks_blocked()
            assert await store.rename([TO_SALES])
        backlog = store.backlog("sales")
        assert (backlog.pending, backlog.waiting) == (3, 2)
        assert await store.rename([TO_CRM]), "the way back is free"


async def test_C7_the_last_try_of_a_renamed_target_closes_no_gate_under_its_former_name(tmp_path):
    answer, old, new = trio.Event(), Script(), Script()

    async def gone_at_last():
        await answer.wait()
        return TargetDown("410 gone", disable=True)

    old.answer = lambda _: gone_at_last()
    async with opened_store(tmp_path) as store, running(store, plan_for(old)) as (dispatcher, _):
        await accept(store, 1, "crm")
        await old.wait_seen(1)
        assert await store.rename([TO_SALES])
        await dispatcher.use(sales(new))
        answer.set()
        await new.wait_seen(1)
        await wait_until(lambda: old.closed)
        assert await store.gates() == []
        assert await store.rename([TO_CRM]), "the way back is free"


async def test_P15_what_gates_remember_and_a_target_keeps_follows_a_rename(tmp_path):
    async with opened_store(tmp_path) as store:
        await accept(store, 1, "crm")
        await store.keep_notes({"gates/crm": b'{"failures":[],"starting":true}', "gates/crm2": b"{}"})
        await TargetMemory(store, "crm").keep("seen", b"7")
        await TargetMemory(store, "crm2").keep("seen", b"8")
        await store.rename([TO_SALES._replace(notes=await owned_notes(store, "crm", "sales"))])
        assert sorted(await store.notes("")) == ["gates/crm2", "gates/sales", "target crm2 seen", "target sales seen"]
        async with running(store, plan_for(Script(), "sales")) as (dispatcher, _):
            assert dispatcher.slow_targets() == {"sales"}


async def test_P15_what_a_target_remembers_stays_with_it_where_the_store_does_not_rename_another_to_it(tmp_path):
    bad, good = Script(lambda _: Rejected("HTTP 422")), Script()
    plans = plan_for(bad, disable=RULE), plan_for(good, "sales", disable=RULE)
    heir = replace(plans[1], formerly="crm", fingerprint="2")
    async with opened_store(tmp_path) as store:
        async with running(store, *plans):
            await accept(store, 100, "sales")  # so it has deliveries of its own
            for number in range(19):
                await accept(store, number, "crm")
            await wait_until(lambda: store.backlog("crm").dead == 19)
        async with running(store, *plans) as (dispatcher, _):
            await dispatcher.use(Plans(heir), partial(heirs_of, store))
        good.answer = lambda _: Rejected("HTTP 422")
        async with running(store, heir) as (_, watcher):
            await accept(store, 101, "sales")
            await wait_until(lambda: store.backlog("sales").dead == 1)
        assert watcher.closed == [], "one of two failed, not 20 of 20"


async def test_P15_a_hold_goes_along_to_a_target_that_ran_already(tmp_path):
    new = Script()
    async with opened_store(tmp_path) as store:
        async with running(store, plan_for(Script()), plan_for(Script(), "sales")) as (dispatcher, _):
            await dispatcher.hold("crm", "maintenance")
            await accept(store, 1, "crm")
            await dispatcher.use(sales(new), partial(heirs_of, store))
            assert kinds(dispatcher.gates()) == kinds(await store.gates()) == [("sales", "held")]
            await trio.testing.wait_all_tasks_blocked(0.05)
        assert new.seen == []


async def test_P15_P16_a_gate_that_closes_after_a_stop_began_before_a_rename_is_kept_under_the_new_name(tmp_path):
    old = Slow()
    async with opened_store(tmp_path) as store:
        async with running(store, plan_for(old)) as (dispatcher, watcher):
            await accept(store, 1, "crm")
            await old.wait_seen(1)
            dispatcher.drain()
            await dispatcher.use(sales(Script()), partial(heirs_of, store))
            old.tell(GONE)
            await wait_until(lambda: watcher.closed)
        assert kinds(await store.gates()) == [("sales", "disabled")]
        assert await store.rename([TO_CRM]), "the way back is free"


async def test_P15_an_order_that_had_to_wait_for_room_leaves_the_former_name_free(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.dispatch.dispatcher.ORDER_AGAIN_SECONDS", 0.01)
    old = replace(plan_for(Script()), order=SimpleNamespace(rule="rule", on_dead="block", keep="all"))
    async with opened_store(tmp_path) as store:
        await accept(store, 1, "crm")
        write, full, ordered = store.set_ordering, [True], trio.Event()

        async def fail_while_full(*order):
            if full:
                raise StoreFullError("no room")
            ordered.set()
            return await write(*order)

        monkeypatch.setattr(store, "set_ordering", fail_while_full)
        async with running(store, old) as (dispatcher, _):

            async def room_again():
                full.clear()
                with trio.move_on_after(0.2):
                    await ordered.wait()

            await dispatcher.use(sales(Script()), partial(rename, store, room_again))
        assert await store.rename([TO_CRM]), "the way back is free"
