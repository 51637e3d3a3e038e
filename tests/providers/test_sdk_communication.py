"""Packages of PyPI verify what our presets sign, and sign what we take: mail, messengers, calls, AI and CRM."""

from base64 import b64encode
from datetime import UTC, datetime
from functools import partial
from typing import get_args, get_type_hints

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from packages import check_age, check_agreement, check_signed, takes

from gateway.blueprint.presets import BUILT_IN
from gateway.cli.trial import read

URL = "https://hooks.acme.example/hooks/hubspot"
KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).strip()
PUBLIC = b64encode(KEY.public_key().public_bytes_raw())


def svix(secret, headers, body):
    from svix.webhooks import Webhook

    Webhook(secret).verify(body.decode(), headers)


def resend(secret, headers, body):
    import resend

    parts = {name: headers[f"svix-{name}"] for name in ("id", "timestamp", "signature")}
    resend.Webhooks.verify({"payload": body.decode(), "headers": parts, "webhook_secret": secret})


def standard_webhooks(secret, headers, body):
    from standardwebhooks import Webhook

    Webhook(secret).verify(body.decode(), headers)


def bigcommerce(secret, headers, body):
    """BigCommerce has no package: its documentation gives the reference library the secret in this way."""
    standard_webhooks(b64encode(secret.encode()).decode(), headers, body)


def openai(secret, headers, body):
    from openai import OpenAI

    with OpenAI(api_key="none", webhook_secret=secret) as client:
        client.webhooks.verify_signature(body.decode(), headers)


def polar(secret, headers, body):
    from polar.webhooks import validate_event

    validate_event(body, headers, secret, frozenset({"order.paid"}), dict)


def line(secret, headers, body):
    from linebot.v3.webhook import SignatureValidator

    assert SignatureValidator(secret).validate(body.decode(), headers["x-line-signature"])


def viber(secret, headers, body):
    from viberbot import Api, BotConfiguration

    api = Api(BotConfiguration(name="bot", avatar="", auth_token=secret))
    assert api.verify_signature(body, headers["x-viber-content-signature"])


def hubspot(secret, headers, body):
    from hubspot.utils.signature import Signature

    signature, at = headers["x-hubspot-signature-v3"], headers["x-hubspot-request-timestamp"]
    assert Signature.is_valid(signature, secret, body.decode(), URL, "POST", "v3", at)


def telnyx(_secret, headers, body):
    from telnyx.lib.webhook_verification import verify_webhook_signature

    verify_webhook_signature(body.decode(), headers, PUBLIC.decode())


TAKE = {
    "svix": svix,
    "clerk": svix,
    "resend": resend,
    "standard_webhooks": standard_webhooks,
    "openai": openai,
    "polar": polar,
    "bigcommerce": bigcommerce,
    "line": line,
    "viber": viber,
    "hubspot": hubspot,
}


@pytest.mark.parametrize("name", TAKE)
async def test_the_package_of_pypi_and_we_take_and_refuse_the_same(open_door, name):
    await check_agreement(open_door, name, TAKE[name])


@pytest.mark.parametrize("name", sorted(TAKE.keys() - {"line", "viber"}))
async def test_the_package_of_pypi_and_we_refuse_the_same_age(open_door, name):
    await check_age(open_door, name, TAKE[name], 300)


def signed_by_svix(prefix, secret, body, at):
    from svix.webhooks import Webhook

    moment = datetime.fromtimestamp(at // 1000, UTC)
    signature = Webhook(secret).sign("msg_1", moment, body.decode())
    return {f"{prefix}-id": "msg_1", f"{prefix}-timestamp": str(at // 1000), f"{prefix}-signature": signature}


def signed_by_hubspot(secret, body, at):
    from hubspot.utils.signature import Signature

    signature = Signature.get_signature(secret, body.decode(), "v3", URL, "POST", str(at))
    return {"x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": str(at)}


SIGN = {
    "svix": partial(signed_by_svix, "svix"),
    "clerk": partial(signed_by_svix, "svix"),
    "resend": partial(signed_by_svix, "svix"),
    "standard_webhooks": partial(signed_by_svix, "webhook"),
    "openai": partial(signed_by_svix, "webhook"),
    "hubspot": signed_by_hubspot,
}


@pytest.mark.parametrize("name", SIGN)
async def test_what_the_package_of_pypi_signs_we_take(open_door, name):
    await check_signed(open_door, name, SIGN[name])


async def test_telnyx_takes_what_we_sign_and_nothing_else_nor_what_is_old(open_door):
    async with open_door("telnyx", PEM) as door:
        plan, now = door.plan(door.preset.samples[0]), door.runtime.now_ms()
        signed = plan.signed(plan.request(1, now, ()))
        assert takes(telnyx, PEM, signed)
        assert not takes(telnyx, PEM, signed._replace(body=signed.body + b" "))
        for age, right in ((200, True), (400, False)):
            aged = plan.signed(plan.request(1, now - age * 1000, ()))
            assert takes(telnyx, PEM, aged) is right
            assert (await door.post(aged._replace(received_at=now)) == 200) is right


async def test_the_public_key_as_telnyx_shows_it_takes_what_its_library_of_keys_signs(open_door):
    """Telnyx's package has the verifying half only; it verifies by PyNaCl."""
    from nacl.signing import SigningKey

    async with open_door("telnyx", PUBLIC) as door:
        request = door.plan(door.preset.samples[0]).request(1, door.runtime.now_ms(), ())
        at = str(request.received_at // 1000).encode()
        signature = b64encode(SigningKey(bytes(range(32))).sign(at + b"|" + request.body).signature)
        added = ((b"telnyx-signature-ed25519", signature), (b"telnyx-timestamp", at))
        signed = request._replace(headers=(*request.headers, *added))
        assert await door.post(signed._replace(body=request.body + b" ")) == 401
        assert await door.post(signed) == 200


def types_of_openai():
    from openai.types.webhooks import UnwrapWebhookEvent

    union = get_args(UnwrapWebhookEvent)[0]
    return {name for event in get_args(union) for name in get_args(event.model_fields["type"].annotation)}


def types_of_polar():
    from polar.v2026_10 import webhooks

    return webhooks._KNOWN_EVENT_TYPES


def types_of_resend():
    from resend.webhooks._webhook_event import WebhookEventPayload

    return {name for event in get_args(WebhookEventPayload) for name in get_args(get_type_hints(event)["type"])}


def types_of_line():
    from linebot.v3.webhooks import Event

    return set(Event._Event__discriminator_value_class_map)


def types_of_mollie_next_gen():
    """What can be subscribed to, and the ping that each webhook gets."""
    from mollie.models import WebhookEventTypes

    return {each.value for each in WebhookEventTypes} - {"*"} | {"hook.ping"}


def types_of_onfido():
    from onfido.models import WebhookEventType

    return {each.value for each in WebhookEventType} - {"unknown_default_open_api"}


def types_of_paddle():
    from paddle_billing.Entities.Events import EventTypeName

    return {str(value) for name, value in vars(EventTypeName).items() if name in EventTypeName.__annotations__}


@pytest.mark.parametrize(
    ("name", "types"),
    [
        ("line", types_of_line),
        ("mollie_next_gen", types_of_mollie_next_gen),
        ("onfido", types_of_onfido),
        ("openai", types_of_openai),
        ("paddle", types_of_paddle),
        ("polar", types_of_polar),
        ("resend", types_of_resend),
    ],
)
def test_the_types_that_a_preset_knows_are_those_of_the_package(name, types):
    assert set(read(BUILT_IN / f"{name}.toml").types) == types()
