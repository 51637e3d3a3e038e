"""Scheme jwt with discovery: the issuer's own document says where its keys are, and only that issuer's."""

import json

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from verify_harness import NOW, make_request

from gateway.plugin import KeyRef, KeyUnavailableError, NeedsKey, Proof, Published, VerificationError
from gateway.verifiers.jwt import Jwt

ISSUER = "https://issuer.acme.example"
WELL_KNOWN = KeyRef("https://issuer.acme.example/.well-known/openid-configuration")
KEYS = KeyRef("https://keys.acme.example/certs")
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
DOCUMENT = {"issuer": ISSUER, "jwks_uri": KEYS.url}


def verifier(**options):
    written = {"algorithm": "RS256", "discovery": True, "issuer": ISSUER, **options}
    return Jwt.build(Jwt.options.model_validate_json(json.dumps(written), strict=True), b"")


def published(document=DOCUMENT, *, fresh=False):
    key = {**pyjwt.get_algorithm_by_name("RS256").to_jwk(KEY.public_key(), as_dict=True), "kid": "main"}
    return {
        WELL_KNOWN: Published(json.dumps(document).encode(), fresh),
        KEYS: Published(json.dumps({"keys": [key]}).encode(), fresh),
    }


def sent(**claims):
    claims = {"exp": NOW + 60, "iss": ISSUER, "type": "paid", **claims}
    return make_request(pyjwt.encode(claims, KEY, "RS256", headers={"kid": "main"}).encode())


def test_first_the_issuers_document_is_asked_for_then_the_key_set_that_it_names():
    keys = published()
    assert verifier().verify_with(sent(), {}) == NeedsKey(WELL_KNOWN)
    assert verifier().verify_with(sent(), {WELL_KNOWN: keys[WELL_KNOWN]}) == NeedsKey(KEYS)
    assert isinstance(verifier().verify_with(sent(), keys), Proof)


def test_the_documents_address_is_the_issuers_name_and_a_last_slash_is_left_out():
    need = verifier(issuer=f"{ISSUER}/tenant/").verify_with(sent(), {})
    assert need == NeedsKey(KeyRef(f"{ISSUER}/tenant/.well-known/openid-configuration"))


@pytest.mark.parametrize(
    "document",
    [
        {**DOCUMENT, "issuer": f"{ISSUER}/"},
        {**DOCUMENT, "issuer": "https://evil.example"},
        {"jwks_uri": KEYS.url},
        {"issuer": ISSUER},
        {**DOCUMENT, "jwks_uri": "http://keys.acme.example/certs"},
        {**DOCUMENT, "jwks_uri": "unix:/run/keys.sock:/"},
        {**DOCUMENT, "jwks_uri": "https://keys.acme.example/" + "x" * (2001 - len("https://keys.acme.example/"))},
        {**DOCUMENT, "jwks_uri": [KEYS.url]},
        [],
        "maintenance",
    ],
)
def test_V7_a_document_of_another_issuer_or_without_an_https_key_set_makes_nobody_wrong(document):
    """The sender may be right: it is asked for once more, and then the key is unavailable, which is 503."""
    assert verifier().verify_with(sent(), published(document)) == NeedsKey(WELL_KNOWN, newer=True)
    with pytest.raises(KeyUnavailableError, match="jwks_uri"):
        verifier().verify_with(sent(), published(document, fresh=True))


def test_the_address_of_a_key_set_has_2000_characters_at_most():
    address = "https://keys.acme.example/" + "x" * (2000 - len("https://keys.acme.example/"))
    found = verifier().verify_with(sent(), published({**DOCUMENT, "jwks_uri": address}))
    assert found == NeedsKey(KeyRef(address))


def test_a_token_of_another_issuer_is_refused_though_the_key_is_right():
    with pytest.raises(VerificationError) as caught:
        verifier().verify_with(sent(iss="https://evil.example"), published())
    assert caught.value.reason == "claim"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"issuer": ""}, "issuer"),
        ({"issuer": "accounts.acme.example"}, "issuer"),
        ({"issuer": "http://issuer.acme.example"}, "issuer"),
        ({"issuer": f"{ISSUER}?tenant=1"}, "without a query"),
        ({"algorithm": "HS256"}, "shared secret"),
        ({"jwks": KEYS.url}, "keep one of them"),
    ],
)
def test_what_is_no_issuer_is_told(options, told):
    with pytest.raises(ValueError, match=told):
        verifier(**options)


def test_a_trial_publishes_both_documents():
    request, documents = verifier().sign_with(make_request(b"{}"), PEM)
    assert set(documents) == {WELL_KNOWN, KeyRef(f"{ISSUER}/trial-keys")}
    _, slashed = verifier(issuer=f"{ISSUER}/").sign_with(make_request(b"{}"), PEM)
    assert set(slashed) == set(documents)
    keys = {ref: Published(document) for ref, document in documents.items()}
    assert isinstance(verifier(require=["iss"]).verify_with(request, keys), Proof)
