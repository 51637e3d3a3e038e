"""Every handshake of every preset, as its provider asks it: answered as wanted, and no event comes of it."""

import hashlib
import hmac
import json
from base64 import b64encode
from typing import NamedTuple

import pytest
from packages import fresh_secret

from gateway.blueprint.presets import BUILT_IN
from gateway.cli.trial import read
from gateway.plugin import Request

PRESETS = {file.stem: read(file) for file in BUILT_IN.glob("*.toml")}
HANDSHAKES = {(name, each.name) for name, preset in PRESETS.items() for each in preset.handshake if not each.visit}
"""Without those that are confirmed by a visit (test_certificates_and_api.py)."""
TOKEN = "qgg8vlvZRS6UYooatFL8AwXq"
HEX_TOKEN = "20f9f8ed05f77439fe955c977e4c8a53"


class Question(NamedTuple):
    """What a provider asks, and the answer that it wants; SECRET stands for the source's secret."""

    method: str = "POST"
    query: str = ""
    headers: dict[str, str] = {}  # noqa: RUF012 - never written
    body: object = None
    status: int = 200
    answer: object = b""
    """Bytes, a document for JSON, or what makes one from the secret."""
    sent_back: tuple[str, str] = ("", "")
    """A header of the answer."""


def crc(secret):
    digest = hmac.digest(secret, TOKEN.encode(), hashlib.sha256)
    return {"response_token": "sha256=" + b64encode(digest).decode()}


def braintree(secret):
    key = hashlib.sha1(secret).digest()
    return b"yrvwbtbsn8d4ycgm|" + hmac.digest(key, HEX_TOKEN.encode(), hashlib.sha1).hex().encode()


def zoom(secret):
    return {"plainToken": TOKEN, "encryptedToken": hmac.digest(secret, TOKEN.encode(), hashlib.sha256).hex()}


VALIDATION = {
    "id": "2d1781af-3a4c-4d7c-bd0c-e34b19da4e66",
    "topic": "/subscriptions/x",
    "subject": "",
    "data": {"validationCode": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6", "validationUrl": "https://azure.example"},
    "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
    "eventTime": "2031-01-25T22:12:19.4556811Z",
    "metadataVersion": "1",
    "dataVersion": "1",
}
EMPTY = {"events": [], "firstEventSequence": 0, "lastEventSequence": 0, "entropy": "S0m3r4Nd0mt3xt"}
META = f"hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={TOKEN}"
FORM = {"content-type": "application/x-www-form-urlencoded"}
QUESTIONS = {
    ("asana", "hook-secret"): Question(headers={"x-hook-secret": TOKEN}, sent_back=("x-hook-secret", TOKEN)),
    ("azure_event_grid", "subscription-validation"): Question(
        headers={"aeg-event-type": "SubscriptionValidation"},
        body=[VALIDATION],
        answer={"validationResponse": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"},
    ),
    ("bitbucket", "test"): Question(headers={"x-event-key": "diagnostics:ping"}, body={"test": True}),
    ("braintree", "challenge"): Question("GET", f"bt_challenge={HEX_TOKEN}", answer=braintree),
    ("cloudevents_http", "consent"): Question(
        "OPTIONS",
        headers={"webhook-request-origin": "sender.example"},
        sent_back=("webhook-allowed-origin", "sender.example"),
    ),
    ("cloudevents_http", "consent-with-rate"): Question(
        "OPTIONS",
        headers={"webhook-request-origin": "sender.example", "webhook-request-rate": "120"},
        sent_back=("webhook-allowed-rate", "120"),
    ),
    ("discord", "interactions-ping"): Question(body={"type": 1}, answer={"type": 1}),
    ("discord", "webhook-events-ping"): Question(body={"version": 1, "type": 0}, status=204),
    ("dropbox", "challenge"): Question("GET", f"challenge={TOKEN}", answer=TOKEN.encode()),
    ("intercom", "ping"): Question(body={"type": "notification_event", "topic": "ping", "id": "x"}),
    ("intercom", "saved"): Question("HEAD"),
    ("mailchimp", "saved"): Question("GET"),
    ("mandrill", "made"): Question("HEAD"),
    ("meta", "subscribe"): Question("GET", META, answer=b"1158201444"),
    ("ms_graph", "validation"): Question(
        query="validationToken=Validation%3A%20Testing%3A%20123", answer=b"Validation: Testing: 123"
    ),
    ("notion", "verification-token"): Question(body={"verification_token": f"secret_{TOKEN}"}),
    ("okta", "verification"): Question(
        "GET", headers={"x-okta-verification-challenge": TOKEN}, answer={"verification": TOKEN}
    ),
    ("slack", "url-verification"): Question(
        body={"type": "url_verification", "challenge": TOKEN, "token": "x"}, answer=TOKEN.encode()
    ),
    ("trello", "made"): Question("HEAD"),
    ("viber", "set-webhook"): Question(body={"event": "webhook", "timestamp": 1457764197627, "message_token": 241}),
    ("wise", "test"): Question(headers={"x-test-notification": "true"}, body={"data": {}}),
    ("woocommerce", "ping"): Question(headers=FORM, body=b"webhook_id=7"),
    ("x", "crc"): Question("GET", f"crc_token={TOKEN}", answer=crc),
    ("xero", "intent-to-receive"): Question(body=EMPTY),
    ("zoom", "url-validation"): Question(
        body={"event": "endpoint.url_validation", "payload": {"plainToken": TOKEN}, "event_ts": 1654503849680},
        answer=zoom,
    ),
}


def asked(door, question):
    body = question.body if isinstance(question.body, bytes) else json.dumps(question.body).encode()
    headers = tuple((name.encode(), value.encode()) for name, value in question.headers.items())
    path, now = door.source.path, door.runtime.now_ms()
    return Request(question.method, path, question.query, headers, body if question.body else b"", "", now)


def signed(door, request):
    return door.source.credentials[0].verifier.sign(request)


def content(question, secret):
    answer = question.answer(secret) if callable(question.answer) else question.answer
    return answer if isinstance(answer, bytes) else json.loads(json.dumps(answer))


def test_every_handshake_of_a_preset_is_asked_here():
    assert QUESTIONS.keys() == HANDSHAKES


@pytest.mark.parametrize(("name", "handshake"), QUESTIONS, ids=[" ".join(each) for each in QUESTIONS])
async def test_a_provider_gets_the_answer_that_it_wants_and_no_event_comes_of_it(open_door, name, handshake):
    question = QUESTIONS[name, handshake]
    verified = next(each.verified for each in PRESETS[name].handshake if each.name == handshake)
    secret = TOKEN.encode() if (name, handshake) == ("meta", "subscribe") else fresh_secret(name)
    async with open_door(name, secret) as door:
        door.learner.open(name, "main", 60)
        request = asked(door, question)
        reply = await door.ask(signed(door, request) if verified else request)
        found = reply.body if isinstance(content(question, secret), bytes) else json.loads(reply.body)
        assert (reply.status, found) == (question.status, content(question, secret))
        if question.sent_back[0]:
            assert tuple(each.encode() for each in question.sent_back) in reply.headers
        if verified:
            assert await door.post(request) == 401, "a question that is not signed is not answered"
        assert await door.events() == []


@pytest.mark.parametrize("events", [[], None])
async def test_xero_gets_200_for_a_question_that_is_signed_rightly_and_exactly_401_else(open_door, events):
    question = QUESTIONS["xero", "intent-to-receive"]._replace(body={**EMPTY, "events": events})
    async with open_door("xero") as door:
        request = signed(door, asked(door, question))
        assert await door.post(request) == 200
        assert await door.post(request._replace(body=request.body + b" ")) == 401
        assert await door.events() == []


async def test_what_looks_like_xeros_question_but_counts_events_is_kept(open_door):
    question = QUESTIONS["xero", "intent-to-receive"]._replace(body={"lastEventSequence": 7})
    async with open_door("xero") as door:
        assert await door.post(signed(door, asked(door, question))) == 200
        assert [row.type for row in await door.events()] == ["unknown"]


async def test_meta_with_another_token_is_answered_by_403(open_door):
    async with open_door("meta") as door:
        assert await door.post(asked(door, QUESTIONS["meta", "subscribe"])) == 403
