"""Conformance of a store: *accept*, verdicts and de-duplication."""

import trio

from gateway.store.contract import Backlog, DeliveryQuery, EventQuery, NewDelivery, NewEvent, Verdict
from gateway.testing.store_desk import SETTINGS, Desk, OpenStore, SteppedRuntime, digest, expect, new


async def an_accepted_event_can_be_read_back(open_store: OpenStore) -> None:
    """All that was accepted comes back as it was."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        event_id = await desk.accept_one("k", occurred_at=77)
        found = await store.event(event_id)
        if found is None:
            raise AssertionError("an accepted event can be loaded: found none")
        names = (found.source, found.credential, found.type, found.version)
        expect(names, ("shop", "main", "order.paid", "1"), "the names come back")
        expect((found.occurred_at, found.accepted_at), (77, runtime.now_ms()), "the times come back")
        expect((found.head, found.payload), (b"POST /hooks/shop\n192.0.2.1", b"{}"), "the bytes come back")
        expect(await store.event(event_id + 1), None, "an id that was never given has no event")


async def a_split_request_is_stored_once_with_a_part_for_each_event(open_store: OpenStore) -> None:
    """Verdicts come in order; each event has its own payload, all share the request."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        verdicts = await desk.accept(*(new(key, part=part) for key, part in ((1, b"one"), (2, None), (3, b""))))
        expect([verdict.kind for verdict in verdicts], ["new"] * 3, "three keys are three events")
        found = [await store.event(verdict.event_id) for verdict in verdicts]
        expect([one and one.payload for one in found], [b"one", b"{}", b""], "each event has its own payload")
        ids = [verdict.event_id for verdict in verdicts]
        expect(ids, sorted(set(ids)), "ids rise in order of acceptance")


async def deliveries_are_due_at_once_unless_a_slot_is_reserved(open_store: OpenStore) -> None:
    """`admitted` deliveries are ours from the start, with claim 1; the others wait."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        mixed = new("k", targets=())._replace(
            deliveries=(NewDelivery("all", "crm", False), NewDelivery("all", "audit", True))
        )
        await desk.accept(mixed)
        expect(store.backlog("crm"), Backlog(1, 0, 0, runtime.now_ms()), "one waits for crm")
        expect(store.backlog("audit"), Backlog(0, 1, 0, None), "one is in flight to audit")
        expect(await desk.claim("audit"), [], "what is in flight cannot be claimed")
        rows = await store.deliveries(DeliveryQuery())
        expect(
            [(row.n, row.target, row.state, row.claims) for row in rows],
            [(0, "crm", "pending", 0), (1, "audit", "in_flight", 1)],
            "deliveries are numbered as planned, from 0",
        )


async def a_repeat_is_a_duplicate_and_changes_nothing(open_store: OpenStore) -> None:
    """P4: the same key with the same payload, later, in the same request, and without any difference to the backlog."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        first, within = await desk.accept(new("k"), new("k"))
        later = (await desk.accept(new("k")))[0]
        repeat = Verdict("duplicate", first.event_id)
        expect((first.kind, within, later), ("new", repeat, repeat), "a repeat is a duplicate of the first")
        expect(store.backlog("crm").pending, 1, "a repeat adds no delivery")
        expect(len(await store.events(EventQuery())), 1, "a repeat adds no event")


async def racing_copies_give_one_event(open_store: OpenStore) -> None:
    """P4: 64 copies at the same time, in one group commit or several."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        found: list[Verdict] = []

        async def send() -> None:
            found.extend(await desk.accept(new("k")))

        async with trio.open_nursery() as nursery:
            for _ in range(64):
                nursery.start_soon(send)
        expect(sorted(verdict.kind for verdict in found), ["duplicate"] * 63 + ["new"], "one of 64 copies is new")
        expect(len({verdict.event_id for verdict in found}), 1, "all of them are told the same event")
        expect(store.backlog("crm").pending, 1, "it is delivered once")


async def keys_belong_to_their_source_and_no_key_is_never_a_repeat(open_store: OpenStore) -> None:
    """The same key of another source is another event; events without a key are all new."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        verdicts = await desk.accept(new("k"), new("k", source="bank"), new(None), new(None))
        expect([verdict.kind for verdict in verdicts], ["new"] * 4, "none of these repeats another")


async def a_conflict_is_kept_without_deliveries(open_store: OpenStore) -> None:
    """The same key with another payload is stored, held and linked; its own repeats are duplicates of it."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        first = await desk.accept_one("k", payload="a")
        rival, again = await desk.accept(new("k", payload="b"), new("k", payload="b"))
        expect((rival.kind, rival.event_id != first), ("conflict", True), "another payload is a conflict")
        expect(again, Verdict("duplicate", rival.event_id), "a repeat of the conflict is its duplicate")
        row = (await store.events(EventQuery(hold="conflict")))[0]
        expect((row.id, row.replaces, row.deliveries), (rival.event_id, first, 0), "it is held and linked")
        await desk.accept(new("k", payload="c"))
        expect((await store.events(EventQuery(hold="conflict")))[0].replaces, first, "so is a third, to the first")
        expect(store.backlog("crm").pending, 1, "only the first is delivered")


async def a_conflict_is_delivered_where_the_source_says_so(open_store: OpenStore) -> None:
    """`on_conflict = "accept"`: it is new, delivered and linked; its repeats are duplicates."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        first = await desk.accept_one("k", payload="a")
        verdicts = [(await desk.accept(new("k", payload="b", on_conflict="accept")))[0] for _ in range(2)]
        expect([verdict.kind for verdict in verdicts], ["new", "duplicate"], "it is accepted once")
        expect(store.backlog("crm").pending, 2, "both payloads are delivered")
        expect((await store.events(EventQuery()))[0].replaces, first, "it is linked to the first")


async def a_former_key_finds_a_repeat_but_never_a_conflict(open_store: OpenStore) -> None:
    """A changed de-dup rule: what came under the old one is found by it; what only shares the old key is new."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        first = await desk.accept_one("old", payload="a")
        again = await desk.accept(_formerly("old", new("by the new rule", payload="a")))
        expect(again, (Verdict("duplicate", first),), "the same payload under the former key is a repeat")
        again = await desk.accept(new("by the new rule", payload="a"))
        expect(again, (Verdict("duplicate", first),), "from then on by its own key, too")
        one, two = [_formerly("old", new(key, payload="a")) for key in ("by the new rule", "told apart by it")]
        verdicts = await desk.accept(one, two, one, two)
        expect([each.kind for each in verdicts], ["duplicate", "new", "duplicate", "duplicate"], "one key is its")
        other = await desk.accept(_formerly("old", new("another", payload="b")))
        expect(other[0].kind, "new", "another payload is what the new rule tells apart")
        third = await desk.accept(_formerly("another", new("by a third rule", payload="b", source="bank")))
        expect(third[0].kind, "new", "former keys belong to their source, too")
        repeat = await desk.accept(_formerly("old", new("another", payload="b")))
        expect(repeat, (Verdict("duplicate", other[0].event_id),), "its own repeat is found by its own key")
        same_key = new("old", payload="as the new rule compares it")
        event = same_key.event._replace(former=((digest("old"), digest("a")),))
        expect(
            await desk.accept(same_key._replace(event=event)),
            (Verdict("duplicate", first),),
            "a rule that only compares otherwise finds it by what the old one compared",
        )


def _formerly(key: object, event: NewEvent) -> NewEvent:
    return event._replace(event=event.event._replace(former=((digest(key), event.event.digest),)))


async def what_was_polled_and_what_was_sent_are_one_event(open_store: OpenStore) -> None:
    """Either finds the other by `seen_as`, in one request or later, whatever the payload; of their source only."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        first = await desk.accept(_sent("k", "o"))
        expect(first[0].kind, "new", "what was sent is new")
        expect(await desk.accept(_polled("o")), (Verdict("duplicate", first[0].event_id),), "asking finds nothing new")
        other = await desk.accept(_sent("another subscription", "o"))
        expect(other[0].kind, "new", "a mark keeps no event away that was sent under another key")
        found, again, late = await desk.accept(_polled("p"), _polled("p"), _sent("late", "p"))
        expect(found.kind, "new", "what never came is found")
        expect((again, late), (Verdict("duplicate", found.event_id),) * 2, "it is found once, and not doubled")
        later = await desk.accept(_sent("late", "p"))
        expect(later, (Verdict("duplicate", found.event_id),), "nor later")
        repeat = (Verdict("duplicate", first[0].event_id),)
        expect(await desk.accept(_polled("o")), repeat, "of two that have one mark the first is found")
        rival = _sent("k", "o")
        await desk.accept(rival._replace(event=rival.event._replace(digest=digest("other"))))
        seen = new("late list", payload="as the list says it")
        seen = seen._replace(event=seen.event._replace(seen_as=digest("k"), polled=True))
        expect(await desk.accept(seen), repeat, "of two that conflict the first")
        both = await desk.accept(_sent("both", "b"), _polled("b"))
        expect(both[1], Verdict("duplicate", both[0].event_id), "what is sent and found at once is one")
        elsewhere = await desk.accept(_polled("o", source="bank"))
        expect(elsewhere[0].kind, "new", "marks belong to their source")


async def a_repeat_that_was_polled_revives_nothing(open_store: OpenStore) -> None:
    """Asking again and again must not try again and again what is dead."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        (sent,) = await desk.accept(_sent("k", "o"))
        await desk.settle(await desk.claim_one(), "dead")
        expect(await desk.accept(_polled("o")), (Verdict("duplicate", sent.event_id),), "a polled repeat is counted")
        expect(store.backlog("crm").dead, 1, "the dead delivery rests")
        again = await desk.accept(_sent("k", "o"))
        expect(again, (Verdict("duplicate", sent.event_id, 1),), "the provider's own repeat revives it")


def _sent(key: object, occurrence: object) -> NewEvent:
    event = new(key)
    mark, seen_as = digest(f"sent {occurrence}"), digest(f"polled {occurrence}")
    return event._replace(event=event.event._replace(mark=mark, seen_as=seen_as))


def _polled(occurrence: object, source: str = "shop") -> NewEvent:
    event = new(f"polled {occurrence}", payload="as the list says it", source=source)
    return event._replace(event=event.event._replace(seen_as=digest(f"sent {occurrence}"), polled=True))


async def a_cancelled_acceptance_is_carried_out_and_delivered(open_store: OpenStore) -> None:
    """Whoever was to get the admitted deliveries has gone, so they are due."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        with trio.CancelScope() as scope:
            scope.cancel()
            await desk.accept(new("k", admitted=True))
        expect(scope.cancelled_caught, True, "a cancelled caller stops waiting")
        await store.probe()
        await store.probe()
        expect(store.backlog("crm")[:2], (1, 0), "its delivery waits for anybody")
        expect((await desk.accept(new("k")))[0].kind, "duplicate", "it was accepted all the same")


async def one_bad_request_fails_alone(open_store: OpenStore) -> None:
    """A value that the store cannot take costs its own request, not the others of the same commit."""
    runtime = SteppedRuntime()
    async with open_store(runtime, SETTINGS) as store:
        desk = Desk(store, runtime)
        found: dict[str, object] = {}

        async def send(key: str, kind: str) -> None:
            try:
                found[key] = (await desk.accept(new(key, kind=kind), new(key + "'")))[0].kind
            except Exception as error:  # noqa: BLE001 - which error it is, is the store's own matter
                found[key] = type(error).__name__ != "StoreBrokenError"

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, "good", "a")
            nursery.start_soon(send, "bad", "\ud800")
            nursery.start_soon(send, "fine", "b")
        expect((found["good"], found["fine"]), ("new", "new"), "its neighbours are accepted")
        expect(found["bad"], True, "it is refused, and the store goes on")
        expect(store.backlog("crm").pending, 4, "nothing of it is stored")


ACCEPT_CHECKS = (
    an_accepted_event_can_be_read_back,
    a_split_request_is_stored_once_with_a_part_for_each_event,
    deliveries_are_due_at_once_unless_a_slot_is_reserved,
    a_repeat_is_a_duplicate_and_changes_nothing,
    racing_copies_give_one_event,
    keys_belong_to_their_source_and_no_key_is_never_a_repeat,
    a_conflict_is_kept_without_deliveries,
    a_conflict_is_delivered_where_the_source_says_so,
    a_former_key_finds_a_repeat_but_never_a_conflict,
    what_was_polled_and_what_was_sent_are_one_event,
    a_repeat_that_was_polled_revives_nothing,
    a_cancelled_acceptance_is_carried_out_and_delivered,
    one_bad_request_fails_alone,
)
