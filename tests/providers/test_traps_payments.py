"""What is easily got wrong with providers of code, payments, identity and messages: each preset keeps clear of it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from gateway.core.model import Request


class Trap(NamedTuple):
    """Two requests of one provider, by changes of its sample, and how many events they must make."""

    name: str
    sample: int
    first: tuple[str, ...]
    second: tuple[str, ...]
    events: int


def header_changed(request: Request, name: str, value: str) -> Request:
    kept = [pair for pair in request.headers if pair[0] != name.encode()]
    return request._replace(headers=(*kept, (name.encode(), value.encode())))


SAME_TRANSFER = ("data.id=T", "data.sequenceNumber=1", "timestamp=2026-01-01T00:00:00Z")
TRAPS = {
    "mollie: one id for every change of state": Trap("mollie", 0, ("id=tr_1",), ("id=tr_1",), 2),
    "coinbase: a new id with each delivery of one event": Trap(
        "coinbase_commerce", 0, ("id=1", "event.id=E"), ("id=2", "event.id=E"), 1
    ),
    "paddle: a new notification for one event": Trap(
        "paddle", 0, ("event_id=E", "notification_id=1"), ("event_id=E", "notification_id=2"), 1
    ),
    "paystack: two events of one transaction": Trap(
        "paystack", 0, ("event=charge.success", "data.id=1"), ("event=charge.dispute.create", "data.id=1"), 2
    ),
    "adyen: two states of one transfer": Trap(
        "adyen_platform", 0, (*SAME_TRANSFER, "data.status=booked"), (*SAME_TRANSFER, "data.status=failed"), 2
    ),
    "adyen: one state twice": Trap("adyen_platform", 0, SAME_TRANSFER, SAME_TRANSFER, 1),
    "twilio: two states of one message": Trap(
        "twilio", 0, ("MessageSid=SM1", "MessageStatus=sent"), ("MessageSid=SM1", "MessageStatus=delivered"), 2
    ),
    "twilio: one state of one message, of a product that sends no token": Trap(
        "twilio", 0, ("MessageSid=SM1", "MessageStatus=sent"), ("MessageSid=SM1", "MessageStatus=sent"), 1
    ),
    "veriff: two decisions about one attempt": Trap(
        "veriff",
        1,
        ("verification.id=V", "verification.attemptId=A", "verification.status=declined"),
        ("verification.id=V", "verification.attemptId=A", "verification.status=approved"),
        2,
    ),
    "gocardless: an event in two deliveries": Trap(
        "gocardless", 0, ("meta.webhook_id=1", "events.0.id=EV1"), ("meta.webhook_id=2", "events.0.id=EV1"), 1
    ),
    "sendgrid: an event in two batches": Trap(
        "sendgrid", 0, ("0.sg_event_id=S",), ("0.sg_event_id=S", "0.response=other"), 1
    ),
}


@pytest.mark.parametrize("name", TRAPS)
async def test_two_requests_are_one_event_only_if_they_tell_of_one(open_door, name):
    trap = TRAPS[name]
    async with open_door(trap.name) as door:
        plan = door.plan(door.preset.samples[trap.sample])
        for changes in (trap.first, trap.second):
            request = plan.request(1, door.runtime.now_ms(), changes)
            signed = plan.signed(header_changed(request, "i-twilio-idempotency-token", ""))
            assert await door.post(signed) == door.source.ack_status
        deliverable = [row for row in await door.events() if row.hold != "conflict"]
        assert len(deliverable) == trap.events


async def test_a_token_of_mailgun_lets_one_event_in_whatever_is_sent_with_it(open_door):
    async with open_door("mailgun") as door:
        plan = door.plan(door.preset.samples[0])
        now = door.runtime.now_ms()
        first = plan.signed(plan.request(1, now, ("event-data.id=genuine",)))
        assert await door.post(first) == 200
        forged = first._replace(body=first.body.replace(b"genuine", b"forged"))
        assert forged.body != first.body
        assert await door.post(forged) == 200
        holds = sorted(str(row.hold) for row in await door.events())
        assert holds == ["None", "conflict"], "the second is kept and told, and delivered to nobody"


def without_a_secret(signed: Request) -> Request:
    return header_changed(signed, "x-gitea-signature", "")


def by_sha1(signed: Request) -> Request:
    return header_changed(signed, "x-payload-digest-alg", "HMAC_SHA1_HEX")


def of_the_test_version(signed: Request) -> Request:
    value = signed.header(b"stripe-signature") or b""
    return header_changed(signed, "stripe-signature", value.decode().replace("v1=", "v0="))


def by_another_hash(signed: Request) -> Request:
    value = signed.header(b"x-hub-signature") or b""
    return header_changed(signed, "x-hub-signature", value.decode().replace("sha256=", "sha1="))


def from_elsewhere(signed: Request) -> Request:
    return signed._replace(client="192.0.2.1")


REFUSED: dict[str, tuple[str, Callable[[Request], Any]]] = {
    "gitea: the empty signature of a webhook without a secret": ("gitea", without_a_secret),
    "sumsub: SHA-1, whatever the header says": ("sumsub", by_sha1),
    "stripe: the version that is for tests": ("stripe", of_the_test_version),
    "bitbucket: a signature by another hash": ("bitbucket", by_another_hash),
    "jumio: an address that is none of theirs": ("jumio", from_elsewhere),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_looks_signed_and_is_not_is_refused(open_door, name):
    provider, spoil = REFUSED[name]
    async with open_door(provider) as door:
        plan = door.plan(door.preset.samples[0])
        signed = plan.signed(plan.request(1, door.runtime.now_ms(), ()))
        assert await door.post(spoil(signed)) == 401
        assert await door.post(signed) == door.source.ack_status


async def test_an_event_of_discord_is_no_ping_though_both_are_of_type_1(open_door):
    async with open_door("discord") as door:
        plan = door.plan(door.preset.samples[0])
        request = plan.request(1, door.runtime.now_ms(), ())
        assert await door.post(plan.signed(request)) == 204
        assert [row.type for row in await door.events()] == ["APPLICATION_AUTHORIZED"]
        ping = plan.signed(request._replace(body=b'{"type":1}'))
        assert await door.post(header_changed(ping, "x-signature-ed25519", "0" * 128)) == 401
        assert await door.post(ping) == 200
        assert len(await door.events()) == 1
