"""A reload while the store takes some changes and refuses others: all of it, or nothing."""

from functools import partial

import pytest
import trio
import trio.testing
from dispatch_bench import Watcher
from ingress_bench import CONFIG, order, parts_of

from gateway.admin.operations import NotPossibleError
from gateway.control import Control
from gateway.core.disuse import DAY_MS
from gateway.dedup_rules import with_former_rules
from gateway.dispatch.dispatcher import Dispatcher
from gateway.errors import StoreFullError
from gateway.pollers.pollers import Pollers
from gateway.renames import forsaken, rename_owned
from gateway.store.contract import DeliveryQuery
from gateway.systemd import Supervisor
from gateway.wire.guard import Guard

RENAMED = CONFIG.replace("[targets.crm]", '[targets.sales]\nformerly = "crm"').replace('"crm"', '"sales"')
RENAMED = RENAMED.replace('formerly = "sales"', 'formerly = "crm"')


async def control_of(parts, folder, nursery, build):
    """Give the control of a daemon that reloads to what `build` gives."""
    dispatcher = Dispatcher(parts.store, parts.runtime, Watcher(), folder)
    await nursery.start(dispatcher.run, parts.intake.blueprint)
    pollers = Pollers(parts.store, parts.intake, parts.runtime, parts.counters, parts.announcer, Guard())
    await nursery.start(pollers.run, parts.intake.blueprint)
    control = Control(
        **dict.fromkeys(("exposition", "desk", "server", "counters", "admin_failures", "learner")),
        config_path=folder / "config.toml",
        store=parts.store,
        runtime=parts.runtime,
        dispatcher=dispatcher,
        intake=parts.intake,
        pollers=pollers,
        receiver=parts.receiver,
        build=build,
        swapped=lambda _: None,
        supervisor=Supervisor(parts.runtime, {}),
        listening=(),
    )
    nursery.start_soon(control.run_reloads)
    return control


async def test_P15_C9_a_fault_of_ours_while_a_configuration_is_built_keeps_the_old_one_and_the_daemon(
    tmp_path, nursery, capsys
):
    async with parts_of(tmp_path) as parts:
        faults = [OSError("s3cret-value: name too long")]

        def build():
            if faults:
                raise faults.pop()
            return parts.blueprint()

        control = await control_of(parts, tmp_path, nursery, build)
        before = parts.intake.blueprint
        refused = await control.reload()
        assert (refused.ok, parts.intake.blueprint) == (False, before)
        assert refused.problems == ["our own code failed, OSError: tell us what the log says"]
        assert "s3cret-value" not in capsys.readouterr().out
        assert (await control.reload()).ok, "the next one goes through"
        nursery.cancel_scope.cancel()


async def test_P16_a_reload_during_a_stop_is_refused_and_tells_that_the_next_start_reads_the_files(tmp_path, nursery):
    async with parts_of(tmp_path) as parts:
        control = await control_of(parts, tmp_path, nursery, parts.blueprint)
        before = parts.intake.blueprint
        control._dispatcher.drain()
        refused = await control.reload()
        assert (refused.ok, parts.intake.blueprint) == (False, before)
        assert refused.problems == ["the gateway is stopping: its next start reads the files"]
        nursery.cancel_scope.cancel()


async def test_P15_a_reload_that_cannot_be_noted_leaves_each_name_its_backlog(tmp_path, nursery, monkeypatch):
    async with parts_of(tmp_path) as parts:
        control = await control_of(parts, tmp_path, nursery, partial(parts.blueprint, RENAMED))
        await control._dispatcher.hold("crm", "so that it waits")
        await parts.post(order("before"))
        with monkeypatch.context() as patch:

            async def fail(_notes):
                raise StoreFullError("no room")

            patch.setattr(parts.store, "keep_notes", fail)
            assert not (await control.reload()).ok
        await parts.post(order("between"))
        assert (await control.reload()).ok
        await parts.post(order("after"))
        rows = await parts.store.deliveries(DeliveryQuery(limit=100))
        assert sorted({row.target for row in rows}) == ["audit", "sales"]
        assert [row.state for row in rows if row.target == "sales"] == ["pending"] * 3
        nursery.cancel_scope.cancel()


async def test_P4_a_reload_that_is_refused_after_its_rules_were_noted_lets_the_running_ones_count_on(
    tmp_path, nursery, monkeypatch
):
    keyed = RENAMED.replace('version = "2023-*"', 'version = "2023-*"\ndedup = { key = ["body.data.other"] }')
    async with parts_of(tmp_path) as parts:
        await with_former_rules(parts.intake.blueprint, parts.store, parts.runtime.now_ms())
        control = await control_of(parts, tmp_path, nursery, partial(parts.blueprint, keyed))

        async def fail(_renames):
            raise StoreFullError("no room")

        monkeypatch.setattr(parts.store, "rename", fail)
        assert not (await control.reload()).ok
        new, refused_at = parts.blueprint(keyed), parts.runtime.now_ms()
        for days in (6, 12):  # a start within the window finds that the old rule was in use until then
            started = await with_former_rules(new, parts.store, refused_at + days * DAY_MS)
            assert len(started.sources["truework"].former) == 1
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("name", ["hold", "release", "enable"])
async def test_P15_an_order_given_while_a_reload_renames_its_target_is_refused_with_the_new_name(
    tmp_path, nursery, monkeypatch, name
):
    """Written meanwhile, a hold would be one of a name that nobody has, and the next start would not know of it."""
    async with parts_of(tmp_path) as parts:
        control = await control_of(parts, tmp_path, nursery, partial(parts.blueprint, RENAMED))
        await control.hold("crm", "so that there is something to rename")
        rename, renamed, go_on = parts.store.rename, trio.Event(), trio.Event()

        async def slowly(renames):
            done = await rename(renames)
            renamed.set()
            await go_on.wait()
            return done

        monkeypatch.setattr(parts.store, "rename", slowly)
        nursery.start_soon(control.reload)
        await renamed.wait()
        async with trio.open_nursery() as ordering:

            @ordering.start_soon
            async def order_it():
                with pytest.raises(NotPossibleError, match="known: audit, ops, sales"):
                    await getattr(control, name)("crm", "just now")

            await trio.testing.wait_all_tasks_blocked()
            go_on.set()
        assert [(gate.target, gate.kind) for gate in await parts.store.gates()] == [("sales", "held")]
        nursery.cancel_scope.cancel()


async def test_what_a_renamed_target_does_not_take_over_is_told_with_what_helps(tmp_path):
    """A name that has deliveries of its own keeps to those: to write `formerly` once more would change nothing."""
    renamed = CONFIG.replace("[targets.crm]", '[targets.audit2]\nformerly = "crm"').replace('["crm"', '["audit2"')
    told = "2 deliveries wait for crm, which the configuration does not name: "
    async with parts_of(tmp_path) as parts:
        await parts.post(order("one"))
        await parts.post(order("two"))
        parts.use(CONFIG.replace("crm", "audit2"))
        await parts.post(order("three"))
        parts.use(renamed)
        await rename_owned(parts.intake.blueprint, parts.store, parts.runtime)
        (advice,) = forsaken(parts.intake.blueprint, parts.store)
        assert advice.startswith(f'{told}[targets.audit2] has formerly = "crm", but had deliveries of its own before')
        assert "name crm again" in advice
