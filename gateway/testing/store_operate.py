"""Conformance of a store: gates, renames and lists."""

from gateway.store.contract import Backlog, DeliveryQuery, EventQuery, Gate, NewDelivery, Rename
from gateway.testing.store_desk import MANY, SECOND, SETTINGS, Desk, OpenStore, SteppedRuntime, expect, new


async def a_gate_is_closed_changed_and_opened(open_store: OpenStore) -> None:
    """One of each kind for a target; they outlast a restart."""
    runtime = SteppedRuntime()
    breaker = Gate("crm", "breaker", 5, 9, "refused")
    held = Gate("crm", "held", 6, None, "by an operator")
    async with open_store(runtime, SETTINGS) as store:
        await store.close_gate(held)
        await store.close_gate(breaker)
        await store.close_gate(held._replace(target="audit"))
        await store.close_gate(breaker._replace(until=99, reason="timeout"))
    async with open_store(runtime, SETTINGS) as store:
        later = breaker._replace(until=99, reason="timeout")
        audit = held._replace(target="audit")
        expect(await store.gates(), [audit, later, held], "both are closed, the breaker for longer; targets in order")
        expect(await store.open_gate("crm", "breaker"), True, "it was closed")
        expect(await store.open_gate("crm", "breaker"), False, "it is open")
        expect(await store.open_gate("nobody", "held"), False, "there never was one")
        expect(await store.gates(), [audit, held], "the others stay closed")


async def a_renamed_target_keeps_its_backlog(open_store: OpenStore) -> None:
    """What waited for the old name waits for the new one; a name that owns something is not given away."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.accept_one("k", targets=("crm", "audit"))
        await store.close_gate(Gate("crm", "held", 1, None, ""))
        before = store.backlog("crm")
        expect(await desk.rename("target", "crm", "audit"), False, "audit owns something")
        expect(await desk.rename("target", "nobody", "sales"), False, "nobody owns nothing")
        expect(await desk.rename("target", "crm", "sales"), True, "sales owns nothing yet")
        expect((store.backlog("sales"), store.backlog("crm")), (before, Backlog()), "the backlog has moved")
        expect([gate.target for gate in await store.gates()], ["sales"], "so has the gate")
        expect((await desk.claim_one("sales")).target, "sales", "and what is claimed")
        await desk.accept_one("l")
        expect((store.backlog("crm").pending, store.targets()), (1, ["audit", "crm", "sales"]), "the old name is free")


async def several_names_change_at_once(open_store: OpenStore) -> None:
    """Those that cannot are left out; the others go together."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.accept_one("k", targets=("crm", "audit"))
        wanted = [
            Rename("target", "nobody", "x"),
            Rename("target", "crm", "sales"),
            Rename("target", "audit", "sales"),
            Rename("source", "shop", "store"),
        ]
        expect(await store.rename(wanted), [wanted[1], wanted[3]], "nobody owned nothing, sales was taken")
        expect(store.targets(), ["audit", "sales"], "the backlog has moved")
        expect(await store.rename([]), [], "nothing to do")
        told = [(row.who, row.subject, row.reason, row.affected) for row in await store.operator.audit(None, 1)]
        expect(told, [("the configuration", "source shop", "is store now", 1)], "it is written down")


async def what_was_in_flight_under_an_old_name_is_recorded_under_the_new(open_store: OpenStore) -> None:
    """A reload renames a target while its deliveries are on their way; the old name may be in use again."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.accept_one("k")
        old = await desk.claim_one()
        for formerly, name in (("crm", "b"), ("b", "crm"), ("crm", "b"), ("b", "sales")):
            expect(await desk.rename("target", formerly, name), True, "the new name owns nothing yet")
        await desk.accept_one("l")
        young = await desk.claim_one()
        expect([await desk.settle(one, "dead") for one in (old, young)], [True, True], "both claims hold")
        expect((store.backlog("sales"), store.backlog("crm")), (Backlog(dead=1),) * 2, "each is counted where it is")


async def what_was_in_flight_is_recorded_where_it_is_though_another_target_got_its_name(open_store: OpenStore) -> None:
    """By one reload `crm` becomes `sales`, and `b` becomes `crm`."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.accept_one("k", targets=("crm", "b"))
        old = await desk.claim_one()
        for formerly, name in (("crm", "sales"), ("b", "crm")):
            expect(await desk.rename("target", formerly, name), True, "the new name owns nothing any more")
        expect(await desk.settle(old, "dead"), True, "the claim holds")
        backlogs = (store.backlog("sales"), store.backlog("crm"))
        expect(backlogs, (Backlog(dead=1), Backlog(1, next_due=runtime.now_ms())), "each is counted where it is")


async def an_old_event_for_a_target_that_got_a_freed_name_is_counted_there(open_store: OpenStore) -> None:
    """Sent again by a replay, or by its provider after nothing had matched it; tried again, though it is older."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        replayed = await desk.accept_one("k")
        old = await desk.claim_one()
        unmatched = await desk.accept_one("l", targets=(), hold="unmatched")
        expect(await desk.rename("target", "crm", "sales"), True, "sales owns nothing yet")
        expect(await desk.replay_one(replayed, (NewDelivery("all", "crm", False),), "r1"), 1, "it is replayed")
        expect((await desk.accept(new("l")))[0].event_id, unmatched, "its provider sends it again")
        later = runtime.now_ms() + SECOND
        claims = [claim.delivery for claim in await desk.claim()]
        await desk.record(*[desk.ended(each, "pending", "503", later) for each in claims])
        expect(store.backlog("crm"), Backlog(2, next_due=later), "both are tried again")
        await desk.settle(old)
        expect(store.backlog("sales"), Backlog(), "what was in flight before is another's")
        runtime.advance(SECOND)
        expect([claim.event.id for claim in await desk.claim()], [unmatched, replayed], "both are due")


async def notes_that_bear_a_name_are_renamed_along(open_store: OpenStore) -> None:
    """They go with what they are about, or stay with it where nothing is renamed."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.accept_one("k", targets=("crm", "audit"))
        await store.keep_notes({"a crm": b"1", "a sales": b"old", "b crm": b"2"})
        notes = (("a crm", "a sales"), ("c crm", "c sales"))
        await store.rename([Rename("target", "crm", "audit", (("a crm", "a audit"),))])
        await store.rename([Rename("target", "crm", "sales", notes)])
        expect(await store.notes(""), {"a sales": b"1", "b crm": b"2"}, "those that were named, once it was renamed")


async def a_renamed_source_keeps_its_keys(open_store: OpenStore) -> None:
    """A repeat that arrives under the new name is a repeat."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        first = await desk.accept_one("k")
        expect(await desk.rename("source", "shop", "store"), True, "the new name owns nothing yet")
        expect((await desk.accept(new("k", source="store")))[0].event_id, first, "the key is known")
        expect((await desk.accept(new("k", source="shop")))[0].kind, "new", "the old name is a new source")


async def what_was_given_to_a_store_before_a_rename_goes_along(open_store: OpenStore) -> None:
    """Also what is not durable when the rename is asked for: nothing is left behind under the old names."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.accept_one()
        async with desk.accepting(*[new(key) for key in range(MANY)]):
            renames = [Rename("target", "crm", "sales"), Rename("source", "shop", "store")]
            expect(await store.rename(renames), renames, "the new names own nothing yet")
        expect((store.backlog("sales").pending, store.backlog("crm").pending), (MANY + 1, 0), "all wait for sales")
        verdicts = await desk.accept(*[new(key, source="store") for key in range(MANY)])
        expect({verdict.kind for verdict in verdicts}, {"duplicate"}, "all keys are known")


async def events_are_listed_newest_first_by_page(open_store: OpenStore) -> None:
    """By source, type, hold and id; `*` is the only sign with a meaning."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        ids = [await desk.accept_one(key, kind=f"order.{key}") for key in range(3)]
        odd = await desk.accept_one("x", source="bank", kind="a[b]?", targets=(), hold="unmatched")
        listed = [row.id for row in await store.events(EventQuery())]
        expect(listed, [odd, *reversed(ids)], "newest first")
        page = await store.events(EventQuery(before=ids[2], limit=1))
        expect([row.id for row in page], [ids[1]], "a page goes on below an id")
        by_type = [
            [row.id for row in await store.events(EventQuery(type_glob=glob))] for glob in ("order.*", "a[b]?", "?")
        ]
        expect(by_type, [ids[::-1], [odd], []], "by type")
        by_source = await store.events(EventQuery(source="bank", hold="unmatched"))
        expect([(row.id, row.hold, row.deliveries) for row in by_source], [(odd, "unmatched", 0)], "by source and hold")


async def an_event_row_counts_its_deliveries(open_store: OpenStore) -> None:
    """All, unsettled and dead."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        await desk.accept_one("k", targets=("crm", "audit", "mail"))
        await desk.settle(await desk.claim_one("audit"))
        await desk.settle(await desk.claim_one("mail"), "dead")
        row = (await store.events(EventQuery()))[0]
        expect((row.deliveries, row.unsettled, row.dead), (3, 1, 1), "three, one waits, one is dead")


async def deliveries_are_listed_by_target_state_and_event(open_store: OpenStore) -> None:
    """Newest first, by page."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        ids = [await desk.make_dead(key) for key in range(3)]
        other = await desk.accept_one("x", targets=("audit",))
        queries = {
            DeliveryQuery(target="crm", state="dead", before=ids[2]): ids[1::-1],
            DeliveryQuery(target="crm", limit=1): ids[2:],
            DeliveryQuery(state="pending"): [other],
            DeliveryQuery(event_id=ids[0]): ids[:1],
            DeliveryQuery(target="crm", state="dead", event_id=other): [],
            DeliveryQuery(target="audit", state="dead"): [],
        }
        for query, expected in queries.items():
            expect([row.event_id for row in await store.deliveries(query)], expected, repr(query))


async def deliveries_are_listed_by_source(open_store: OpenStore) -> None:
    """In any state, dead ones of one target too; a name that no event has gives none."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        shop, bank = await desk.make_dead("a"), await desk.make_dead("b", source="bank")
        both = await desk.accept_one("c", source="bank", targets=("crm", "audit"))
        queries = {
            DeliveryQuery(source="bank"): [(both, 0), (both, 1), (bank, 0)],
            DeliveryQuery(source="bank", state="pending", target="audit"): [(both, 1)],
            DeliveryQuery(source="bank", state="dead"): [(bank, 0)],
            DeliveryQuery(source="bank", state="dead", target="crm"): [(bank, 0)],
            DeliveryQuery(source="shop"): [(shop, 0)],
            DeliveryQuery(source="bank", event_id=shop): [],
            DeliveryQuery(source="bank", before=both, before_n=0): [(both, 1), (bank, 0)],
            DeliveryQuery(source="crm"): [],
        }
        for query, expected in queries.items():
            expect([(row.event_id, row.n) for row in await store.deliveries(query)], expected, repr(query))


async def a_list_goes_on_inside_an_event(open_store: OpenStore) -> None:
    """With `before_n`: what the event still has, then the older ones; without: only the older ones."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        old = await desk.accept_one("old", targets=("crm", "audit"))
        new = await desk.accept_one("new", targets=("crm", "audit", "mail"))
        queries = {
            DeliveryQuery(before=new, before_n=0): [(new, 1), (new, 2), (old, 0), (old, 1)],
            DeliveryQuery(before=new, before_n=0, limit=3): [(new, 1), (new, 2), (old, 0)],
            DeliveryQuery(before=new, before_n=1, event_id=new): [(new, 2)],
            DeliveryQuery(before=new, before_n=0, event_id=old): [(old, 0), (old, 1)],
            DeliveryQuery(before=new): [(old, 0), (old, 1)],
        }
        for query, expected in queries.items():
            expect([(row.event_id, row.n) for row in await store.deliveries(query)], expected, repr(query))
        for claim in await store.claim("crm", 10, 10**6, runtime.now_ms()):
            await desk.settle(claim.delivery, "dead")
        dead = DeliveryQuery(target="crm", state="dead", before=new, before_n=0)
        expect([(row.event_id, row.n) for row in await store.deliveries(dead)], [(old, 0)], repr(dead))


async def a_probe_is_a_durable_commit(open_store: OpenStore) -> None:
    """Health tells when the last one was."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        runtime.advance(7 * SECOND)
        await store.probe()
        health = store.health()
        expect((health.accepting, health.reason), (True, ""), "nothing is wrong")
        expect(health.last_commit, runtime.monotonic(), "it has just committed")
        expect((health.queued, health.queued_bytes), (0, 0), "nothing waits")
        expect(store.answer_late(), 0, "nor is anybody told that it takes too long")


async def notes_are_kept_by_name(open_store: OpenStore) -> None:
    """Small things of other parts: found by the beginning of their names, replaced, removed; several at once."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        await store.keep_notes({"rules/shop": b"1", "rules/bank": b"2", "other": b"3"})
        expect(dict(await store.notes("rules/")), {"rules/bank": b"2", "rules/shop": b"1"}, "two begin so")
        await store.keep_notes({"rules/shop": b"4", "rules/bank": None, "rules/none": None})
        expect(dict(await store.notes("rules/")), {"rules/shop": b"4"}, "one is replaced, one removed")
        expect(dict(await store.notes("%")), {}, "no character of a name is special")


OPERATE_CHECKS = (
    notes_are_kept_by_name,
    a_gate_is_closed_changed_and_opened,
    a_renamed_target_keeps_its_backlog,
    several_names_change_at_once,
    what_was_in_flight_under_an_old_name_is_recorded_under_the_new,
    what_was_in_flight_is_recorded_where_it_is_though_another_target_got_its_name,
    an_old_event_for_a_target_that_got_a_freed_name_is_counted_there,
    notes_that_bear_a_name_are_renamed_along,
    a_renamed_source_keeps_its_keys,
    what_was_given_to_a_store_before_a_rename_goes_along,
    events_are_listed_newest_first_by_page,
    an_event_row_counts_its_deliveries,
    deliveries_are_listed_by_target_state_and_event,
    deliveries_are_listed_by_source,
    a_list_goes_on_inside_an_event,
    a_probe_is_a_durable_commit,
)
