"""Where the limits of the built-in schemes lie, as their options' documentation gives them."""

from base64 import b64encode

import pytest
from verify_harness import NOW, make_verifier

from gateway.errors import VerificationError
from gateway.verifiers.address import Address
from gateway.verifiers.adyen import ITEMS_MAX, Adyen
from gateway.verifiers.basic import Basic
from gateway.verifiers.braintree import PAIRS_MAX, Braintree
from gateway.verifiers.contentful import NAMES_MAX, Contentful
from gateway.verifiers.hmac import Hmac
from gateway.verifiers.plaid import Plaid
from gateway.verifiers.timestamps import check_fresh, write_timestamp
from gateway.verifiers.token import Token

SHORTEST = [
    pytest.param(Hmac, {"header": "X-Sig"}, 24, bytes, id="hmac"),
    pytest.param(Hmac, {"header": "X-Sig", "key": "base64"}, 24, b64encode, id="hmac base64"),
    pytest.param(Token, {"header": "X-Token"}, 16, bytes, id="token"),
    pytest.param(Basic, {"user": "u"}, 16, bytes, id="basic"),
    pytest.param(Adyen, {}, 24, lambda raw: raw.hex().encode(), id="adyen"),
    pytest.param(Braintree, {"public_key": "yrvwbtbsn8d4ycgm"}, 24, bytes, id="braintree"),
    pytest.param(Contentful, {}, 24, bytes, id="contentful"),
    pytest.param(Plaid, {"client_id": "5f0c1d2e3b4a59687f6e5d4c"}, 24, bytes, id="plaid"),
]


@pytest.mark.parametrize(("kind", "options", "shortest", "written"), SHORTEST)
def test_S16_a_secret_has_the_documented_length_at_least_unless_a_shorter_one_is_allowed(
    kind, options, shortest, written
):
    make_verifier(kind, written(b"s" * shortest), **options)
    with pytest.raises(ValueError, match=f"expected at least {shortest}"):
        make_verifier(kind, written(b"s" * (shortest - 1)), **options)
    make_verifier(kind, written(b"s"), min_secret_bytes=1, **options)
    with pytest.raises(ValueError, match="min_secret_bytes"):
        make_verifier(kind, written(b"s" * shortest), min_secret_bytes=0, **options)


def test_ranges_of_addresses_are_1_to_1000():
    make_verifier(Address, b"", ranges=["203.0.113.0/24"] * 1000)
    for ranges in ([], ["203.0.113.0/24"] * 1001):
        with pytest.raises(ValueError, match="ranges"):
            make_verifier(Address, b"", ranges=ranges)


def test_a_user_has_up_to_255_characters():
    make_verifier(Basic, user="u" * 255)
    with pytest.raises(ValueError, match="user"):
        make_verifier(Basic, user="u" * 256)


def test_what_a_stranger_may_have_counted_is_bounded():
    assert (ITEMS_MAX, PAIRS_MAX, NAMES_MAX) == (1000, 16, 64)


@pytest.mark.parametrize(
    ("unit", "written"),
    [("s", b"1649367553"), ("ms", b"1649367553007"), ("iso8601", b"2022-04-07T21:39:13.007Z")],
)
def test_a_timestamp_is_written_as_the_provider_would(unit, written):
    assert write_timestamp(NOW * 1000 + 7, unit) == written


def test_a_stale_timestamp_is_told_with_its_side():
    check_fresh(0, 5000, 5)
    check_fresh(5000, 0, 5)
    with pytest.raises(VerificationError, match="more than 5 s old"):
        check_fresh(0, 5001, 5)
    with pytest.raises(VerificationError, match="more than 5 s in the future"):
        check_fresh(5001, 0, 5)
