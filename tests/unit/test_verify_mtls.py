"""Scheme mtls: whose certificate counts, and that nothing else does."""

from datetime import UTC, datetime, timedelta
from ssl import PEM_cert_to_DER_cert

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID, ObjectIdentifier
from verify_harness import NOW, make_request, make_verifier, refusal

from gateway.plugin import Proof, VerificationError
from gateway.verifiers import mtls
from gateway.verifiers.mtls import Mtls
from harness.certificates import SERVER, issue, unreadable

AT = datetime.fromtimestamp(NOW, UTC)
NAME = "client.acme.example"
ROOT = issue("Acme Root", ca=True, at=AT)
BETWEEN = issue("Acme Issuing", ROOT, ca=True, at=AT)
SENDER = issue("sender", BETWEEN, dns=(NAME,), at=AT)
OTHER_ROOT = issue("Other Root", ca=True, at=AT)


def shown(*issued, **more):
    return make_request(**more)._replace(certificates=tuple(each.der for each in issued))


def verifier(secret=ROOT.pem, **options):
    return make_verifier(Mtls, secret, **(options or {"names": [NAME]}))


def fingerprint(issued):
    return issued.certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def test_a_certificate_of_an_authority_of_ours_with_the_name_is_proof():
    assert verifier().verify(shown(SENDER, BETWEEN)) == Proof()
    verifier(OTHER_ROOT.pem + ROOT.pem).verify(shown(SENDER, BETWEEN))


def test_the_name_may_be_an_alternative_name_the_subject_or_the_whole_certificate():
    plain = issue("sender", ROOT, at=AT)
    for options in ({"subjects": ["CN=sender"]}, {"fingerprints": [fingerprint(plain)]}):
        verifier(**options).verify(shown(plain))
    assert refusal(verifier(), shown(plain)) == "certificate"
    assert refusal(verifier(subjects=["CN=sender,O=Acme"]), shown(plain)) == "certificate"
    assert refusal(verifier(fingerprints=[fingerprint(SENDER)]), shown(plain)) == "certificate"
    verifier(names=["CLIENT.acme.example"]).verify(shown(SENDER, BETWEEN))


@pytest.mark.parametrize("tag", [0x0C, 0x13, 0x14, 0x1E], ids=["utf8", "printable", "t61", "bmp"])
def test_a_subject_is_the_same_however_its_authority_encodes_the_letters(tag):
    kind = next(each for each in _ASN1Type if each.value == tag)
    parts = (
        (NameOID.COUNTRY_NAME, "DE", None),
        (NameOID.ORGANIZATION_NAME, "Acme", kind),
        (NameOID.COMMON_NAME, "s", kind),
    )
    subject = x509.Name([x509.NameAttribute(oid, text, _type=kind) for oid, text, kind in parts])
    sender = issue(subject, ROOT, at=AT)
    verifier(subjects=["CN=s,O=Acme,C=DE"]).verify(shown(sender))
    assert refusal(verifier(subjects=["CN=s,O=Acme"]), shown(sender)) == "certificate"


@pytest.mark.parametrize(
    "dns", ["other.acme.example", "client.acme.example.evil.example", "xclient.acme.example", "*.acme.example"]
)
def test_V8_a_name_that_is_nearly_right_is_another(dns):
    assert refusal(verifier(), shown(issue("sender", ROOT, dns=(dns,), at=AT))) == "certificate"


@pytest.mark.parametrize("place", ["its own", "of its chain"])
def test_a_certificate_that_nobody_can_read_is_refused_like_any_other(place):
    odd = PEM_cert_to_DER_cert(unreadable(SENDER).decode())
    chain = (odd, BETWEEN.der) if place == "its own" else (SENDER.der, odd)
    assert refusal(verifier(), make_request()._replace(certificates=chain)) == "certificate"


HOSTILE = {
    "none": (),
    "of another authority": (issue("sender", OTHER_ROOT, dns=(NAME,), at=AT),),
    "of another authority of the same name": (issue("sender", issue("Acme Root", ca=True, at=AT), dns=(NAME,), at=AT),),
    "self-signed": (issue("sender", dns=(NAME,), at=AT),),
    "self-signed and an authority": (issue("Acme Root", ca=True, dns=(NAME,), at=AT),),
    "over": (issue("sender", ROOT, dns=(NAME,), at=AT - timedelta(days=3)),),
    "not yet good": (issue("sender", ROOT, dns=(NAME,), at=AT + timedelta(days=3)),),
    "without what stands between": (SENDER,),
    "issued by another sender": (issue("sender", SENDER, dns=(NAME,), at=AT), SENDER, BETWEEN),
    "issued by who is no authority": (
        issue("sender", (between := issue("b", ROOT, ca=None, at=AT)), dns=(NAME,), at=AT),
        between,
    ),
    "for servers": (issue("sender", ROOT, dns=(NAME,), purposes=SERVER, at=AT),),
    "of an authority itself": (issue("sender", ROOT, ca=True, dns=(NAME,), at=AT),),
    "with a critical extension that nobody knows": (
        issue(
            "s", ROOT, dns=(NAME,), at=AT, more=((x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"x"), True),)
        ),
    ),
    "beyond the length of the path": (
        issue(
            "s",
            (deep := issue("d", (short := issue("c", ROOT, ca=True, path_length=0, at=AT)), ca=True, at=AT)),
            dns=(NAME,),
            at=AT,
        ),
        deep,
        short,
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_V8_a_certificate_that_proves_nothing_is_refused(what):
    assert refusal(verifier(), shown(*HOSTILE[what])) == "certificate"


@pytest.mark.parametrize("der", [b"", b"\x00", b"\x30\x82\xff\xff", SENDER.der[:-1], SENDER.der + b"x", SENDER.pem])
def test_V8_bytes_that_are_no_certificate_are_refused(der):
    assert refusal(verifier(), make_request()._replace(certificates=(der,))) == "certificate"


def test_no_header_says_what_the_connection_did_not():
    headers = {"X_Client_Cert": SENDER.pem, "X_SSL_Client_Verify": "SUCCESS", "X_Forwarded_Client_Cert": SENDER.pem}
    headers = {name: as_line(value) for name, value in headers.items()}
    assert refusal(verifier(), make_request(**headers)) == "certificate"


def as_line(value):
    return value.replace(b"\n", b" ") if isinstance(value, bytes) else value


def test_a_chain_is_judged_once_and_no_longer_good_than_its_shortest_part(monkeypatch):
    brief = issue("brief", ROOT, ca=True, at=AT, lasts=timedelta(hours=1))
    sender = issue("sender", brief, dns=(NAME,), at=AT)
    judged = []
    proving, judge = verifier(), mtls.Mtls.build._judge
    monkeypatch.setattr(mtls.Mtls.build, "_judge", lambda *given: judged.append(1) or judge(*given))
    for _ in range(3):
        proving.verify(shown(sender, brief))
    assert len(judged) == 1
    assert refusal(proving, shown(sender, brief, received_at=(NOW + 3601) * 1000)) == "certificate"


def test_a_chain_that_was_good_is_no_good_before_its_youngest_part_was():
    young = issue("young", ROOT, ca=True, at=AT + timedelta(hours=23))
    proving, request = verifier(), shown(issue("sender", young, dns=(NAME,), at=AT), young)
    proving.verify(request)
    assert refusal(proving, request._replace(received_at=(NOW - 3601) * 1000)) == "certificate"


def usage(**allowed):
    names = ("content_commitment", "key_encipherment", "data_encipherment", "key_cert_sign", "crl_sign")
    others = ("digital_signature", "key_agreement", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: allowed.get(name, False) for name in (*names, *others)})


@pytest.mark.parametrize(
    ("issued", "told"),
    [
        (HOSTILE["with a critical extension that nobody knows"], "an unknown critical extension 1.2.3.4"),
        (HOSTILE["for servers"], "it is not for clients"),
        (HOSTILE["of an authority itself"], "it is an authority's own"),
        ((issue("s", ROOT, dns=(NAME,), at=AT, more=((usage(key_agreement=True), True),)),), "not for signatures"),
        ((issue("s", issue("b", ROOT, at=AT), dns=(NAME,), at=AT), issue("b", ROOT, at=AT)), "no authority of ours"),
    ],
)
def test_the_operator_is_told_what_is_wrong_with_a_certificate(issued, told):
    with pytest.raises(VerificationError) as caught:
        verifier().verify(shown(*issued))
    assert told in caught.value.detail


def test_a_certificate_whose_key_is_for_signatures_is_taken():
    verifier().verify(shown(issue("s", ROOT, dns=(NAME,), at=AT, more=((usage(digital_signature=True), True),))))


def test_what_stands_between_must_be_an_authority():
    between = issue("b", ROOT, ca=False, at=AT)
    assert refusal(verifier(), shown(issue("s", between, dns=(NAME,), at=AT), between)) == "certificate"


@pytest.mark.parametrize("found", [None, x509.BasicConstraints(ca=False, path_length=None)])
def test_what_is_no_authority_is_none_though_the_library_let_it_pass(found):
    with pytest.raises(ValueError, match="not an authority"):
        mtls._check_authority(found)


def test_no_sample_can_be_signed_without_the_senders_key():
    with pytest.raises(ValueError, match="only the sender has the certificate's key"):
        verifier().sign(make_request())


@pytest.mark.parametrize(("at", "good"), [(-86_400, True), (-86_401, False), (86_400, True), (86_401, False)])
def test_a_remembered_chain_is_good_from_its_first_to_its_last_second(at, good):
    proving = verifier()
    proving.verify(shown(SENDER, BETWEEN))
    request = shown(SENDER, BETWEEN, received_at=(NOW + at) * 1000)
    assert proving.verify(request) if good else refusal(proving, request) == "certificate"


def test_what_a_sender_may_show_and_an_operator_list_is_bounded():
    assert (mtls.CHAIN_DEPTH_MAX, mtls.REMEMBERED_MAX) == (4, 256)
    for name, value in (("names", NAME), ("subjects", "CN=s"), ("fingerprints", "AB" * 32)):
        verifier(**{name: [value] * 100})
        with pytest.raises(ValueError, match=name):
            verifier(**{name: [value] * 101})


def test_a_sender_without_a_certificate_is_told_so_and_the_connection_asks_for_one():
    with pytest.raises(VerificationError, match="showed no certificate"):
        verifier().verify(make_request())
    assert verifier().asks_certificate


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(mtls, "REMEMBERED_MAX", 2)
    proving = verifier(subjects=[f"CN=s{n}" for n in range(4)])
    for n in range(4):
        proving.verify(shown(issue(f"s{n}", ROOT, at=AT)))
    assert 1 <= len(proving._remembered) <= 2


@pytest.mark.parametrize("secret", [b"", b"no certificate", SENDER.pem, ROOT.pem + SENDER.pem, ROOT.key_pem, ROOT.der])
def test_what_is_no_authority_is_refused_when_the_configuration_is_read(secret):
    with pytest.raises(ValueError, match="authorities"):
        verifier(secret)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"names": []}, "expected names, subjects or fingerprints"),
        ({"names": ["*.acme.example"]}, "exact DNS name"),
        ({"subjects": ["sender"]}, "expected a subject"),
        ({"fingerprints": ["AB:CD"]}, "64 hex digits"),
        ({"fingerprints": ["zz" * 32]}, "64 hex digits"),
    ],
)
def test_names_that_cannot_be_are_told(options, told):
    with pytest.raises(ValueError, match=told):
        verifier(**options)
