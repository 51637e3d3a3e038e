"""Scheme jwt: tokens made by PyJWT as the provider's signer, the J rows of the catalogue, keys that must not do."""

import hashlib
import json
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from verify_harness import KEY, NOW, make_request, make_verifier, refusal, with_headers

from gateway.plugin import VerificationError
from gateway.verifiers.compact import MAX_TOKEN_BYTES, cut_token, decode_segment, signing_input
from gateway.verifiers.jwt import Jwt

CLAIMS = {"iss": "Acme", "iat": NOW, "exp": NOW + 60, "events": [{"id": "e1"}]}


def private_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


RSA = rsa.generate_private_key(65537, 2048)
OTHER_RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def segment(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(raw).rstrip(b"=")


def hs_token(header=None, claims=None, key=KEY):
    """Sign any header and claims, sound or not, with HS256."""
    text = segment({"alg": "HS256", "typ": "JWT"} if header is None else header)
    text += b"." + segment(CLAIMS if claims is None else claims)
    return text + b"." + segment(pyjwt.get_algorithm_by_name("HS256").sign(text, key))


def official(claims=None, key=KEY, algorithm="HS256", **options):
    return pyjwt.encode(CLAIMS if claims is None else claims, key, algorithm, **options).encode()


def hs256(**options):
    return make_verifier(Jwt, algorithm="HS256", **options)


def test_the_token_of_rfc_7515_is_taken():
    key = urlsafe_b64decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow==")
    token = (
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
        ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    )
    verifier = make_verifier(Jwt, key, algorithm="HS256", issuer="joe")
    proof = verifier.verify(make_request(token, received_at=1300819380_000))
    assert proof.claims["http://example.com/is_root"] is True
    assert refusal(verifier, make_request(token, received_at=1300819441_000)) == "expired"


def test_a_new_token_names_algorithm_type_and_key_in_its_header():
    for key_id, more in (("", {}), ("k1", {"kid": "k1"})):
        header = signing_input("HS256", b"{}", key_id).partition(b".")[0]
        assert json.loads(decode_segment(header, "header")) == {"alg": "HS256", "typ": "JWT", **more}


def test_a_token_has_512_kib_and_its_header_8_kib_at_most():
    exact = b"a" * (512 * 1024 - 4) + b".b.c"
    assert refusal(hs256(), make_request(exact)) == "token_header"
    assert refusal(hs256(), make_request(b"a" + exact), status=413) == "token_size"
    for size, reason in ((8 * 1024, "algorithm"), (8 * 1024 + 4, "token_header")):
        header = segment(b'{"x":"' + b"y" * (size * 3 // 4 - 8) + b'"}')
        assert len(header) == size
        assert refusal(hs256(), make_request(header + b".b.c")) == reason


@pytest.mark.parametrize(("part", "name"), [(0, "header"), (2, "signature")])
def test_a_segment_that_is_not_canonical_is_told_by_its_name(part, name):
    parts = hs_token().split(b".")
    parts[part] = parts[part] + b"="
    with pytest.raises(VerificationError, match=f"the token's {name} is not canonical"):
        hs256().verify(make_request(b".".join(parts)))


@pytest.mark.parametrize(
    ("algorithm", "key", "wanted"),
    [
        ("EdDSA", RSA, "an Ed25519 key"),
        ("RS256", EC, "an RSA key of at least 2048 bits"),
        ("ES384", EC, "an EC key on secp384r1"),
    ],
)
def test_a_key_of_another_kind_is_told_as_what_is_needed(algorithm, key, wanted):
    with pytest.raises(ValueError, match=f"{algorithm} needs {wanted}$"):
        make_verifier(Jwt, public_pem(key), algorithm=algorithm)


def test_a_credential_with_a_key_of_its_own_asks_for_none():
    assert hs256().keyed == ""


def test_a_signed_sample_names_no_key_and_needs_an_object_of_claims():
    token = hs256().sign(make_request(b"{}")).body
    assert json.loads(decode_segment(token.partition(b".")[0], "header")) == {"alg": "HS256", "typ": "JWT"}
    with pytest.raises(ValueError, match="no JSON object"):
        hs256().sign(make_request(b"[]"))


def test_a_token_in_an_object_is_read_up_to_512_kib():
    def sent(size):
        return make_request(b'{"token":"' + b"x" * (size - 12) + b'"}')

    wrapped = hs256(wrap="token")
    assert refusal(wrapped, sent(512 * 1024)) == "token_form"
    assert refusal(wrapped, sent(512 * 1024 + 1), status=413) == "token_size"


@pytest.mark.parametrize("name", ["exp", "nbf", "iat", "iss", "aud"])
def test_a_claim_that_counts_and_stands_twice_is_refused(name):
    usual = {"exp": NOW + 60, "nbf": NOW, "iat": NOW, "iss": "Acme", "aud": "us"}
    twice = json.dumps({name: usual[name], **usual}).encode()
    again = twice[:-1] + b', "%s": ' % name.encode() + json.dumps(usual[name]).encode() + b"}"
    verifier = hs256(issuer="Acme", audience="us")
    verifier.verify(make_request(hs_token(claims=twice)))
    assert refusal(hs256(), make_request(hs_token(claims=again))) == "document"
    assert refusal(verifier, make_request(hs_token(claims=again))) == "document"


@pytest.mark.parametrize("kind", ["JWT", "application/jws", "JWE"])
def test_a_token_that_holds_another_one_is_refused_whatever_kind_it_names(kind):
    assert refusal(hs256(), make_request(hs_token({"alg": "HS256", "cty": kind}))) == "token_nested"


@pytest.mark.parametrize(("key_id", "usable"), [("k" * 200, True), ("k" * 201, False), ("a\nb", False), (7, False)])
def test_a_name_of_a_key_counts_up_to_200_printable_characters(key_id, usable):
    cut = cut_token(hs_token({"alg": "HS256", "kid": key_id}), "HS256")
    assert cut.key_id == (key_id if usable else "")


def test_a_token_as_body_gives_its_claims_as_the_payload():
    proof = hs256().verify(make_request(official()))
    assert proof.claims == CLAIMS
    assert proof.claims_are_payload
    assert proof.consumed == ()


@pytest.mark.parametrize(
    ("algorithm", "key", "stranger"),
    [
        ("RS256", RSA, OTHER_RSA),
        ("RS384", RSA, OTHER_RSA),
        ("RS512", RSA, OTHER_RSA),
        ("ES256", EC, ec.generate_private_key(ec.SECP256R1())),
        ("ES384", ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())),
        ("ES512", ec.generate_private_key(ec.SECP521R1()), ec.generate_private_key(ec.SECP521R1())),
        ("EdDSA", ED, ed25519.Ed25519PrivateKey.generate()),
    ],
)
def test_each_public_key_algorithm_takes_the_official_signers_tokens_and_no_others(algorithm, key, stranger):
    verifier = make_verifier(Jwt, public_pem(key), algorithm=algorithm)
    assert verifier.verify(make_request(official(key=private_pem(key), algorithm=algorithm))).claims == CLAIMS
    forged = official(key=private_pem(stranger), algorithm=algorithm)
    assert refusal(verifier, make_request(forged)) == "signature"
    text = official(key=private_pem(key), algorithm=algorithm).rpartition(b".")[0]
    for signature in (b"x", b"\0" * 64, b"\xff" * 96, b"\0" * 132, b"\0" * 256):
        assert refusal(verifier, make_request(text + b"." + segment(signature))) == "signature"


@pytest.mark.parametrize(("algorithm", "size"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_S16_a_shared_secret_below_the_hash_size_needs_its_length_written_out(algorithm, size):
    make_verifier(Jwt, b"s" * size, algorithm=algorithm)
    with pytest.raises(ValueError, match=f"expected at least {size}"):
        make_verifier(Jwt, b"s" * (size - 1), algorithm=algorithm)
    make_verifier(Jwt, b"s" * 16, algorithm=algorithm, min_secret_bytes=16)


@pytest.mark.parametrize("algorithm", ["HS256", "RS256"])
@pytest.mark.parametrize("secret", [b"", KEY + b"\n", b"k3y", b"-----BEGIN PUBLIC KEY-----\nAAAAk3y\n"])
def test_S16_an_unfit_key_is_refused_without_being_quoted(secret, algorithm):
    with pytest.raises(ValueError, match="secret") as caught:
        make_verifier(Jwt, secret, algorithm=algorithm)
    assert "k3y" not in str(caught.value)


# Rows J


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "None"},
        {"alg": "nOnE"},
        {"alg": ""},
        {"alg": None},
        {"typ": "JWT"},
        {"alg": ["HS256"]},
        {"alg": ["HS256", "none"]},
        {"alg": {"HS256": 1}},
        {"alg": "hs256"},
        {"alg": "HS384"},
        {"alg": "HS256 "},
        ["HS256"],
        "HS256",
        b'{"alg":"HS256","alg":"none"}',
        b'{"alg":"none","alg":"HS256"}',
        b'{"alg":"HS256","ALG":"none","alg":"HS256"}',
        b'{"al\\u0067":"HS256","alg":"HS256"}',
        b"[" * 5000,
        b"\xff",
        b"",
    ],
)
def test_J1_a_header_that_does_not_name_the_one_algorithm_once_is_refused(header):
    assert refusal(hs256(), make_request(hs_token(header))) in {"algorithm", "token_header", "token_form"}


@pytest.mark.parametrize("name", ["none", "None", "HS256"])
def test_J1_a_token_without_a_signature_is_refused(name):
    text = segment({"alg": name}) + b"." + segment(CLAIMS)
    assert refusal(hs256(), make_request(text + b".")) == "token_form"
    assert refusal(hs256(), make_request(text + b"." + segment(b"x"))) in {"algorithm", "signature"}


def public_key_texts(key):
    pem = public_pem(key)
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    name = {rsa.RSAPrivateKey: "RS256", ec.EllipticCurvePrivateKey: "ES256"}
    algorithm = next((value for kind, value in name.items() if isinstance(key, kind)), "EdDSA")
    jwk = pyjwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key())
    yield from (pem, pem.strip(), pem.replace(b"\n", b"\r\n"), der, b64encode(der), pem.split(b"-----")[2].strip())
    yield from (jwk.encode(), json.dumps({"keys": [json.loads(jwk)]}).encode())


@pytest.mark.parametrize(("algorithm", "key"), [("RS256", RSA), ("ES256", EC), ("EdDSA", ED)])
def test_J2_hs256_signed_with_the_public_key_in_any_wrapping_is_refused(algorithm, key):
    verifier = make_verifier(Jwt, public_pem(key), algorithm=algorithm)
    for text in public_key_texts(key):
        for header in ({"alg": "HS256"}, {"alg": algorithm}):
            forged = hs_token(header, key=text)
            assert refusal(verifier, make_request(forged)) in {"algorithm", "signature"}


@pytest.mark.parametrize("key", [RSA, EC, ED])
def test_J2_a_public_key_in_any_wrapping_is_no_shared_secret(key):
    for text in public_key_texts(key):
        with pytest.raises(ValueError, match="secret"):
            make_verifier(Jwt, text, algorithm="HS256")


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", EC),
        ("ES256", RSA),
        ("EdDSA", EC),
        ("ES256", ec.generate_private_key(ec.SECP384R1())),
        ("ES384", EC),
        ("ES256", ec.generate_private_key(ec.SECP256K1())),
        ("RS256", rsa.generate_private_key(65537, 1024)),
    ],
)
def test_J2_a_key_of_another_type_curve_or_size_is_refused_when_it_is_read(algorithm, key):
    with pytest.raises(ValueError, match="another kind of public key"):
        make_verifier(Jwt, public_pem(key), algorithm=algorithm)


@pytest.mark.parametrize(
    "extra",
    [
        {"jku": "http://127.0.0.1:1/keys"},
        {"x5u": "file:///etc/passwd"},
        {"jwk": {"kty": "oct", "k": segment(b"forged-key-of-the-attacker-32-by").decode()}},
        {"kid": "../../../../dev/null"},
        {"kid": "' or 1=1 --"},
        {"kid": {"nested": [1]}},
        {"kid": "http://127.0.0.1:1/"},
        {"x5c": ["MIIB"]},
    ],
)
def test_J4_fields_that_point_to_keys_change_nothing(extra):
    header = {"alg": "HS256", **extra}
    assert hs256().verify(make_request(hs_token(header))).claims == CLAIMS
    forged = hs_token(header, key=b"forged-key-of-the-attacker-32-by")
    assert refusal(hs256(), make_request(forged)) == "signature"
    assert refusal(hs256(), make_request(hs_token(header, key=b""))) == "signature"


def test_J4_a_header_of_one_megabyte_is_refused():
    assert refusal(hs256(), make_request(hs_token({"alg": "HS256", "kid": "k" * 8192}))) == "token_header"
    huge = hs_token({"alg": "HS256", "kid": "k" * 1024 * 1024})
    assert refusal(hs256(), make_request(huge), 413) == "token_size"


def raw_claims(text):
    return b'{"iss":"Acme",%b}' % text


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value",
    [
        b'"%d"' % (NOW + 60),
        b"NaN",
        b"Infinity",
        b"1e400",
        b"true",
        b"null",
        b"[]",
        b"{}",
        b"9" * 5000,
    ],
)
def test_J5_a_time_that_is_no_finite_number_is_refused(name, value):
    good = b'"exp":%d,' % (NOW + 60) if name != "exp" else b""
    claims = raw_claims(good + b'"%b":%b' % (name.encode(), value))
    assert refusal(hs256(), make_request(hs_token(claims=claims))) in {"claim_type", "document"}


def test_J5_an_absent_exp_is_refused_unless_the_scheme_does_not_ask_for_it():
    token = official({"iss": "Acme"})
    assert refusal(hs256(), make_request(token)) == "claim_missing"
    assert hs256(require=[]).verify(make_request(token)).claims == {"iss": "Acme"}
    assert refusal(hs256(require=["iat"]), make_request(token)) == "claim_missing"


def test_J5_a_claim_that_stands_twice_is_refused():
    claims = raw_claims(b'"exp":%d,"exp":%d' % (NOW - 999, NOW + 60))
    assert refusal(hs256(), make_request(hs_token(claims=claims))) == "document"


@pytest.mark.parametrize(
    "claims", [b"[]", b'"text"', b"null", b"1", b"", b"{", b"\xff", b'{"a":' * 70 + b"1" + b"}" * 70]
)
def test_J5_claims_that_are_no_bounded_object_are_refused(claims):
    assert refusal(hs256(require=[]), make_request(hs_token(claims=claims))) in {"claims", "document", "token_form"}


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": NOW - 60}, None),
        ({"exp": NOW - 61}, "expired"),
        ({"exp": NOW - 60.5}, "expired"),
        ({"exp": -1}, "expired"),
        ({"nbf": NOW + 60}, None),
        ({"nbf": NOW + 61}, "not_yet"),
        ({"iat": NOW + 60}, None),
        ({"iat": NOW + 61}, "not_yet"),
        ({"iat": NOW + 10**30}, "not_yet"),
    ],
)
def test_J6_times_are_held_against_the_arrival_with_sixty_seconds_of_leeway(claims, reason):
    request = make_request(official({"exp": NOW + 60, **claims}))
    assert hs256().verify(request) if reason is None else refusal(hs256(), request) == reason


def test_J6_the_arrival_counts_and_not_the_clock():
    token = official()
    assert hs256().verify(make_request(token, received_at=(NOW + 120) * 1000))
    assert refusal(hs256(), make_request(token, received_at=(NOW + 121) * 1000)) == "expired"
    assert refusal(hs256(), make_request(token, received_at=(NOW - 61) * 1000)) == "not_yet"


def test_J6_an_old_token_is_refused_by_its_age():
    verifier = hs256(max_age="5m", require=[])
    verifier.verify(make_request(official({"iat": NOW - 360})))
    assert refusal(verifier, make_request(official({"iat": NOW - 361}))) == "expired"
    assert refusal(verifier, make_request(official({}))) == "claim_missing"


@pytest.mark.parametrize("name", ["iss", "aud"])
@pytest.mark.parametrize(
    "value",
    [None, "", "https://acme.exampl", "https://acme.example/", "https://acme.example.evil", "HTTPS://ACME.EXAMPLE",
     ["https://acme.example"], ["x", "https://acme.example"], {"https://acme.example": 1}, True, 1],
)  # fmt: skip
def test_J7_an_issuer_or_audience_that_is_not_exactly_ours_is_refused(name, value):
    verifier = hs256(**{{"iss": "issuer", "aud": "audience"}[name]: "https://acme.example"})
    claims = {"exp": NOW + 60} | ({} if value is None else {name: value})
    assert refusal(verifier, make_request(hs_token(claims=claims))) == "claim"
    verifier.verify(make_request(hs_token(claims={"exp": NOW + 60, name: "https://acme.example"})))


def test_J8_the_same_token_verifies_again_and_gives_the_same_claims():
    """The repeat is the store's to notice; a verifier that kept state would refuse a provider's retry."""
    verifier, request = hs256(), make_request(official())
    assert verifier.verify(request) == verifier.verify(request)


def test_J8_a_second_spelling_of_the_signature_is_refused():
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = official()
    for stray in range(1, 4):
        twin = token[:-1] + alphabet[alphabet.index(token[-1]) + stray :][:1]
        same = urlsafe_b64decode(twin.rpartition(b".")[2] + b"=") == urlsafe_b64decode(token.rpartition(b".")[2] + b"=")
        assert same
        assert refusal(hs256(), make_request(twin)) == "token_form"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token.rpartition(b".")[0],
        lambda token: token + b".x",
        lambda token: token + b".x.y",
        lambda token: b"",
        lambda token: b"..",
        lambda token: b"." + token.partition(b".")[2],
        lambda token: token.replace(b".", b"=."),
        lambda token: token + b"=",
        lambda token: token + b"\n",
        lambda token: b" " + token,
        lambda token: token[:10] + b"\n" + token[10:],
        lambda token: token.replace(b".", b".\n"),
        lambda token: token.translate(bytes.maketrans(b"-_", b"+/")) + b"+",
        lambda token: b'"' + token + b'"',
        lambda token: b"\xef\xbb\xbf" + token,
        lambda token: b"Bearer " + token,
    ],
)
def test_J9_a_token_of_any_other_form_is_refused(spoil):
    assert refusal(hs256(), make_request(spoil(official()))) in {"token_form", "token_header"}


def test_J9_a_token_of_one_megabyte_is_refused_before_any_cryptography():
    class NoKey:
        def verify(self, message, signature):
            raise AssertionError("cryptography was reached")

    verifier = hs256()
    verifier._key = NoKey()
    assert refusal(verifier, make_request(hs_token(claims=b" " * 1024 * 1024)), 413) == "token_size"
    assert refusal(verifier, make_request(b"." * (MAX_TOKEN_BYTES + 1)), 413) == "token_size"
    for form in (b"a.b", b"a.b.c.d", b"..", official() + b"="):
        assert refusal(verifier, make_request(form)) in {"token_form", "token_header"}


@pytest.mark.parametrize(
    "extra", [{"crit": ["exp"]}, {"crit": []}, {"b64": False}, {"b64": True}, {"zip": "DEF"}, {"enc": "A256GCM"}]
)
def test_a_header_that_changes_what_the_token_means_is_refused(extra):
    assert refusal(hs256(), make_request(hs_token({"alg": "HS256", **extra}))) == "token_header"


@pytest.mark.parametrize("kind", ["JWT", "jwt", "application/jwt", "JWS"])
def test_a_nested_token_is_refused(kind):
    header = {"alg": "HS256", "cty": kind}
    assert refusal(hs256(), make_request(hs_token(header, claims=official()))) == "token_nested"


def test_a_wrapped_token_is_taken_only_if_the_scheme_says_so():
    wrapped = b'{"token":"%b"}' % official()
    assert hs256(wrap="token").verify(make_request(wrapped)).claims == CLAIMS
    assert hs256(wrap="token").verify(make_request(official())).claims == CLAIMS
    assert refusal(hs256(), make_request(wrapped)) == "token_form"
    for other in (b'{"token":1}', b"{}", b'{"jwt":"%b"}' % official(), b'{"token":"\\u00e9"}'):
        assert refusal(hs256(wrap="token"), make_request(other)) == "token_form"
    assert refusal(hs256(wrap="token"), make_request(b"{")) == "document"
    assert refusal(hs256(wrap="token"), make_request(b'{"token":"x","token":"%b"}' % official())) == "document"
    assert refusal(hs256(wrap="token"), make_request(b"{" + b" " * MAX_TOKEN_BYTES), 413) == "token_size"


BODY = b'{"site":"x"}'


@pytest.mark.parametrize(
    ("encoding", "digest"),
    [("hex", hashlib.sha256(BODY).hexdigest()), ("base64", b64encode(hashlib.sha256(BODY).digest()).decode())],
)
def test_a_token_in_a_header_covers_the_body_by_its_hash(encoding, digest):
    verifier = hs256(header="X-Sig", body_hash="sha256", body_hash_encoding=encoding, issuer="netlify", require=[])
    token = official({"iss": "netlify", "sha256": digest})
    proof = verifier.verify(make_request(BODY, X_Sig=token))
    assert not proof.claims_are_payload
    assert proof.consumed == (b"x-sig",)
    assert refusal(verifier, make_request(BODY + b" ", X_Sig=token)) == "body_hash"
    for value in (1, None, digest.upper(), digest + "=", "", "é", [digest]):
        wrong = hs_token(claims={"iss": "netlify", "sha256": value})
        assert refusal(verifier, make_request(BODY, X_Sig=wrong)) == "body_hash"
    assert refusal(verifier, make_request(BODY, X_Sig=official({"iss": "netlify"}))) == "claim_missing"


def test_a_bearer_token_needs_its_prefix_and_one_header():
    verifier = hs256(header="Authorization", prefix="Bearer ", unsigned_body=True)
    genuine = make_request(BODY, Authorization=b"Bearer " + official())
    assert verifier.verify(genuine).consumed == (b"authorization",)
    assert refusal(verifier, make_request(BODY, Authorization=official())) == "token_form"
    assert refusal(verifier, make_request(BODY, Authorization=b"bearer " + official())) == "token_form"
    assert refusal(verifier, make_request(official())) == "missing"
    pair = (b"authorization", genuine.header(b"authorization"))
    assert refusal(verifier, with_headers(genuine, pair, pair)) == "repeated"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"header": "X-Sig"}, "must hold the body's hash"),
        ({"header": "X-Sig", "body_hash": "h", "unsigned_body": True}, "must hold the body's hash"),
        ({"body_hash": "h"}, "for a token in a header"),
        ({"prefix": "Bearer "}, "for a token in a header"),
        ({"header": "X-Sig", "body_hash": "h", "wrap": "token"}, "wrap is for"),
        ({"algorithm": "RS256", "min_secret_bytes": 5}, "min_secret_bytes is for"),
        ({"algorithm": "none"}, "algorithm"),
        ({"algorithm": "HS256,RS256"}, "algorithm"),
        ({"algorithm": ["HS256", "RS256"]}, "algorithm"),
    ],
)
def test_options_that_leave_something_open_are_refused_and_told(options, told):
    with pytest.raises(ValueError) as caught:
        make_verifier(Jwt, **{"algorithm": "HS256", **options})
    assert told in str(caught.value)


def test_what_we_sign_the_official_library_takes():
    signed = hs256(issuer="Acme").sign(make_request(b'{"events":[]}'))
    claims = pyjwt.decode(signed.body, KEY, ["HS256"], options={"verify_exp": False})
    assert claims == {"iat": NOW, "exp": NOW + 300, "iss": "Acme", "events": []}
    signed = make_verifier(Jwt, private_pem(ED), algorithm="EdDSA").sign(make_request(b"{}"))
    assert pyjwt.decode(signed.body, public_pem(ED), ["EdDSA"], options={"verify_exp": False})


def test_a_public_key_alone_cannot_sign_a_sample():
    with pytest.raises(ValueError, match="cannot sign"):
        make_verifier(Jwt, public_pem(ED), algorithm="EdDSA").sign(make_request(b"{}"))
