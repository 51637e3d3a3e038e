"""Braintree's package signs what we take and computes the answer we give; Contentful's signed what is recorded here."""

import base64
import hmac
import json
import warnings
from pathlib import Path
from urllib.parse import parse_qs, urlencode

import pytest

from gateway.core.model import Request
from gateway.errors import VerificationError

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of the package's own, at import
    from braintree import BraintreeGateway, Configuration, Environment, WebhookNotification
    from braintree.exceptions.invalid_signature_error import InvalidSignatureError
    from braintree.util.crypto import Crypto

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # the package's, too

PUBLIC = "yrvwbtbsn8d4ycgm"
"""The public key that the preset shows."""
PRIVATE = "0123456789abcdef0123456789abcdef"
CHALLENGE = "20f9f8ed05f77439fe955c977e4c8a53"
RECORDED = json.loads((Path(__file__).parent / "vectors_contentful.json").read_bytes())


def package(public=PUBLIC, private=PRIVATE):
    return BraintreeGateway(Configuration(Environment.Sandbox, "acme", public, private))


def form(door, fields, **more):
    headers = ((b"content-type", b"application/x-www-form-urlencoded"),)
    body = urlencode({**fields, **more}).encode()
    return Request("POST", door.source.path, "", headers, body, "192.0.2.7", door.runtime.now_ms())


KINDS = sorted(value for name, value in vars(WebhookNotification.Kind).items() if name[0].isupper())


@pytest.mark.parametrize("kind", KINDS)
async def test_what_braintrees_package_makes_is_taken_as_what_it_is(open_door, kind):
    async with open_door("braintree", PRIVATE.encode()) as door:
        made = package().webhook_testing.sample_notification(kind, "id-of-it")
        assert await door.post(form(door, made)) == 200
        assert [row.type for row in await door.events()] == [kind]
        assert kind in door.preset.types


async def test_braintrees_package_takes_what_we_sign_and_both_refuse_what_is_changed(open_door):
    async with open_door("braintree", PRIVATE.encode()) as door:
        plan = door.plan(door.preset.samples[0])
        signed = plan.signed(plan.request(1, door.runtime.now_ms(), ()))
        fields = {name: values[0] for name, values in parse_qs(signed.body.decode()).items()}
        parsed = package().webhook_notification.parse(fields["bt_signature"], fields["bt_payload"])
        assert parsed.kind == door.preset.samples[0].type
        changed = "A" + fields["bt_payload"][1:]
        with pytest.raises(InvalidSignatureError):
            package().webhook_notification.parse(fields["bt_signature"], changed)
        assert await door.post(form(door, fields, bt_payload=changed)) == 401


async def test_of_several_signatures_of_braintree_only_that_of_our_key_counts(open_door):
    async with open_door("braintree", PRIVATE.encode()) as door:
        made = package().webhook_testing.sample_notification("check", "x")
        theirs = package("anotherkey12", "f" * 32).webhook_testing.sample_notification("check", "x")
        both = f"{theirs['bt_signature']}&{made['bt_signature']}"
        assert await door.post(form(door, made, bt_signature=theirs["bt_signature"])) == 401
        digest = theirs["bt_signature"].partition("|")[2]
        assert await door.post(form(door, theirs, bt_signature=f"{PUBLIC}|{digest}")) == 401
        assert await door.post(form(door, made, bt_signature=f"{made['bt_signature']}&{PUBLIC}|{digest}")) == 401
        assert await door.post(form(door, made, bt_signature=both)) == 200


async def test_braintrees_challenge_is_answered_as_its_package_does_and_signs_nothing_else(open_door):
    async with open_door("braintree", PRIVATE.encode()) as door:
        ask = Request("GET", door.source.path, f"bt_challenge={CHALLENGE}", (), b"", "192.0.2.7", 1)
        reply = await door.ask(ask)
        assert (reply.status, reply.body.decode()) == (200, package().webhook_notification.verify(CHALLENGE))
        for other in ("PG5vdGlmaWNhdGlvbj48L24", CHALLENGE + "00", CHALLENGE[:19], CHALLENGE.upper()):
            assert (await door.ask(ask._replace(query=f"bt_challenge={other}"))).status != 200


async def test_what_a_handshake_may_have_signed_is_no_notification(open_door):
    async with open_door("braintree", PRIVATE.encode()) as door:
        for token in (CHALLENGE, base64.b64encode(b"<notification><kind>check</kind></notification>").decode()):
            signature = f"{PUBLIC}|{Crypto.sha1_hmac_hash(PRIVATE, token)}"
            assert await door.post(form(door, {"bt_signature": signature, "bt_payload": token})) == 401


async def test_a_document_type_in_braintrees_xml_is_refused_though_it_is_signed(open_door):
    async with open_door("braintree", PRIVATE.encode()) as door:
        plan = door.plan(door.preset.samples[0])
        request = plan.request(1, door.runtime.now_ms(), ())
        bomb = b'<!DOCTYPE n [<!ENTITY x "y">]><notification><kind>&x;</kind></notification>'
        assert await door.post(plan.signed(request._replace(body=bomb))) == 401


def recorded(vector):
    path, _, query = vector["path"].partition("?")
    pairs = {**vector["headers"], **vector["answer"]}.items()
    headers = tuple((name.lower().encode(), value.strip().encode()) for name, value in pairs)
    return Request("POST", path, query, headers, vector["body"].encode(), "192.0.2.7", RECORDED["at"])


@pytest.mark.parametrize("vector", RECORDED["vectors"], ids=[each["name"] for each in RECORDED["vectors"]])
async def test_what_contentfuls_package_signed_is_taken_and_every_change_of_it_refused(open_door, vector):
    request = recorded(vector)
    async with open_door("contentful", RECORDED["secret"].encode()) as door:
        verifier = door.source.credentials[0].verifier
        assert verifier.verify(request) is not None
        topic = dict(request.headers)[b"x-contentful-topic"]
        for wrong in (
            request._replace(body=request.body + b" "),
            request._replace(method="PUT"),
            request._replace(path=request.path + "x"),
            request._replace(query=request.query + "x"),
            with_header(request, b"x-contentful-topic", topic + b"x"),
            with_header(request, b"x-contentful-timestamp", b"1900000000001"),
            with_header(request, b"x-contentful-signature", b"0" * 64),
            request._replace(received_at=request.received_at + 30_001),
            request._replace(received_at=request.received_at - 30_001),
        ):
            with pytest.raises(VerificationError):
                verifier.verify(wrong)
        assert verifier.verify(request._replace(received_at=request.received_at + 29_999)) is not None


def with_header(request, name, value):
    return request._replace(headers=(*(pair for pair in request.headers if pair[0] != name), (name, value)))


async def test_a_topic_that_is_not_among_contentfuls_signed_headers_is_refused(open_door):
    async with open_door("contentful") as door:
        plan = door.plan(door.preset.samples[0])
        request = plan.request(1, door.runtime.now_ms(), ())
        bare = request._replace(headers=tuple(p for p in request.headers if p[0] != b"x-contentful-topic"))
        unsigned = with_header(plan.signed(bare), b"x-contentful-topic", b"ContentManagement.Entry.delete")
        assert await door.post(unsigned) == 401
        assert await door.post(plan.signed(request)) == 200


@pytest.mark.parametrize(
    "moved",
    [
        {"x-contentful-topic": "a;x-contentful-webhook-name:b", "x-contentful-webhook-name": "c"},
        {"x-contentful-topic": "a", "x-contentful-webhook-name": "b;x-contentful-webhook-name:c"},
    ],
)
async def test_no_border_between_contentfuls_signed_headers_can_be_moved(open_door, moved):
    async with open_door("contentful", RECORDED["secret"].encode()) as door:
        names = "x-contentful-signed-headers,x-contentful-timestamp,x-contentful-topic,x-contentful-webhook-name"
        at = door.runtime.now_ms()
        headers = {**moved, "x-contentful-signed-headers": names, "x-contentful-timestamp": str(at)}
        listed = ";".join(f"{name}:{headers[name]}" for name in names.split(","))
        text = f"POST\n{door.source.path}\n{listed}\n{{}}"
        key = RECORDED["secret"].encode()
        headers["x-contentful-signature"] = hmac.digest(key, text.encode(), "sha256").hex()
        pairs = tuple((name.encode(), value.encode()) for name, value in headers.items())
        request = Request("POST", door.source.path, "", pairs, b"{}", "192.0.2.7", at)
        expected = 401 if ";x-contentful-webhook-name:" in moved["x-contentful-topic"] else 200
        assert await door.post(request) == expected


async def test_salesforce_gets_its_soap_answer_and_each_notification_is_an_event(open_door):
    async with open_door("salesforce_outbound") as door:
        plan = door.plan(door.preset.samples[1])
        reply = await door.ask(plan.signed(plan.request(1, door.runtime.now_ms(), ())))
        assert (reply.status, reply.content_type) == (200, "text/xml; charset=utf-8")
        assert b"<Ack>true</Ack>" in reply.body
        assert b'notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"' in reply.body
        assert [row.type for row in await door.events()] == ["Contact", "Contact"]
