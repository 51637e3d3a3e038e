"""Public-key signatures: three algorithms, the forms in which providers hand keys out, and keys that do not fit."""

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from verify_harness import NOW, make_request, make_verifier, refusal, with_headers

from gateway.testing import check_verifier
from gateway.verifiers.signature import Signature

SPKI, RAW = serialization.PublicFormat.SubjectPublicKeyInfo, serialization.PublicFormat.Raw
PEM, DER, BYTES = serialization.Encoding.PEM, serialization.Encoding.DER, serialization.Encoding.Raw


def private_pem(key):
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).strip()


ED, ED_TOO = (ed25519.Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
EC, EC_TOO, EC_384 = (
    ec.derive_private_key(n, curve) for n, curve in ((7, ec.SECP256R1()), (8, ec.SECP256R1()), (7, ec.SECP384R1()))
)
RSA, RSA_TOO = (rsa.generate_private_key(65537, 2048) for _ in range(2))
KEYS = {"ed25519": (ED, ED_TOO), "ecdsa-p256": (EC, EC_TOO), "rsa-sha256": (RSA, RSA_TOO)}
STAMPED = {"header": "X-Sig", "template": "{timestamp}{body}", "timestamp": "header.x-time"}


@pytest.mark.parametrize("encoding", ["hex", "base64", "base64url"])
@pytest.mark.parametrize("algorithm", KEYS)
def test_every_algorithm_keeps_the_public_contract(algorithm, encoding):
    options = {**STAMPED, "algorithm": algorithm, "encoding": encoding}
    one, other = map(private_pem, KEYS[algorithm])
    check_verifier(Signature, options, one, make_request(), other_secret=other)


@pytest.mark.parametrize(
    ("algorithm", "form", "written"),
    [
        ("ed25519", "pem", ED.public_key().public_bytes(PEM, SPKI)),
        ("ed25519", "hex", ED.public_key().public_bytes(BYTES, RAW).hex().encode()),
        ("ed25519", "base64", base64.b64encode(ED.public_key().public_bytes(BYTES, RAW))),
        ("ed25519", "whpk", b"whpk_" + base64.b64encode(ED.public_key().public_bytes(BYTES, RAW))),
        ("ecdsa-p256", "base64", base64.b64encode(EC.public_key().public_bytes(DER, SPKI))),
        ("rsa-sha256", "pem", RSA.public_key().public_bytes(PEM, SPKI)),
    ],
)
def test_a_key_is_read_as_its_provider_hands_it_out_and_cannot_sign(algorithm, form, written):
    signed = make_verifier(Signature, private_pem(KEYS[algorithm][0]), algorithm=algorithm, **STAMPED).sign(
        make_request()
    )
    public = make_verifier(Signature, written.strip(), algorithm=algorithm, key=form, **STAMPED)
    public.verify(signed)
    assert refusal(public, signed._replace(body=b'{"id":2}')) == "signature"
    with pytest.raises(ValueError, match="cannot sign"):
        public.sign(make_request())


@pytest.mark.parametrize(
    ("algorithm", "form", "written"),
    [
        ("rsa-sha256", "pem", private_pem(ED)),
        ("ed25519", "pem", private_pem(RSA)),
        ("ecdsa-p256", "pem", private_pem(EC_384)),
        ("rsa-sha256", "pem", private_pem(rsa.generate_private_key(65537, 1024))),
        ("ed25519", "hex", b"00" * 31),
        ("ed25519", "hex", b"zz" * 32),
        ("ed25519", "whpk", base64.b64encode(b"1" * 32)),
        ("ed25519", "base64", b"AA==" * 8),
        ("ed25519", "pem", b""),
        ("ed25519", "pem", b"shared secret, no public key"),
    ],
)
def test_an_unfit_key_is_refused_without_being_quoted(algorithm, form, written):
    with pytest.raises(ValueError, match=r"key|secret") as found:
        make_verifier(Signature, written.strip(), algorithm=algorithm, key=form, **STAMPED)
    assert not written or written.decode()[:40] not in str(found.value)


def test_an_old_request_is_refused_although_its_signature_is_right():
    verifier = make_verifier(Signature, private_pem(ED), **STAMPED)
    signed = verifier.sign(make_request())
    verifier.verify(signed._replace(received_at=(NOW + 300) * 1000))
    assert refusal(verifier, signed._replace(received_at=(NOW + 301) * 1000)) == "stale"
    assert refusal(verifier, with_headers(signed, (b"x-time", b"%d" % (NOW + 1)))) == "signature"


def test_standard_webhooks_v1a_takes_one_of_several_signatures_and_no_other_version():
    options = {
        "header": "webhook-signature",
        "shape": "list",
        "prefix": "v1a,",
        "encoding": "base64",
        "template": "{id}.{timestamp}.{body}",
        "id": "header.webhook-id",
        "timestamp": "header.webhook-timestamp",
    }
    verifier = make_verifier(Signature, private_pem(ED), **options)
    signed = verifier.sign(make_request())
    right = signed.header(b"webhook-signature")
    verifier.verify(with_headers(signed, (b"webhook-signature", b"v1,AAAA v1a,AAAA " + right)))
    assert (
        refusal(verifier, with_headers(signed, (b"webhook-signature", right.replace(b"v1a,", b"v1,")))) == "signature"
    )


@pytest.mark.parametrize("group", ["", ";"])
def test_a_stranger_has_no_more_than_four_signatures_tried(group):
    style = {"header": "X-S", "shape": "pairs", "group": group, "label": "s", "separator": ",", "encoding": "base64"}
    verifier = make_verifier(Signature, private_pem(ED), **style)
    good = verifier.sign(make_request()).header(b"x-s")
    other = make_verifier(Signature, private_pem(ED_TOO), **style).sign(make_request()).header(b"x-s")

    def sent(*signatures):
        return make_request()._replace(headers=((b"x-s", (group or ",").encode().join(signatures)),))

    verifier.verify(sent(b"s=unreadable", other, other, other, good))
    assert refusal(verifier, sent(other, other, other, other, good)) == "signature"


def test_a_key_with_a_line_end_is_refused():
    raw = ED.public_key().public_bytes(BYTES, RAW).hex().encode()
    make_verifier(Signature, raw, key="hex", **STAMPED)
    with pytest.raises(ValueError, match="secret"):
        make_verifier(Signature, raw + b"\n", key="hex", **STAMPED)


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("pem", r"PEM \(-----BEGIN PUBLIC KEY-----\): paste"),
        ("hex", "hex digits: paste"),
        ("base64", "base64: paste"),
        ("whpk", "whpk_ and base64: paste"),
    ],
)
def test_a_key_that_is_written_otherwise_is_told_how_it_should_be(form, told):
    with pytest.raises(ValueError, match=f"the key is not written as .*{told}"):
        make_verifier(Signature, b"no key at all!", key=form, **STAMPED)


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_key_of_another_kind_is_told_as_what_is_needed(algorithm):
    wanted = {
        "ed25519": "an Ed25519 key",
        "ecdsa-p256": "an EC key on P-256",
        "rsa-sha256": "an RSA key of at least 2048",
    }
    other = private_pem(RSA if algorithm != "rsa-sha256" else ED)
    with pytest.raises(ValueError, match=f"{algorithm} needs {wanted[algorithm]}"):
        make_verifier(Signature, other, algorithm=algorithm, **STAMPED)


def test_a_signature_of_more_than_2048_characters_or_without_its_prefix_is_not_tried():
    verifier = make_verifier(Signature, private_pem(ED), prefix="v1=", **STAMPED)
    signed = verifier.sign(make_request())
    right = signed.header(b"x-sig")
    verifier.verify(signed)
    assert verifier._decoded(b"v1=" + b"0" * 2048) == bytes(1024)
    assert verifier._decoded(b"v1=" + b"0" * 2050) is None
    assert refusal(verifier, with_headers(signed, (b"x-sig", right.removeprefix(b"v1=")))) == "signature"


def test_a_signature_has_one_spelling():
    verifier = make_verifier(Signature, private_pem(ED), **STAMPED)
    signed = verifier.sign(make_request())
    right = signed.header(b"x-sig")
    for wrong in (
        right.upper(),
        right[:-1],
        right + b"0",
        b" " + right[:10] + b" " + right[10:],
        right + b"\n",
        b"0" * 5000,
    ):
        assert refusal(verifier, with_headers(signed, (b"x-sig", wrong))) in {"signature", "empty"}


def test_a_secret_in_the_template_and_an_unsigned_timestamp_are_errors():
    with pytest.raises(ValueError, match="everybody may know it"):
        make_verifier(Signature, private_pem(ED), header="X-Sig", template="{secret}{body}")
    with pytest.raises(ValueError, match="not part of what is signed"):
        make_verifier(Signature, private_pem(ED), header="X-Sig", timestamp="header.x-time")
