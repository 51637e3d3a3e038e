"""Scheme jwt with published keys: which key of a set counts, and when another set is asked for."""

import json

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from verify_harness import NOW, make_request

from gateway.cli.made_up import private_key
from gateway.plugin import KeyRef, KeyUnavailableError, NeedsKey, Proof, Published, VerificationError
from gateway.verifiers.jwt import Jwt

URL = "https://keys.acme.example/jwks"
REF = KeyRef(URL)
KEY, OTHER = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)
WEAK = rsa.generate_private_key(65537, 1024)
EC = ec.generate_private_key(ec.SECP256R1())
CLAIMS = {"exp": NOW + 60, "type": "paid", "email": "push@acme.example", "email_verified": True, "aud": "us"}


def jwk(key=KEY, kid="main", **more):
    algorithm = "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256"
    return {**pyjwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True), "kid": kid, **more}


def published(*keys, fresh=False):
    return {REF: Published(json.dumps({"keys": list(keys)}).encode(), fresh)}


def verifier(**options):
    written = {"algorithm": "RS256", "jwks": URL, **options}
    return Jwt.build(Jwt.options.model_validate_json(json.dumps(written), strict=True), b"")


def sent(kid="main", key=KEY, claims=None, algorithm="RS256"):
    headers = {} if kid is None else {"kid": kid}
    return make_request(pyjwt.encode(claims or CLAIMS, key, algorithm, headers=headers).encode())


def reason(keys, request=None, **options):
    with pytest.raises(VerificationError) as caught:
        verifier(**options).verify_with(request or sent(), keys)
    return caught.value.reason


def test_the_key_that_the_token_names_verifies_it():
    proof = verifier().verify_with(sent(), published(jwk(OTHER, "other"), jwk()))
    assert isinstance(proof, Proof)
    assert proof.claims == CLAIMS


def test_without_the_set_it_is_asked_for_and_without_the_name_a_newer_one():
    assert verifier().verify_with(sent(), {}) == NeedsKey(REF)
    assert verifier().verify_with(sent("new"), published(jwk())) == NeedsKey(REF, newer=True)


def test_a_name_that_is_not_even_in_a_fresh_set_is_refused():
    assert reason(published(jwk(), fresh=True), sent("new")) == "key_id"


def test_a_token_without_a_name_is_verified_by_the_only_key_and_refused_if_there_are_more():
    assert isinstance(verifier().verify_with(sent(None), published(jwk())), Proof)
    assert reason(published(jwk(), jwk(OTHER, "other")), sent(None)) == "key_id"
    nameless = {name: value for name, value in jwk().items() if name != "kid"}
    assert isinstance(verifier().verify_with(sent(None), published(nameless, jwk(OTHER, "other"))), Proof)


@pytest.mark.parametrize(
    "key",
    [
        jwk(use="enc"),
        jwk(alg="RS512"),
        jwk(alg="HS256"),
        jwk(WEAK),
        jwk(EC),
        {"kty": "oct", "k": "AAAA", "kid": "main"},
        {"kid": "main"},
        {"kty": "RSA", "n": 7, "e": [], "kid": "main"},
        jwk(d="AQAB"),
        {**pyjwt.get_algorithm_by_name("RS256").to_jwk(KEY, as_dict=True), "kid": "main"},
        7,
        None,
    ],
)
def test_a_key_for_another_purpose_a_weak_one_and_no_key_at_all_are_not_seen(key):
    assert reason(published(key, fresh=True)) == "key_id"


def test_of_two_keys_of_one_name_neither_is_believed():
    assert reason(published(jwk(), jwk(OTHER), fresh=True)) == "key_id"


def test_a_key_that_counts_for_nothing_takes_its_name_from_none():
    assert isinstance(verifier().verify_with(sent(), published(jwk(WEAK), jwk())), Proof)


def test_a_key_set_has_100_keys_at_most():
    assert isinstance(verifier().verify_with(sent(), published(*[jwk(use="enc")] * 99, jwk())), Proof)
    with pytest.raises(KeyUnavailableError, match="no key set"):
        verifier().verify_with(sent(), published(*[jwk(use="enc")] * 100, jwk(), fresh=True))


def test_a_publisher_whose_set_is_of_no_use_is_asked_again_after_a_minute():
    with pytest.raises(KeyUnavailableError) as caught:
        verifier().verify_with(sent(), {REF: Published(b"{}", fresh=True)})
    assert caught.value.after == 60


def test_a_trial_publishes_a_key_for_signatures_and_the_providers_own_is_not_at_hand():
    request, documents = verifier().sign_with(make_request(b"{}"), private_key("RS256"))
    (key,) = json.loads(documents[REF])["keys"]
    assert (key["kid"], key["use"], key["kty"]) == ("trial", "sig", "RSA")
    verifier().verify_with(request, {REF: Published(documents[REF])})
    with pytest.raises(ValueError, match="only the provider has the key"):
        verifier().sign(make_request(b"{}"))


@pytest.mark.parametrize("document", [b"", b"[]", b"null", b'{"keys":{}}', b"\xff", b'{"keys":' + b"[" * 5000])
def test_a_document_that_is_no_key_set_is_asked_for_again_and_then_its_publishers_trouble(document):
    assert verifier().verify_with(sent(), {REF: Published(document)}) == NeedsKey(REF, newer=True)
    with pytest.raises(KeyUnavailableError, match="no key set"):
        verifier().verify_with(sent(), {REF: Published(document, fresh=True)})


def test_the_signature_is_by_that_very_key():
    assert reason(published(jwk()), sent(key=OTHER)) == "signature"


def test_a_token_of_another_algorithm_asks_for_nothing():
    assert reason({}, sent(key="x" * 32, algorithm="HS256")) == "algorithm"
    assert reason({}, sent(key=EC, algorithm="ES256")) == "algorithm"


@pytest.mark.parametrize("wrong", [{"email": "eve@evil.example"}, {"email_verified": "true"}, {"email_verified": 1}])
def test_claims_must_have_exactly_the_value_and_type_that_is_configured(wrong):
    options = {"claims": {"email": "push@acme.example", "email_verified": True}}
    assert isinstance(verifier(**options).verify_with(sent(), published(jwk())), Proof)
    assert reason(published(jwk()), sent(claims={**CLAIMS, **wrong}), **options) == "claim"


def test_claims_that_tell_customers_apart_must_be_pinned():
    with pytest.raises(ValueError, match="email"):
        verifier(pin=["aud", "email"], audience="us")
    verifier(pin=["aud", "email"], audience="us", claims={"email": "push@acme.example"})
    verifier(pin=["iss"], issuer="Acme")
    for given in ({}, {"audience": "us"}):
        with pytest.raises(ValueError, match="iss"):
            verifier(pin=["iss"], **given)


@pytest.mark.parametrize(
    "options", [{"algorithm": "HS256"}, {"jwks": "http://keys.acme.example/"}, {"jwks": "unix:/run/x.sock:/"}]
)
def test_shared_secrets_and_addresses_that_are_not_https_are_no_key_sets(options):
    with pytest.raises(ValueError, match="jwks"):
        verifier(**options)


@pytest.mark.parametrize("url", ["https://", "https://127.1/keys", "https://keys.acme.example/a b"])
def test_an_address_that_cannot_be_is_no_key_sets(url):
    with pytest.raises(ValueError):
        verifier(jwks=url)


def test_a_secret_beside_a_key_set_is_a_mistake():
    with pytest.raises(ValueError, match="remove secret"):
        Jwt.build(Jwt.options(algorithm="RS256", jwks=URL), b"x" * 32)
