"""Adyen's payment notifications, signed and verified by its own package: every item, and no border moved."""

import copy
import json

import pytest
from Adyen.util import generate_notification_sig, is_valid_hmac_notification

from gateway.cli.made_up import made_up_secret
from gateway.core.model import Request

KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
ITEM = {
    "pspReference": "7914073381342284",
    "originalReference": "",
    "merchantAccountCode": "AcmeECOM",
    "merchantReference": "order:7",
    "amount": {"value": 1130, "currency": "EUR"},
    "eventCode": "AUTHORISATION",
    "eventDate": "2026-01-01T00:00:00+00:00",
    "success": "true",
}


def signed(**changes):
    item = {**copy.deepcopy(ITEM), **changes}
    item = {name: value for name, value in item.items() if value is not None}
    signature = generate_notification_sig(item, KEY).decode()
    return {"NotificationRequestItem": {**item, "additionalData": {"hmacSignature": signature}}}


def body_of(*items):
    return json.dumps({"live": "false", "notificationItems": items}).encode()


def post(door, body):
    return door.post(Request("POST", door.source.path, "", (), body, "192.0.2.7", door.runtime.now_ms()))


@pytest.mark.parametrize(
    "changes", [{}, {"originalReference": None}, {"merchantReference": "a:b:c"}, {"success": "false"}]
)
async def test_what_adyens_package_signs_is_taken(open_door, changes):
    async with open_door("adyen", KEY.encode()) as door:
        assert await post(door, body_of(signed(**changes))) == 200
        assert [row.type for row in await door.events()] == ["AUTHORISATION"]


async def test_adyens_package_verifies_what_we_sign(open_door):
    secret = made_up_secret({"scheme": "adyen"})
    async with open_door("adyen", secret) as door:
        request = door.plan(door.preset.samples[0]).request(1, door.runtime.now_ms(), ())
        sent = json.loads(door.plan(door.preset.samples[0]).signed(request).body)
        assert is_valid_hmac_notification(sent, secret.decode())


async def test_a_batch_is_split_and_one_bad_item_refuses_all(open_door):
    async with open_door("adyen", KEY.encode()) as door:
        good, other = signed(), signed(eventCode="CAPTURE")
        forged = copy.deepcopy(other)
        forged["NotificationRequestItem"]["amount"]["value"] = 1
        assert await post(door, body_of(good, forged)) == 401
        assert await door.events() == []
        assert await post(door, body_of(good, other)) == 200
        assert sorted(row.type for row in await door.events()) == ["AUTHORISATION", "CAPTURE"]


@pytest.mark.parametrize(
    "changed",
    [
        {"pspReference": "1"},
        {"merchantReference": "order:8"},
        {"success": "false"},
        {"success": True},
        {"amount": {"value": True, "currency": "EUR"}},
        {"amount": None},
        {"additionalData": {}},
        {"additionalData": {"hmacSignature": ""}},
        {"merchantAccountCode": "AcmeECOM:order", "merchantReference": "7"},
    ],
)
async def test_a_changed_field_a_missing_signature_and_a_moved_border_are_refused(open_door, changed):
    async with open_door("adyen", KEY.encode()) as door:
        item = signed()
        item["NotificationRequestItem"].update(changed)
        assert await post(door, body_of(item)) == 401


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", body_of(), body_of(7), body_of({}), b'{"notificationItems": 7}'])
async def test_a_body_without_signed_items_is_refused(open_door, body):
    async with open_door("adyen", KEY.encode()) as door:
        assert await post(door, body) == 401


async def test_a_field_that_stands_twice_is_refused(open_door):
    async with open_door("adyen", KEY.encode()) as door:
        twice = body_of(signed()).replace(b'"success": "true"', b'"success": "false", "success": "true"')
        assert await post(door, twice) == 401
