"""Packages of providers on PyPI against their presets.

They take what we sign, refuse what we refuse, and what they sign we take.
"""

import json
from types import SimpleNamespace

import pytest
from Adyen.util import generate_payload_sig, is_valid_hmac_payload
from coinbase_commerce.webhook import Webhook as CoinbaseWebhook
from cryptography.hazmat.primitives import serialization
from discord_interactions import verify_key
from gocardless_pro.webhooks import parse_with_meta
from mollie.utils.webhooks.signature_validator import SignatureValidator
from onfido import WebhookEventVerifier
from packages import check_age, check_agreement, check_signed, fresh_secret, takes
from paddle_billing.Notifications import Secret, Verifier
from razorpay.utility.utility import Utility
from sendgrid.helpers.eventwebhook import EventWebhook
from slack_sdk.signature import SignatureVerifier
from square.utils.webhooks_helper import verify_signature
from standardwebhooks import Webhook
from stripe import WebhookSignature

SQUARE_URL = "https://hooks.acme.example/hooks/square"
SENDGRID = "x-twilio-email-event-webhook-"


def public_key(secret):
    return serialization.load_pem_private_key(secret.encode(), None).public_key()


def by_stripe(secret, headers, body):
    WebhookSignature.verify_header(body.decode(), headers["stripe-signature"], secret, tolerance=300)


def by_square(secret, headers, body):
    signature = headers["x-square-hmacsha256-signature"]
    assert verify_signature(
        request_body=body.decode(), signature_header=signature, signature_key=secret, notification_url=SQUARE_URL
    )


def by_adyen(secret, headers, body):
    assert is_valid_hmac_payload(headers["hmacsignature"], secret, body)


def by_razorpay(secret, headers, body):
    assert Utility().verify_webhook_signature(body.decode(), headers["x-razorpay-signature"], secret)


def by_mollie(secret, headers, body):
    assert SignatureValidator.validate(body.decode(), secret, headers["x-mollie-signature"])


def by_coinbase(secret, headers, body):
    CoinbaseWebhook.construct_event(body.decode(), headers["x-cc-webhook-signature"], secret)


def by_gocardless(secret, headers, body):
    found = parse_with_meta(body, secret, headers["webhook-signature"])
    assert len(found.events) == len(json.loads(body)["events"])


def by_paddle(secret, headers, body):
    posted = SimpleNamespace(headers={"Paddle-Signature": headers["paddle-signature"]}, body=body)
    assert Verifier().verify(posted, Secret(secret))


def by_onfido(secret, headers, body):
    event = WebhookEventVerifier(secret).read_payload(body.decode(), headers["x-sha2-signature"])
    assert event.payload.action.value == json.loads(body)["payload"]["action"]


def by_slack(secret, headers, body):
    assert SignatureVerifier(secret).is_valid_request(body, headers)


def by_discord(secret, headers, body):
    key = public_key(secret).public_bytes_raw().hex()
    assert verify_key(body, headers["x-signature-ed25519"], headers["x-signature-timestamp"], key)


def by_sendgrid(secret, headers, body):
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = public_key(secret).public_bytes(serialization.Encoding.PEM, form).decode()
    webhook = EventWebhook("".join(pem.splitlines()[1:-1]))
    assert webhook.verify_signature(body.decode(), headers[f"{SENDGRID}signature"], headers[f"{SENDGRID}timestamp"])


def by_the_reference_library(secret, headers, body):
    """GitLab has no package; its signing token is Standard Webhooks."""
    Webhook(secret).verify(body, headers)


PACKAGES = {
    "gitlab_signed": by_the_reference_library,
    "stripe": by_stripe,
    "square": by_square,
    "adyen_platform": by_adyen,
    "razorpay": by_razorpay,
    "mollie_next_gen": by_mollie,
    "coinbase_commerce": by_coinbase,
    "gocardless": by_gocardless,
    "paddle": by_paddle,
    "onfido": by_onfido,
    "slack": by_slack,
    "discord": by_discord,
    "sendgrid": by_sendgrid,
}
AHEAD_SECONDS = {"paddle": 3}
"""Of a tolerance of five seconds a busy machine may use up some."""


@pytest.mark.parametrize("name", PACKAGES)
async def test_the_package_of_pypi_and_we_take_and_refuse_the_same(open_door, name):
    await check_agreement(open_door, name, PACKAGES[name], ahead_seconds=AHEAD_SECONDS.get(name, 0))


@pytest.mark.parametrize("name", ["stripe", "slack"])
async def test_the_package_of_pypi_and_we_refuse_what_is_older_than_five_minutes(open_door, name):
    await check_age(open_door, name, PACKAGES[name], 300)


async def test_paddle_and_we_refuse_what_is_half_a_minute_older_than_its_five_seconds(open_door):
    secret = fresh_secret("paddle")
    async with open_door("paddle", secret) as door:
        now = door.runtime.now_ms()
        plan = door.plan(door.preset.samples[0])
        old = plan.signed(plan.request(1, now - 35_000, ()))
        assert not takes(by_paddle, secret, old)
        assert await door.post(old._replace(received_at=now)) == 401


def signed_by_stripe(secret, body, at):
    header = WebhookSignature.generate_signature_header(body.decode(), secret, timestamp=at // 1000)
    return {"stripe-signature": header}


def signed_by_slack(secret, body, at):
    stamp = str(at // 1000)
    signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body)
    return {"x-slack-signature": signature, "x-slack-request-timestamp": stamp}


def signed_by_adyen(secret, body, _at):
    return {"hmacsignature": generate_payload_sig(body, secret).decode()}


def signed_by_mollie(secret, body, _at):
    return {"x-mollie-signature": SignatureValidator.create_signature(body.decode(), secret)}


SIGNERS = {
    "stripe": signed_by_stripe,
    "slack": signed_by_slack,
    "adyen_platform": signed_by_adyen,
    "mollie_next_gen": signed_by_mollie,
}


@pytest.mark.parametrize("name", SIGNERS)
async def test_what_the_package_of_pypi_signs_we_take(open_door, name):
    await check_signed(open_door, name, SIGNERS[name])
