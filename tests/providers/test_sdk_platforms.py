"""Packages of providers on PyPI verify what our presets sign, and refuse what we refuse: Airtable, Box, EasyPost.

For Airtable it is not the provider's own package, but the one that is used most.
"""

import json

import pytest
from box_sdk_gen.managers.webhooks import WebhooksManager
from easypost.util import validate_webhook
from packages import check_age, check_agreement
from pyairtable.models.webhook import WebhookNotification


def by_airtable(secret, headers, body):
    WebhookNotification.from_request(body.decode(), headers["x-airtable-content-mac"], secret)


def by_box(secret, headers, body):
    if not WebhooksManager.validate_message(body.decode(), headers, secret):
        raise ValueError("refused")


def by_easypost(secret, headers, body):
    canonical = {name.title(): value for name, value in headers.items()}
    assert validate_webhook(body, canonical, secret) == json.loads(body)


PACKAGES = {"airtable": by_airtable, "box": by_box, "easypost": by_easypost}


@pytest.mark.parametrize("name", PACKAGES)
async def test_the_package_of_pypi_and_we_take_and_refuse_the_same(open_door, name):
    await check_agreement(open_door, name, PACKAGES[name])


async def test_box_and_we_refuse_what_is_older_than_ten_minutes(open_door):
    await check_age(open_door, "box", by_box, 600)


async def test_a_secret_of_other_letters_is_one_key_for_easypost_and_for_us(open_door):
    secret = "Gehei\ufb01mnis-\u00dcbung-\u00e9t\u00e9-0123456789".encode()  # a ligature and composed letters
    await check_agreement(open_door, "easypost", by_easypost, secret)
