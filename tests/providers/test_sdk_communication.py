"""Providers' own packages of PyPI against presets: they take what we sign and nothing else, and we take what they sign.

Clocks are the real ones, since the packages look at them.
"""

from base64 import b64encode
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

URL = "https://hooks.acme.example/hooks/hubspot"
WHSEC = b"whsec_" + b64encode(bytes(range(32)))
TEXT = b"a-secret-of-more-than-24-characters"
PRIVATE = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PEM = PRIVATE.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).strip()
PUBLIC = b64encode(PRIVATE.public_key().public_bytes_raw())


def svix(secret, headers, body):
    from svix.webhooks import Webhook

    Webhook(secret).verify(body, headers)


def resend(secret, headers, body):
    import resend

    parts = {name: headers[f"svix-{name}"] for name in ("id", "timestamp", "signature")}
    resend.Webhooks.verify({"payload": body, "headers": parts, "webhook_secret": secret})


def standard_webhooks(secret, headers, body):
    from standardwebhooks import Webhook

    Webhook(secret).verify(body, headers)


def bigcommerce(secret, headers, body):
    """BigCommerce has no package: its documentation gives the reference library the secret in this way."""
    standard_webhooks(b64encode(secret.encode()).decode(), headers, body)


def openai(secret, headers, body):
    from openai import OpenAI

    with OpenAI(api_key="none", webhook_secret=secret) as client:
        client.webhooks.verify_signature(body, headers)


def polar(secret, headers, body):
    from polar.webhooks import validate_event

    validate_event(body, headers, secret, frozenset({"order.paid"}), dict)


def line(secret, headers, body):
    from linebot.v3.webhook import SignatureValidator

    assert SignatureValidator(secret).validate(body, headers["x-line-signature"])


def viber(secret, headers, body):
    from viberbot import Api, BotConfiguration

    api = Api(BotConfiguration(name="bot", avatar="", auth_token=secret))
    assert api.verify_signature(body.encode(), headers["x-viber-content-signature"])


def hubspot(secret, headers, body):
    from hubspot.utils.signature import Signature

    signature, at = headers["x-hubspot-signature-v3"], headers["x-hubspot-request-timestamp"]
    assert Signature.is_valid(signature, secret, body, URL, "POST", "v3", at)


def telnyx(_secret, headers, body):
    from telnyx.lib.webhook_verification import verify_webhook_signature

    verify_webhook_signature(body, headers, PUBLIC.decode())


TAKE = {
    "svix": (svix, WHSEC),
    "clerk": (svix, WHSEC),
    "resend": (resend, WHSEC),
    "standard_webhooks": (standard_webhooks, WHSEC),
    "openai": (openai, WHSEC),
    "polar": (polar, TEXT),
    "bigcommerce": (bigcommerce, TEXT),
    "line": (line, TEXT),
    "viber": (viber, TEXT),
    "hubspot": (hubspot, TEXT),
    "telnyx": (telnyx, PEM),
}


def takes(verify, secret, request):
    headers = {name.decode(): value.decode() for name, value in request.headers}
    try:
        verify(secret.decode(), headers, request.body.decode())
    except Exception:  # noqa: BLE001 - whatever a package raises is a refusal
        return False
    return True


@pytest.mark.parametrize("name", TAKE)
async def test_the_providers_package_takes_what_the_preset_signs_and_nothing_else(open_door, name):
    verify, secret = TAKE[name]
    async with open_door(name, secret) as door:
        for sample in door.preset.samples:
            request = door.plan(sample).request(1, door.runtime.now_ms(), ())
            signed = door.plan(sample).signed(request)
            assert takes(verify, secret, signed)
            assert not takes(verify, secret, signed._replace(body=signed.body + b" "))
            assert not takes(verify, secret, request)


@pytest.mark.parametrize("name", sorted(TAKE.keys() - {"line", "viber"}))
async def test_the_providers_package_and_the_preset_refuse_the_same_old_request(open_door, name):
    verify, secret = TAKE[name]
    async with open_door(name, secret) as door:
        now = door.runtime.now_ms()
        for ago, taken in ((280_000, True), (320_000, False)):
            plan = door.plan(door.preset.samples[0])
            signed = plan.signed(plan.request(1, now - ago, ()))
            assert takes(verify, secret, signed) == taken
            assert (await door.post(signed._replace(received_at=now)) == 200) == taken


def signed_by_svix(secret, request, prefix="svix"):
    from svix.webhooks import Webhook

    at = datetime.fromtimestamp(request.received_at // 1000, UTC)
    signature = Webhook(secret).sign("msg_1", at, request.body.decode())
    return {f"{prefix}-id": "msg_1", f"{prefix}-timestamp": str(int(at.timestamp())), f"{prefix}-signature": signature}


def signed_for_webhook_headers(secret, request):
    return signed_by_svix(secret, request, "webhook")


def signed_by_hubspot(secret, request):
    from hubspot.utils.signature import Signature

    at = str(request.received_at)
    signature = Signature.get_signature(secret, request.body.decode(), "v3", URL, "POST", at)
    return {"x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": at}


def signed_by_nacl(_secret, request):
    """As Telnyx signs; its package has the verifying half only."""
    from nacl.signing import SigningKey

    at = str(request.received_at // 1000)
    signature = SigningKey(bytes(range(32))).sign(f"{at}|".encode() + request.body).signature
    return {"telnyx-signature-ed25519": b64encode(signature).decode(), "telnyx-timestamp": at}


SIGN = {
    "svix": (signed_by_svix, WHSEC),
    "clerk": (signed_by_svix, WHSEC),
    "resend": (signed_by_svix, WHSEC),
    "standard_webhooks": (signed_for_webhook_headers, WHSEC),
    "openai": (signed_for_webhook_headers, WHSEC),
    "hubspot": (signed_by_hubspot, TEXT),
    "telnyx": (signed_by_nacl, PUBLIC),
}


@pytest.mark.parametrize("name", SIGN)
async def test_the_preset_takes_what_the_providers_package_signs_and_nothing_else(open_door, name):
    sign, secret = SIGN[name]
    async with open_door(name, secret) as door:
        request = door.plan(door.preset.samples[0]).request(1, door.runtime.now_ms(), ())
        added = sign(secret.decode(), request)
        headers = tuple((name.encode(), value.encode()) for name, value in added.items())
        signed = request._replace(headers=(*request.headers, *headers))
        assert await door.post(signed._replace(body=request.body + b" ")) == 401
        assert await door.events() == []
        assert await door.post(signed) == 200
        assert await door.events()
