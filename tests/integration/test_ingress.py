"""From a verified request to the store: what is kept, what is held, what is told, and what a sender learns."""

import orjson
import pytest
import trio
import trio.testing
from ingress_bench import CONFIG, ORDERS, STATES, order, parts_of

from gateway.announce import Announcer
from gateway.core.disuse import DAY_MS, Disuse
from gateway.core.model import event_text
from gateway.errors import StoreBusyError
from gateway.store.contract import DeliveryQuery, EventQuery
from gateway.watch import Watch


async def events(parts, **query):
    return await parts.store.events(EventQuery(**query))


async def test_P1_a_2xx_means_that_event_and_deliveries_are_in_the_store(tmp_path):
    async with parts_of(tmp_path) as parts:
        reply = await parts.post(order())
        assert reply.status == 200
        (row,) = await events(parts)
        assert (row.type, row.version, row.credential, row.hold) == ("order.completed", "2023-10-30", "orders", None)
        deliveries = await parts.store.deliveries(DeliveryQuery())
        assert sorted((each.target, each.route) for each in deliveries) == [("audit", "done"), ("crm", "done")]
        assert sorted(parts.admission.hinted) == ["audit", "crm"]


async def test_P6_the_stored_payload_is_what_was_sent_byte_for_byte(tmp_path):
    hook, data = b'{"event":"order.completed","id":7}', b'{"state":"completed","x":"\xc3\xa9"}'
    raw = b' {"version": "2023-10-30",\n "hook": %b,"data":%b}\r\n' % (hook, data)
    async with parts_of(tmp_path) as parts:
        assert (await parts.post(raw)).status == 200
        (row,) = await events(parts)
        assert (await parts.store.event(row.id)).payload == raw


async def test_P23_the_token_that_proved_a_request_is_stored_nowhere(tmp_path):
    async with parts_of(tmp_path) as parts:
        await parts.post(order(), authorization=b"Bearer hush-hush-hush", cookie=b"hush-hush-hush")
        await parts.store.probe()
    held = b"".join(file.read_bytes() for file in tmp_path.glob("hookgate.db*"))
    assert b"o-1" in held
    assert ORDERS not in held
    assert b"hush-hush-hush" not in held


async def test_P4_a_repeat_is_answered_2xx_and_makes_no_second_event(tmp_path):
    async with parts_of(tmp_path) as parts:
        replies = [await parts.post(order()) for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 200]
        assert len(await events(parts)) == 1
        assert parts.counters.sources["truework"].duplicates == 2


async def test_P4_64_copies_at_once_make_one_event(tmp_path):
    async with parts_of(tmp_path) as parts:
        async with trio.open_nursery() as nursery:
            for _ in range(64):
                nursery.start_soon(parts.post, order())
        assert len(await events(parts)) == 1


@pytest.mark.parametrize(
    ("token", "event"),
    [
        (b"", "order.completed"),
        (b"wrong", "order.completed"),
        (STATES, "order.completed"),
        (ORDERS, "verification_request.state.change"),
    ],
)
async def test_P5_a_bad_token_or_one_outside_its_scope_is_401_and_leaves_no_event(tmp_path, token, event):
    async with parts_of(tmp_path) as parts:
        reply = await parts.post(order(event=event), token=token)
        assert (reply.status, reply.body) == (401, b"unauthorized\n")
        assert await events(parts) == []
        (refusal,) = parts.receiver.refusals.newest(5)
        assert refusal.client == "192.0.2.7"


async def test_S14_a_known_key_with_another_payload_is_kept_as_a_conflict_and_told(tmp_path):
    other = order() | {"extra": True}
    async with parts_of(tmp_path) as parts:
        await parts.post(order())
        assert (await parts.post(other)).status == 200
        conflict, first = await events(parts)
        assert (conflict.hold, conflict.deliveries, first.hold) == ("conflict", 0, None)
        assert conflict.replaces == first.id
        assert parts.announcer._queue[-1][0] == "event.conflict"


async def test_an_event_that_no_route_takes_is_kept_and_told_once_a_day(tmp_path):
    async with parts_of(tmp_path) as parts:
        for number in range(3):
            body = order(f"o-{number}", event="verification_request.state.change")
            assert (await parts.post(body, token=STATES)).status == 200
        assert [row.hold for row in await events(parts)] == ["unmatched"] * 3
        assert [telling.kind for telling in parts.announcer._queue] == ["event.unmatched"]


async def test_an_event_of_an_unexpected_version_is_accepted_held_and_told(tmp_path):
    async with parts_of(tmp_path) as parts:
        assert (await parts.post(order(version="2031-01-01"))).status == 200
        (row,) = await events(parts)
        assert (row.hold, row.version, row.deliveries) == ("version", "2031-01-01", 0)
        assert [telling.kind for telling in parts.announcer._queue] == ["event.version_unseen"]


async def test_of_a_new_version_only_the_version_needs_to_be_readable(tmp_path):
    async with parts_of(tmp_path) as parts:
        reply = await parts.post({"version": "2031-01-01", "moved": {"event": "order.completed"}})
        assert reply.status == 200
        (row,) = await events(parts)
        assert (row.type, row.hold) == ("unknown", "version")


async def test_an_event_without_a_type_is_held_even_where_a_route_takes_everything(tmp_path):
    async with parts_of(tmp_path) as parts:
        parts.use(CONFIG.replace('event = "order.completed"\nmatch', 'event = "*"\nmatch'))
        assert (await parts.post({"version": "2023-10-30", "data": {"state": "completed"}})).status == 200
        (row,) = await events(parts)
        assert (row.type, row.hold, row.deliveries) == ("unknown", "unmatched", 0)


async def test_a_repeat_plans_an_event_that_no_route_had_taken(tmp_path):
    async with parts_of(tmp_path) as parts:
        body = order(event="verification_request.state.change")
        await parts.post(body, token=STATES)
        route = '[routes.states]\nsource = "truework"\nevent = "verification_request.*"\ntargets = ["crm"]\n'
        parts.use(CONFIG + route)
        assert (await parts.post(body, token=STATES)).status == 200
        (row,) = await events(parts)
        assert row.deliveries == 1
        assert parts.admission.hinted == ["crm"]


async def test_the_published_misspelling_of_a_state_is_matched_as_it_is_meant(tmp_path):
    async with parts_of(tmp_path) as parts:
        route = '[routes.act]\nsource = "truework"\nevent = "verification_request.*"\ntargets = ["crm"]\n'
        parts.use(CONFIG + route + 'match = { "body.data.state" = "action-required" }\n')
        body = order(state="action-requred", event="verification_request.state.change")
        await parts.post(body, token=STATES)
        (row,) = await events(parts)
        assert row.deliveries == 1
        assert b"action-requred" in (await parts.store.event(row.id)).payload


async def test_a_state_that_nobody_has_heard_of_is_no_error(tmp_path):
    async with parts_of(tmp_path) as parts:
        assert (await parts.post(order(state="teleported"))).status == 200
        assert [row.hold for row in await events(parts)] == ["unmatched"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"version":NaN}', b'{"hook":{"event":"a"},"hook":{"event":"b"}}']
)
async def test_D1_D2_D3_a_verified_body_that_cannot_be_read_is_400_and_leaves_no_event(tmp_path, body):
    async with parts_of(tmp_path) as parts:
        assert (await parts.post(body)).status == 400
        assert await events(parts) == []


async def test_P2_when_the_store_cannot_take_it_the_sender_gets_503_and_retry_after(tmp_path, monkeypatch):
    async with parts_of(tmp_path) as parts:

        async def busy(_acceptance):
            raise StoreBusyError("the queue is over its bytes")

        monkeypatch.setattr(parts.store, "accept", busy)
        reply = await parts.post(order())
        assert reply.status == 503
        assert dict(reply.headers)[b"retry-after"] == b"5"


async def test_P2_who_waits_for_a_reload_that_the_disk_keeps_up_is_told_after_seconds(tmp_path, monkeypatch):
    """A reload that renames holds back what comes, and waits for the store itself."""
    monkeypatch.setattr("gateway.intake.LATE_SECONDS", 0.05)
    async with parts_of(tmp_path) as parts:
        async with parts.intake.pause():
            reply = await parts.post(order())
        assert (reply.status, dict(reply.headers)[b"retry-after"]) == (503, b"5")
        (refusal,) = parts.receiver.refusals.newest(5)
        assert (refusal.source, refusal.reason) == ("truework", "store_busy")
        assert refusal.detail == "no reload ended within 0.05 s: the store's disk is slow, or stuck"
        assert await events(parts) == [], "nothing of it was begun"
        assert (await parts.post(order())).status == 200


async def test_an_unknown_path_is_404_and_another_method_405(tmp_path):
    async with parts_of(tmp_path) as parts:
        assert parts.receiver.admit("POST", "/hooks/nobody", ()).status == 404
        refusal = parts.receiver.admit("PUT", "/hooks/truework", ())
        assert (refusal.status, dict(refusal.headers)) == (405, {b"allow": b"POST"})
        assert isinstance(parts.receiver.admit("POST", "/hooks/truework", ()), int)


async def test_the_newest_path_that_nobody_has_is_kept_for_the_operator_with_how_many_there_were(tmp_path):
    async with parts_of(tmp_path) as parts:
        for path in ("/wp-login.php", "/hooks/treuwork" + "k" * 500):
            parts.receiver.admit("POST", path, ())
        ((newest, count),) = parts.receiver.refusals.folded(9)
        assert (newest.status, newest.reason, count) == (404, "unknown_path", 2)
        assert newest.detail.startswith("POST '/hooks/treuworkk")
        assert len(newest.detail) < 150
        assert parts.receiver.refusals.newest(9) == [], "a scanner drives nothing out"


@pytest.mark.parametrize(
    "path", ["/hooks/../hooks/truework", "/hooks/%74ruework", "//hooks/truework", "/hooks/truework;x"]
)
async def test_H16_a_path_is_compared_as_sent_and_never_decoded(tmp_path, path):
    async with parts_of(tmp_path) as parts:
        assert parts.receiver.admit("POST", path, ()).status == 404


async def test_the_path_of_a_removed_source_answers_503_for_a_day(tmp_path):
    async with parts_of(tmp_path) as parts:
        parts.use('[targets.audit]\ntype = "file"\npath = "audit.jsonl"\n')
        assert parts.receiver.admit("POST", "/hooks/truework", ()).status == 503
        assert (await parts.post(order())).status == 503


async def test_uses_of_a_credential_are_counted_by_name(tmp_path):
    async with parts_of(tmp_path) as parts:
        await parts.post(order("a"))
        await parts.post(order("b"))
        counts = parts.counters.sources["truework"]
        assert dict(counts.used) == dict(counts.used_alone) == {"orders": 2}


async def test_own_events_go_to_the_alert_targets_as_events_of_their_own(tmp_path):
    async with parts_of(tmp_path) as parts, trio.open_nursery() as nursery:
        await nursery.start(parts.announcer.run, parts.intake, parts.store)
        await parts.post(order(state="teleported"))
        with trio.fail_after(30):
            while not await events(parts, source="hookgate"):
                await trio.sleep(0.01)
        (row,) = await events(parts, source="hookgate")
        (delivery,) = await parts.store.deliveries(DeliveryQuery(event_id=row.id))
        assert (row.type, delivery.target) == ("event.unmatched", "ops")
        payload = orjson.loads((await parts.store.event(row.id)).payload)
        (about,) = await events(parts, source="truework")
        assert payload["data"] == {
            "source": "truework",
            "type": "order.completed",
            "version": "2023-10-30",
            "event_id": event_text(about.id),
            "unmet": ['route done: match body.data.state in ["completed","canceled"]'],
        }
        nursery.cancel_scope.cancel()


async def run_announcer(parts, expected):
    """Have the announcer accept what it has queued, and end it."""
    async with trio.open_nursery() as nursery:
        await nursery.start(parts.announcer.run, parts.intake, parts.store)
        with trio.fail_after(30):
            while len(await events(parts, source="hookgate")) < expected or parts.announcer._queue:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()


async def test_what_was_told_today_is_not_told_again_after_a_restart(tmp_path):
    async with parts_of(tmp_path) as parts:
        await parts.post(order(state="teleported"))
        await run_announcer(parts, 1)
        again = Announcer(parts.runtime)
        async with trio.open_nursery() as nursery:
            await nursery.start(again.run, parts.intake, parts.store)
            nursery.cancel_scope.cancel()
        found = {"source": "truework", "type": "order.completed", "version": "2023-10-30"}
        subject = "truework order.completed 2023-10-30"
        assert not again.tell("event.unmatched", subject, found, origin="truework")
        assert again.tell("event.unmatched", "another", found, origin="truework")


async def test_an_alert_target_that_is_down_is_told_of_to_the_others_only(tmp_path):
    async with parts_of(tmp_path) as parts:
        parts.use(CONFIG.replace('targets = ["ops"]', 'targets = ["ops", "audit"]'))
        parts.announcer.tell("target.down", "ops", {"target": "ops", "reason": "refused"})
        await run_announcer(parts, 1)
        (row,) = await events(parts, source="hookgate")
        assert [each.target for each in await parts.store.deliveries(DeliveryQuery(event_id=row.id))] == ["audit"]


async def test_the_only_alert_target_that_is_down_gets_nothing_about_itself(tmp_path):
    async with parts_of(tmp_path) as parts:
        parts.announcer.tell("target.down", "ops", {"target": "ops", "reason": "refused"})
        await run_announcer(parts, 1)
        (row,) = await events(parts, source="hookgate")
        assert (row.hold, row.deliveries) == ("ignored", 0)
        assert len(await events(parts, source="hookgate")) == 1, "and its own event makes no other"


async def test_a_credential_that_nobody_uses_is_told_while_the_other_is_used(tmp_path):
    async with parts_of(tmp_path) as parts:
        watch = Watch(lambda: parts.intake.blueprint, parts.counters, parts.announcer, parts.runtime)
        long_ago = parts.runtime.now_ms() - 40 * DAY_MS
        kept = {
            f"used/truework/{name}": orjson.dumps(["truework", name, long_ago, True]) for name in ("orders", "states")
        }
        disuse = Disuse(kept)
        watch.look_at_credentials(disuse)
        assert not parts.announcer._queue, "a silent source has no unused credential"
        await parts.post(order())
        watch.look_at_credentials(disuse)
        (telling,) = parts.announcer._queue
        assert (telling.kind, telling.subject) == ("credential.unused", "truework states")
        assert telling.data["days"] == 40


async def test_trouble_with_an_own_event_makes_no_own_event(tmp_path):
    async with parts_of(tmp_path) as parts:
        assert not parts.announcer.tell("delivery.dead", "ops", {"source": "hookgate", "target": "ops"})


async def test_an_event_is_planned_again_by_todays_routes(tmp_path):
    async with parts_of(tmp_path) as parts:
        await parts.post(order())
        (row,) = await events(parts)
        stored = await parts.store.event(row.id)
        assert {each.target for each in parts.intake.plan_again(stored, None)} == {"crm", "audit"}
        assert [each.target for each in parts.intake.plan_again(stored, ["ops"])] == ["ops"]
        parts.use(CONFIG.replace('targets = ["crm", "audit"]', 'targets = ["audit"]'))
        assert [each.target for each in parts.intake.plan_again(stored, None)] == ["audit"]


async def test_a_delivery_is_planned_with_the_moment_at_which_its_target_lets_it_expire(tmp_path):
    expiring = CONFIG.replace('path = "crm.jsonl"', 'path = "crm.jsonl"\nretry = { expires = "10m" }')
    async with parts_of(tmp_path) as parts:
        parts.use(expiring)
        parts.admission.slots = True
        await parts.post(order())
        (row,) = await events(parts)
        handed = {claim.delivery.target: claim.delivery for claim in parts.admission.handed}
        kept = await parts.store.event(row.id)
        assert handed["crm"].expires_at == kept.accepted_at + 600_000
        assert handed["audit"].expires_at is None
        again = parts.intake.plan_again(kept, None)
        assert {each.target: each.expires_ms for each in again} == {"crm": 600_000, "audit": None}
        assert [each.expires_ms for each in parts.intake.plan_again(kept, ["crm", "ops"])] == [600_000, None]
        assert await parts.store.expire(kept.accepted_at + 600_000) == {}, "what is being tried goes on"


async def test_P15_a_source_that_a_reload_removes_still_acknowledges_what_it_was_accepting(tmp_path):
    async with parts_of(tmp_path) as parts:
        replies = []

        async def post():
            replies.append(await parts.post(order()))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(post)
            await trio.testing.wait_all_tasks_blocked()
            parts.use(
                CONFIG.replace("truework]", "other]")
                .replace("truework.", "other.")
                .replace('source = "truework"', 'source = "other"')
            )
        assert [reply.status for reply in replies] == [200]
        assert len(await events(parts)) == 1


async def test_P15_while_names_change_owners_nothing_is_between_plan_and_accept(tmp_path):
    async with parts_of(tmp_path) as parts:
        replies = []

        async def post(number):
            replies.append(await parts.post(order(f"o-{number}")))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(post, 1)
            await trio.testing.wait_all_tasks_blocked()
            async with parts.intake.pause():
                assert len(await events(parts)) == 1, "what was under way is accepted first"
                nursery.start_soon(post, 2)
                await trio.testing.wait_all_tasks_blocked()
                assert len(await events(parts)) == 1, "what comes now waits"
        assert [reply.status for reply in replies] == [200, 200]
        assert len(await events(parts)) == 2


BATCH = """
[sources.acme]
provider = "generic"
verify = { scheme = "token", header = "X-Truework-Token" }
identify = { type = "body.type", split = "body.items[]" }
credentials.main = { secret = { file = "orders" }, event = "order.*" }
"""


async def test_events_of_a_batch_outside_its_credential_s_scope_are_left_out_and_told(tmp_path):
    async with parts_of(tmp_path) as parts:
        parts.use(CONFIG + BATCH)
        batch = {"items": [{"type": "order.paid"}, {"type": "refund.made"}]}
        assert (await parts.post(batch, path="/hooks/acme")).status == 200
        assert [row.type for row in await events(parts)] == ["order.paid"]
        (refusal,) = parts.receiver.refusals.newest(5)
        assert (refusal.status, refusal.reason) == (200, "scope_in_part")
        assert refusal.detail.startswith("1 of 2 events")
        assert parts.counters.sources["acme"].refused == {"scope_in_part": 1}
