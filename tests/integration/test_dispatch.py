"""Dispatch on a real SQLite file: from the store to the target, and back to the store."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from dispatch_bench import Plans, Script, Watcher, accept, opened_store, plan_for, running, wait_until
from structlog.testing import capture_logs

from gateway.core.model import Delivered, Delivery, NotTried, Rejected, Retry, StoredEvent, TargetDown
from gateway.core.render import Renderer
from gateway.dispatch.dispatcher import Dispatcher
from gateway.errors import StoppingError, StoreBusyError, StoreFullError
from gateway.runtime import Runtime
from gateway.store.contract import Claim, DeliveryQuery

SOON = {"delays": [0.01, 0.01], "give_up": 60}


async def never(_message):
    await trio.sleep_forever()


async def rows(store, **query):
    return await store.deliveries(DeliveryQuery(**query))


async def states(store):
    return sorted(row.state for row in await rows(store))


async def test_a_delivery_that_waits_in_the_store_is_delivered_and_settled(tmp_path):
    script = Script()
    async with opened_store(tmp_path) as store:
        await accept(store, 1, "crm")
        async with running(store, plan_for(script)):
            await wait_until(lambda: store.backlog("crm").pending + store.backlog("crm").in_flight == 0)
        assert [message.content for message in script.seen] == [b'{"n":1}']
        (row,) = await rows(store)
        assert (row.state, row.attempts) == ("delivered", 1)
        (attempt,) = await store.attempts(row.event_id, 0)
        assert attempt.outcome == "delivered"
    assert script.closed


async def test_P7_a_retry_comes_again_with_the_same_id_until_it_is_delivered(tmp_path):
    answers = iter([Retry("500"), Retry("500"), Delivered()])
    script = Script(lambda _: next(answers))
    async with opened_store(tmp_path) as store:
        async with running(store, plan_for(script, retry=SOON)):
            await accept(store, 1, "crm")
            await wait_until(lambda: len(script.seen) == 1 or store.backlog("crm").pending)
            await script.wait_seen(3)
            await wait_until(lambda: store.backlog("crm").pending + store.backlog("crm").in_flight == 0)
        assert len({message.id for message in script.seen}) == 1
        assert [message.attempt for message in script.seen] == [1, 2, 3]
        assert await states(store) == ["delivered"]


async def test_a_delivery_is_dead_after_its_last_try_and_kept(tmp_path):
    script = Script(lambda _: Retry("500"))
    async with opened_store(tmp_path) as store:
        async with running(store, plan_for(script, retry=SOON)):
            await accept(store, 1, "crm")
            await wait_until(lambda: store.backlog("crm").dead == 1)
        assert len(script.seen) == 3
        assert await states(store) == ["dead"]


async def test_a_rejected_delivery_is_dead_at_once(tmp_path):
    script = Script(lambda _: Rejected("400"))
    async with opened_store(tmp_path) as store, running(store, plan_for(script)):
        await accept(store, 1, "crm")
        await wait_until(lambda: store.backlog("crm").dead == 1)
        assert len(script.seen) == 1


async def test_G1_a_target_that_raises_costs_one_attempt_and_nothing_else(tmp_path):
    def fail(_message):
        raise ValueError("what the plugin did not expect")

    script = Script(fail)
    async with opened_store(tmp_path) as store, running(store, plan_for(script)) as (_, watcher):
        await accept(store, 1, "crm")
        await wait_until(lambda: watcher.tries)
        assert watcher.tries[0].outcome == Retry("ValueError: what the plugin did not expect")


async def test_G3_a_target_that_returns_nonsense_is_down(tmp_path):
    script = Script(lambda _: "fine")
    async with opened_store(tmp_path) as store, running(store, plan_for(script)) as (_, watcher):
        await accept(store, 1, "crm")
        await wait_until(lambda: watcher.closed)
        assert "broke its contract" in watcher.closed[0].reason


async def test_R2_a_target_that_never_answers_is_a_timeout_and_costs_an_attempt(tmp_path):
    script = Script(never)
    async with opened_store(tmp_path) as store, running(store, plan_for(script, timeout=0.05)) as (_, watcher):
        await accept(store, 1, "crm")
        await wait_until(lambda: watcher.tries)
        assert "timeout" in watcher.tries[0].outcome.reason
        assert watcher.tries[0].record.attempts == 1


async def test_P13_a_target_that_is_down_gets_one_probe_at_a_time_and_loses_nothing(tmp_path):
    down = [True]
    script = Script(lambda _: TargetDown("refused") if down else Delivered())
    async with opened_store(tmp_path) as store:
        async with running(store, plan_for(script)) as (dispatcher, watcher):
            for number in range(12):
                await accept(store, number, "crm")
            await wait_until(lambda: watcher.closed)
            tried = len(script.seen)
            assert tried <= 4, "only what was under way when the gate closed"
            assert [gate.kind for gate in await store.gates()] == ["breaker"]
            down.clear()
            await dispatcher.open("crm", ("breaker",))
            await wait_until(lambda: not store.backlog("crm").pending and not store.backlog("crm").in_flight)
            assert await store.gates() == []
        assert await states(store) == ["delivered"] * 12
        assert max(row.attempts for row in await rows(store)) == 1


async def test_an_open_breaker_closes_after_one_successful_probe(tmp_path):
    answers = iter([TargetDown("refused")])
    script = Script(lambda _: next(answers, Delivered()))
    async with opened_store(tmp_path) as store, running(store, plan_for(script)) as (dispatcher, watcher):
        gates = dispatcher.runners["crm"].gates
        for number in range(10):
            await accept(store, number, "crm")
        await wait_until(lambda: watcher.closed)
        assert not gates.are_open
        gates._breaker = gates._breaker._replace(until=0)  # as if its time had come
        dispatcher.hint("crm")
        await wait_until(lambda: watcher.opened)
        await wait_until(lambda: not store.backlog("crm").pending and not store.backlog("crm").in_flight)
        assert gates.are_open


class FailsAtOne:
    """A renderer with a fault of ours."""

    def render(self, delivery, event, *more):
        if event.body == b'{"n":1}':
            raise ZeroDivisionError(event.body)
        return Renderer("payload").render(delivery, event, *more)


async def test_an_event_at_which_our_own_code_fails_ends_nothing_and_is_tried_again_as_its_policy_says(tmp_path):
    script = Script()
    async with opened_store(tmp_path) as store:
        async with running(store, replace(plan_for(script, retry=SOON), renderer=FailsAtOne())):
            await accept(store, 1, "crm")
            await accept(store, 2, "crm")
            await wait_until(lambda: store.backlog("crm").pending + store.backlog("crm").in_flight == 0)
        assert [message.content for message in script.seen] == [b'{"n":2}']
        assert await states(store) == ["dead", "delivered"]
        (dead,) = await rows(store, state="dead")
        (*_, last) = await store.attempts(dead.event_id, 0)
        assert last.reason == "given up after 3 tries: our own code failed to write the message: ZeroDivisionError"


async def test_R5_a_target_that_says_gone_stays_closed_until_an_operator_enables_it(tmp_path):
    script = Script(lambda _: TargetDown("410 gone", disable=True))
    async with opened_store(tmp_path) as store:
        async with running(store, plan_for(script)) as (_, watcher):
            await accept(store, 1, "crm")
            await wait_until(lambda: watcher.closed)
            await accept(store, 2, "crm")
        assert [gate.kind for gate in await store.gates()] == ["disabled"]
        assert len(script.seen) == 1
    async with opened_store(tmp_path) as store, running(store, plan_for(Script())) as (dispatcher, _):
        assert store.backlog("crm").pending == 2
        assert await dispatcher.open("crm", ("disabled", "breaker"))
        await wait_until(lambda: not store.backlog("crm").pending)


async def test_a_held_target_gets_nothing_until_it_is_released(tmp_path):
    script = Script()
    async with opened_store(tmp_path) as store, running(store, plan_for(script)) as (dispatcher, _):
        assert await dispatcher.hold("crm", "maintenance")
        assert not await dispatcher.hold("crm", "again")
        await accept(store, 1, "crm")
        dispatcher.hint("crm")
        assert dispatcher.reserve("crm", 1, "acme") is None
        assert script.seen == []
        assert await dispatcher.open("crm", ("held",))
        await script.wait_seen(1)


async def test_P15_a_gate_that_closes_while_a_reload_reads_the_gates_stays_closed(tmp_path, monkeypatch):
    script = Script()
    async with opened_store(tmp_path) as store, running(store, plan_for(script)) as (dispatcher, _):
        read = store.gates

        async def read_before_the_operator_acts():
            gates = await read()
            await dispatcher.hold("crm", "maintenance")
            return gates

        monkeypatch.setattr(store, "gates", read_before_the_operator_acts)
        await dispatcher.use(Plans(plan_for(script, fingerprint="2")))
        assert [gate.kind for gate in dispatcher.gates()] == ["held"]
        assert dispatcher.reserve("crm", 1, "acme") is None


@pytest.mark.parametrize(("gate", "kinds"), [("held", ("held", "restored")), ("breaker", ("disabled", "breaker"))])
async def test_P15_a_gate_that_an_operator_opens_while_a_reload_changes_the_target_is_open(
    tmp_path, monkeypatch, gate, kinds
):
    script = Script(lambda _: TargetDown("refused"))
    async with opened_store(tmp_path) as store, running(store, plan_for(script)) as (dispatcher, watcher):
        if gate == "held":
            await dispatcher.hold("crm", "maintenance")
        else:
            await accept(store, 1, "crm")
            await wait_until(lambda: watcher.closed)
        script.answer = lambda _: Delivered()
        write = store.open_gate

        async def reload_meanwhile(*arguments):
            monkeypatch.setattr(store, "open_gate", write)
            await dispatcher.use(Plans(plan_for(script, fingerprint="2")))
            return await write(*arguments)

        monkeypatch.setattr(store, "open_gate", reload_meanwhile)
        assert await dispatcher.open("crm", kinds)
        assert dispatcher.gates() == await store.gates() == []
        await accept(store, 2, "crm")
        dispatcher.hint("crm")
        await wait_until(lambda: b'{"n":2}' in [message.content for message in script.seen])


async def test_P16_an_order_for_a_gate_during_a_stop_is_refused_in_words_and_changes_nothing(tmp_path):
    async with opened_store(tmp_path) as store, running(store, plan_for(Script())) as (dispatcher, _):
        dispatcher.drain()
        with pytest.raises(StoppingError, match="target crm: the gateway is stopping"):
            await dispatcher.hold("crm", "maintenance")
        for kinds in [("held", "restored"), ("disabled", "breaker")]:
            with pytest.raises(StoppingError, match="target crm: the gateway is stopping"):
                await dispatcher.open("crm", kinds)
        assert await store.gates() == []


async def test_P16_a_reload_that_a_stop_overtakes_starts_no_target(tmp_path, monkeypatch):
    opened = []
    async with opened_store(tmp_path) as store, running(store, plan_for(Script())) as (dispatcher, _):
        read = store.gates

        async def read_while_a_stop_begins():
            dispatcher.drain()
            return await read()

        monkeypatch.setattr(store, "gates", read_while_a_stop_begins)
        second = Script()
        second.open = opened.append
        await dispatcher.use(Plans(plan_for(second, fingerprint="2"), plan_for(second, "new")))
        assert dict(dispatcher.runners) == {}
    assert opened == []


async def test_R5_the_last_try_before_an_operator_enabled_a_target_closes_nothing(tmp_path):
    answer, answers = trio.Event(), [TargetDown("410 gone", disable=True)]

    async def later():
        await answer.wait()
        return TargetDown("410 gone", disable=True)

    script = Script(lambda message: answers.pop() if b"2" in message.content else later())
    async with opened_store(tmp_path) as store, running(store, plan_for(script)) as (dispatcher, watcher):
        await accept(store, 1, "crm")
        await script.wait_seen(1)
        await accept(store, 2, "crm")
        await wait_until(lambda: watcher.closed)
        script.closed = False
        assert await dispatcher.open("crm", ("disabled", "breaker"))
        script.answer = lambda _: Delivered()
        answer.set()
        await wait_until(lambda: script.closed)
        await script.wait_seen(4)
        assert dispatcher.gates() == await store.gates() == []


@pytest.mark.parametrize("kind", ["held", "disabled"])
async def test_P19_a_gate_whose_opening_cannot_be_written_down_stays_closed_until_it_can(tmp_path, monkeypatch, kind):
    script = Script(lambda _: TargetDown("410 gone", disable=True))
    async with opened_store(tmp_path) as store, running(store, plan_for(script)) as (dispatcher, watcher):
        if kind == "held":
            await dispatcher.hold("crm", "maintenance")
        else:
            await accept(store, 1, "crm")
            await wait_until(lambda: watcher.closed)
        write = store.open_gate

        async def fail_once(*arguments):
            monkeypatch.setattr(store, "open_gate", write)
            raise StoreFullError("no room")

        monkeypatch.setattr(store, "open_gate", fail_once)
        with pytest.raises(StoreFullError):
            await dispatcher.open("crm", (kind,))
        assert [gate.kind for gate in dispatcher.gates()] == [gate.kind for gate in await store.gates()] == [kind]
        script.answer = lambda _: Delivered()
        assert await dispatcher.open("crm", (kind,)), "the operator tries again"
        assert dispatcher.gates() == await store.gates() == []


async def test_P13_a_target_that_is_called_None_keeps_what_its_gates_remember(tmp_path):
    async with opened_store(tmp_path) as store:
        await store.keep_notes({"gates/None": b'{"failures":[],"starting":true}'})
        async with running(store, plan_for(Script()), plan_for(Script(), "None")) as (dispatcher, _):
            assert dispatcher.slow_targets() == {"None"}


async def test_trouble_of_our_own_costs_no_attempt(tmp_path):
    answers = iter([NotTried("no descriptors")])
    script = Script(lambda _: next(answers, Delivered()))
    async with opened_store(tmp_path) as store:
        async with running(store, plan_for(script)):
            await accept(store, 1, "crm")
            await script.wait_seen(2)
            await wait_until(lambda: not store.backlog("crm").in_flight)
        (row,) = await rows(store)
        assert (row.state, row.attempts) == ("delivered", 1)


async def test_P12_a_target_that_hangs_does_not_delay_another(tmp_path):
    slow, quick = Script(never), Script()
    async with opened_store(tmp_path) as store, trio.open_nursery() as nursery:
        dispatcher = Dispatcher(store, Runtime(), Watcher(), Path())
        await nursery.start(dispatcher.run, Plans(plan_for(slow, "slow"), plan_for(quick, "quick")))
        for number in range(100):
            await accept(store, number, "slow", "quick")
            dispatcher.hint("slow")
            dispatcher.hint("quick")
        await quick.wait_seen(100)
        nursery.cancel_scope.cancel()


async def test_P16_what_was_under_way_when_the_dispatcher_is_cancelled_is_pending_again(tmp_path):
    script = Script(never)
    async with opened_store(tmp_path) as store:
        async with trio.open_nursery() as nursery:
            dispatcher = Dispatcher(store, Runtime(), Watcher(), Path())
            await nursery.start(dispatcher.run, Plans(plan_for(script)))
            await accept(store, 1, "crm")
            dispatcher.hint("crm")
            await script.wait_seen(1)
            nursery.cancel_scope.cancel()
        await wait_until(lambda: store.backlog("crm").pending == 1)
        (row,) = await rows(store)
        assert (row.state, row.attempts, row.interrupted) == ("pending", 0, 0)


async def test_C7_deliveries_of_a_target_that_left_the_configuration_wait_until_it_is_back(tmp_path):
    script = Script()
    async with opened_store(tmp_path) as store, running(store, plan_for(script)) as (dispatcher, _):
        await dispatcher.use(Plans())
        await accept(store, 1, "crm")
        assert dispatcher.reserve("crm", 1, "acme") is None
        assert store.backlog("crm").pending == 1
        await dispatcher.use(Plans(plan_for(script)))
        await script.wait_seen(1)


async def test_a_changed_plan_takes_over_and_the_old_one_finishes_its_try(tmp_path):
    release = trio.Event()

    async def wait():
        await release.wait()
        return Delivered()

    old, new = Script(lambda _: wait()), Script()
    async with opened_store(tmp_path) as store:
        async with running(store, plan_for(old, concurrency=1)) as (dispatcher, _):
            await accept(store, 1, "crm")
            dispatcher.hint("crm")
            await old.wait_seen(1)
            await dispatcher.use(Plans(plan_for(new, fingerprint="2")))
            await accept(store, 2, "crm")
            dispatcher.hint("crm")
            await new.wait_seen(1)
            release.set()
            await wait_until(lambda: not store.backlog("crm").in_flight)
        assert await states(store) == ["delivered", "delivered"]
        assert old.closed


async def test_a_fresh_event_overtakes_an_old_backlog(tmp_path):
    gate = trio.Event()

    async def wait():
        await gate.wait()
        return Delivered()

    script = Script(lambda _: wait())
    async with opened_store(tmp_path) as store:
        for number in range(300):
            await accept(store, number, "crm")
        async with running(store, plan_for(script, concurrency=2)) as (dispatcher, _):
            await script.wait_seen(2)
            lane = dispatcher.reserve("crm", 600, "acme")
            assert lane is not None, "half of the window is kept for fresh events"
            number = await accept(store, 1000, "crm", admitted=True)
            event = StoredEvent(number, "acme", "main", "order.completed", "1", None, 0, b"", b'{"n":1000}', None)
            lane.hand_over(Claim(Delivery(number, 0, "crm", "orders", 1, 0, 0, None, 0), event), 600)
            gate.set()
            await wait_until(lambda: not store.backlog("crm").pending and not store.backlog("crm").in_flight)
        place = [message.content for message in script.seen].index(b'{"n":1000}')
        assert place <= 4, f"delivered as number {place} of 301"


async def test_P19_a_store_that_cannot_write_for_a_moment_ends_no_runner(tmp_path, monkeypatch):
    script = Script()
    async with opened_store(tmp_path) as store:
        claim, failures = store.claim, [StoreFullError("no room"), StoreBusyError("the queue is full")]

        async def fail_first(*arguments):
            if failures:
                raise failures.pop()
            return await claim(*arguments)

        monkeypatch.setattr(store, "claim", fail_first)
        monkeypatch.setattr("gateway.dispatch.runner.STORE_TROUBLE_SECONDS", 0.01)
        async with running(store, plan_for(script)):
            await accept(store, 1, "crm")
            await script.wait_seen(1)


async def test_P19_a_gate_that_cannot_be_written_down_is_closed_all_the_same(tmp_path, monkeypatch):
    script = Script(lambda _: TargetDown("refused"))
    async with opened_store(tmp_path) as store:

        async def fail(_gate):
            raise StoreFullError("no room")

        monkeypatch.setattr(store, "close_gate", fail)
        async with running(store, plan_for(script)) as (dispatcher, watcher):
            await accept(store, 1, "crm")
            await wait_until(lambda: watcher.closed)
            assert dispatcher.reserve("crm", 1, "acme") is None


class Stuck(Script):
    """A target that cannot be opened until `openable`, and cannot be closed without being open."""

    openable = False

    async def open(self, context):
        if not self.openable:
            raise OSError("the group of its file does not exist")
        await super().open(context)

    async def close(self):
        self.context  # noqa: B018 - as real targets, it lacks what `open` did not make
        await super().close()


async def test_P15_a_target_that_cannot_be_opened_is_opened_at_its_next_probe_and_its_end_harms_nobody(tmp_path):
    script = Stuck()
    async with opened_store(tmp_path) as store:
        async with running(store, plan_for(script)) as (dispatcher, watcher):
            await wait_until(lambda: watcher.closed)
            assert "cannot be opened" in watcher.closed[0].reason
            await accept(store, 1, "crm")
            await dispatcher.use(Plans(plan_for(Stuck(), fingerprint="2")))
            await dispatcher.use(Plans(plan_for(script, fingerprint="3")))
            await dispatcher.open("crm", ("breaker",))
            await wait_until(lambda: len(watcher.tries) == 1)
            assert "cannot be opened" in watcher.tries[0].outcome.reason
            script.openable = True
            await dispatcher.open("crm", ("breaker",))
            await wait_until(lambda: not store.backlog("crm").pending and not store.backlog("crm").in_flight)
        assert [row.attempts for row in await rows(store)] == [1]
        assert script.closed


async def test_P21_a_target_that_fails_to_open_or_close_in_any_way_ends_nothing(tmp_path):
    class Rude(Script):
        async def open(self, context):
            raise ValueError("nor what is meant for it")

        async def close(self):
            raise RuntimeError("nor this")

    class Leaving(Rude):
        async def open(self, context):
            await Script.open(self, context)

    async with opened_store(tmp_path) as store:
        async with running(store, plan_for(Rude()), plan_for(Leaving(), "audit")) as (_, watcher):
            await wait_until(lambda: watcher.closed)
        assert [gate.target for gate in watcher.closed] == ["crm"]


@pytest.mark.parametrize("answer", [Retry(None), Retry("soon", "1h"), Retry("never", float("inf")), Rejected(7)])
async def test_G3_an_outcome_with_senseless_fields_is_a_broken_contract(tmp_path, answer):
    script = Script(lambda _: answer)
    async with opened_store(tmp_path) as store, running(store, plan_for(script)) as (_, watcher):
        await accept(store, 1, "crm")
        await wait_until(lambda: watcher.closed)
        assert "broke its contract" in watcher.closed[0].reason


async def test_G1_a_target_that_exits_costs_one_attempt_and_nothing_else(tmp_path):
    def leave(_message):
        raise SystemExit(3)

    async with opened_store(tmp_path) as store, running(store, plan_for(Script(leave))) as (_, watcher):
        await accept(store, 1, "crm")
        await wait_until(lambda: watcher.tries)
        assert watcher.tries[0].outcome == Retry("SystemExit: 3")


async def test_P2_what_a_target_says_is_recorded_even_if_it_says_half_a_character(tmp_path):
    script = Script(lambda _: Delivered("half \ud83d"))
    async with opened_store(tmp_path) as store, running(store, plan_for(script)):
        await accept(store, 1, "crm")
        await wait_until(lambda: script.seen and not store.backlog("crm").in_flight)
        assert await states(store) == ["delivered"]


async def test_P2_a_delivery_whose_record_is_refused_is_told_and_comes_again_in_a_minute(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.dispatch.attempt._writable", lambda text: text)
    async with (
        opened_store(tmp_path) as store,
        running(store, plan_for(Script(lambda _: Retry("half \ud83d")))) as (
            dispatcher,
            watcher,
        ),
    ):
        before = Runtime().now_ms()
        with capture_logs() as logs:
            await accept(store, 1, "crm")
            await wait_until(lambda: watcher.tries and not store.backlog("crm").in_flight)
        (row,) = await rows(store)
        assert (row.state, row.attempts) == ("pending", 0)
        assert 60_000 <= row.due - before < 90_000
        assert await store.attempts(row.event_id, 0) == []
        assert [(one["event"], one["target"]) for one in logs] == [("record.refused", "crm")]
        assert (dispatcher.runners["crm"].window.held, dispatcher.runners["crm"].window.held_bytes) == (0, 0)


async def test_B5_a_delivery_whose_claim_is_no_longer_ours_stays_as_it_is(tmp_path, monkeypatch):
    async with opened_store(tmp_path) as store:
        record, asked = store.record, []

        def record_stale(records, settled):
            asked.append(records)
            record([one._replace(claims=one.claims + 1) for one in records], settled)

        monkeypatch.setattr(store, "record", record_stale)
        async with running(store, plan_for(Script())) as (dispatcher, watcher):
            await accept(store, 1, "crm")
            await wait_until(lambda: watcher.tries and not dispatcher.runners["crm"].window.held)
            assert (len(asked), await states(store)) == (1, ["in_flight"])


async def test_G3_progress_that_is_no_bytes_is_not_kept_and_the_try_is_recorded(tmp_path):
    def answer(message):
        message.save_progress("text")
        return Retry("500")

    async with opened_store(tmp_path) as store, running(store, plan_for(Script(answer))) as (_, watcher):
        await accept(store, 1, "crm")
        await wait_until(lambda: watcher.tries and not store.backlog("crm").in_flight)
        assert [(row.state, row.attempts) for row in await rows(store)] == [("pending", 1)]


async def test_P7_a_suspect_gets_its_turn_alone_also_where_the_target_is_never_idle(tmp_path):
    async with opened_store(tmp_path) as store:
        await accept(store, 0, "crm")
    with closing(sqlite3.connect(tmp_path / "hookgate.db")) as connection, connection:
        due = Runtime().now_ms() + 3000  # time enough for others, also where the store opens slowly
        connection.execute("UPDATE delivery SET claims = 3, interrupted = 3, due = ?", (due,))
    beside = []
    running_now = set()

    async def answer(message):
        running_now.add(message.id)
        if message.payload == b'{"n":0}':
            beside.append(len(running_now) - 1)
        await trio.sleep(0.002)
        running_now.remove(message.id)
        return Delivered()

    script = Script(answer)
    async with opened_store(tmp_path) as store, running(store, plan_for(script)) as (dispatcher, _):
        with trio.move_on_after(40):
            number = 0
            while not beside:
                number += 1
                if lane := dispatcher.reserve("crm", 600, "acme"):
                    lane.hand_over(_claim_of(number), 600)
                else:
                    await trio.sleep(0.001)
        assert beside == [0]
        assert len(script.seen) > 20, "others came before it"


def _claim_of(number):
    payload = b'{"n":%d}' % number
    event = StoredEvent(number, "acme", "main", "order.completed", "1", None, 0, b"POST /\n192.0.2.1", payload, None)
    return Claim(Delivery(number, 0, "crm", "orders", 1, 0, 0, None, 0), event)
