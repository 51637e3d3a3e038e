"""Signatures of what leaves: fixed vectors, keys that are refused, and the agreement with the scheme `hmac`."""

import base64

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.core.signing import (
    STANDARD_WEBHOOKS,
    SignatureStyle,
    Signer,
    hmac_key,
    signed_variables,
    standard_key,
)

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
SEED = bytes(range(32))
PRIVATE = Ed25519PrivateKey.from_private_bytes(SEED)
PUBLIC = PRIVATE.public_key()


def b64(raw):
    return base64.b64encode(raw).decode()


def sign(style, *keys, event_id="evt_0000000000000001", at=1649367553_999, body=b"{}"):
    return dict(Signer(style, keys).headers(event_id, at, body))


def test_the_vector_of_standard_webhooks():
    headers = sign(
        STANDARD_WEBHOOKS,
        standard_key(SECRET),
        event_id="msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        body=b'{"email":"test@example.com","username":"test_user"}',
    )
    assert headers == {
        "webhook-signature": "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        "webhook-timestamp": "1649367553",
    }


@pytest.mark.parametrize("raw", [SEED, SEED + PUBLIC.public_bytes_raw()])
def test_an_ed25519_key_signs_v1a_whether_written_alone_or_with_its_public_key(raw):
    signature = sign(STANDARD_WEBHOOKS, standard_key(f"whsk_{b64(raw)}"))["webhook-signature"]
    version, _, text = signature.partition(",")
    assert version == "v1a"
    PUBLIC.verify(base64.b64decode(text), b"evt_0000000000000001.1649367553.{}")
    with pytest.raises(InvalidSignature):
        PUBLIC.verify(base64.b64decode(text), b"evt_0000000000000001.1649367553.{} ")


def test_two_secrets_give_two_signatures_the_new_one_first():
    new, old = standard_key("whsec_" + b64(b"n" * 32)), standard_key(f"whsk_{b64(SEED)}")
    both = sign(STANDARD_WEBHOOKS, new, old)["webhook-signature"].split(" ")
    assert both == [sign(STANDARD_WEBHOOKS, key)["webhook-signature"] for key in (new, old)]


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("", "expected to be whsec_ or whsk_"),
        ("plain-text-of-enough-length-for-a-key", "write header for another style"),
        ("whsec_", "paste all of it"),
        ("whsec_!!!!", "not written in base64"),
        ("whsec_" + b64(b"k" * 23), "23 bytes, expected at least 24"),
        ("whsec_" + b64(b"k" * 65), "65 bytes, expected at most 64"),
        ("whsec_" + b64(b"k" * 32) + " ", "white space"),
        ("whpk_" + b64(SEED), "a public key"),
        ("whsk_" + b64(SEED[:31]), "31 bytes, expected 32, or 64"),
        ("whsk_" + b64(SEED + SEED), "not its public key"),
        ("whsk_é", "not whsk_ and base64"),
    ],
)
def test_a_secret_that_is_none_is_refused_and_not_quoted(secret, words):
    with pytest.raises(ValueError, match=words) as caught:
        standard_key(secret)
    assert len(secret) < 8 or secret[6:] not in str(caught.value)


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        (SignatureStyle("X-Sig", "{body}"), {"X-Sig": "s:{}"}),
        (
            SignatureStyle("X-Sig", "{timestamp}.{body}", timestamp_header="X-At", unit="ms"),
            {"X-Sig": "s:1649367553999.{}", "X-At": "1649367553999"},
        ),
        (
            SignatureStyle("X-Sig", "{timestamp}{body}", timestamp_header="X-At", unit="iso8601"),
            {"X-Sig": "s:2022-04-07T21:39:13.999Z{}", "X-At": "2022-04-07T21:39:13.999Z"},
        ),
        (
            SignatureStyle("X-Sig", "v0:{id}:{body}", "pairs", ";", "v1", timestamp_pair="t", id_header="X-Id"),
            {"X-Sig": "t=1649367553;v1=s:v0:evt_0000000000000001:{}", "X-Id": "evt_0000000000000001"},
        ),
        (SignatureStyle("X-Sig", "{body}{body}", "list", " "), {"X-Sig": "s:{}{}"}),
    ],
)
def test_what_is_signed_and_where_it_stands(style, expected):
    assert sign(style, lambda text: b"s:" + text) == expected


@pytest.mark.parametrize("template", ["{", "{body", "{bdy}", "{body.a}", "{}", "a}b"])
def test_a_template_with_anything_but_id_timestamp_and_body_is_refused(template):
    with pytest.raises(ValueError, match="only"):
        signed_variables(template)


def test_a_plain_header_holds_one_signature():
    keys = [hmac_key(b"k" * 32, "raw", 24, "sha256", "hex", "")] * 2
    with pytest.raises(ValueError, match="two signatures need"):
        Signer(SignatureStyle("X-Sig", "{body}"), keys)
