"""Every built-in scheme keeps the public contract, random bytes are refused, and the check finds broken verifiers."""

import hmac
from base64 import b64encode
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from verify_harness import KEY, make_request, make_verifier

from gateway.plugin import Options, Proof, VerificationError, verifier
from gateway.testing import check_verifier
from gateway.verifiers.basic import Basic
from gateway.verifiers.hmac import Hmac
from gateway.verifiers.jwt import Jwt
from gateway.verifiers.none import Nothing
from gateway.verifiers.token import Token

OTHER = b"the-other-key-of-these-32-bytes!"
FORM = {"Content_Type": "application/x-www-form-urlencoded"}

SCHEMES = [
    pytest.param(Token, {"header": "X-Token"}, {"covers_body": False}, {}, id="token in a header"),
    pytest.param(Token, {"query": "code"}, {"covers_body": False}, {}, id="token in the query"),
    pytest.param(Token, {"body": "auth.token"}, {"covers_body": False}, {}, id="token in the body"),
    pytest.param(Basic, {"user": "hookgate"}, {"covers_body": False}, {}, id="basic"),
    pytest.param(Nothing, {}, {}, {}, id="none"),
    pytest.param(Hmac, {"header": "X-Sig", "prefix": "sha256="}, {}, {}, id="hmac plain"),
    pytest.param(Hmac, {"header": "X-Sig", "encoding": "base64", "algorithm": "sha1"}, {}, {}, id="hmac sha1"),
    pytest.param(Hmac, {"header": "X-Sig", "encoding": "base64url", "algorithm": "sha512"}, {}, {}, id="hmac sha512"),
    pytest.param(Hmac, {"header": "X-Sig", "plain_hash": True, "template": "{secret}{body}"}, {}, {}, id="plain hash"),
    pytest.param(
        Hmac,
        {
            "header": "webhook-signature",
            "shape": "list",
            "prefix": "v1,",
            "encoding": "base64",
            "template": "{id}.{timestamp}.{body}",
            "id": "header.webhook-id",
            "timestamp": "header.webhook-timestamp",
        },
        {},
        {},
        id="Standard Webhooks with a raw key",
    ),
    pytest.param(
        Hmac,
        {"header": "X-Sig", "shape": "pairs", "timestamp": "pair.t", "template": "{timestamp}.{body}", "group": " "},
        {},
        {},
        id="pairs",
    ),
    pytest.param(
        Hmac,
        {
            "header": "X-Sig",
            "template": "{timestamp}{body}",
            "timestamp": "header.x-time",
            "timestamp_unit": "iso8601",
            "algorithm_header": "X-Alg",
            "algorithms": {"A": "sha512"},
        },
        {},
        {},
        id="date and named algorithm",
    ),
    pytest.param(
        Hmac,
        {"header": "X-Sig", "template": "{url}{sorted_form_params}", "url": "https://a.example/h"},
        {},
        {"body": b"a=1&b=2&c=%20x", **FORM},
        id="form",
    ),
    pytest.param(
        Hmac,
        {"header": "X-Sig", "template": "{url}", "url": "https://a.example/h", "body_hash": "query.bodySHA256"},
        {},
        {"query": "a=1"},
        id="body hash",
    ),
    pytest.param(
        Hmac,
        {
            "body": "signature.signature",
            "template": "{timestamp}{body.signature.token}",
            "timestamp": "body.signature.timestamp",
            "unsigned_body": True,
        },
        {"covers_body": False},
        {"body": b'{"signature":{"token":"t"}}'},
        id="signature in the body",
    ),
    pytest.param(Jwt, {"algorithm": "HS256", "wrap": "token"}, {}, {}, id="jwt body"),
    pytest.param(Jwt, {"algorithm": "HS256", "header": "X-Sig", "body_hash": "sha256"}, {}, {}, id="jwt header"),
]


@pytest.mark.parametrize(("kind", "options", "check", "parts"), SCHEMES)
def test_every_built_in_scheme_keeps_the_public_contract(kind, options, check, parts):
    secret = KEY if kind.needs_secret else b""
    check_verifier(kind, options, secret, make_request(**parts), other_secret=OTHER, **check)


def signed_by(kind, options, parts):
    built = make_verifier(kind, KEY if kind.needs_secret else b"", **options)
    return built, built.sign(make_request(**parts))


@pytest.mark.parametrize(("kind", "options", "check", "parts"), [each for each in SCHEMES if each.id != "none"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_bytes_in_any_place_raise_nothing_but_a_refusal(kind, options, check, parts, data):
    built, signed = signed_by(kind, options, parts)
    junk = st.binary(max_size=80) | st.text(alphabet='{}[]":,.=0123456789abc \n\x00é', max_size=40).map(str.encode)
    headers = tuple((name, data.draw(junk | st.just(value))) for name, value in signed.headers)
    query = data.draw(junk | st.just(signed.query.encode())).decode("latin-1")
    request = signed._replace(headers=headers, query=query, body=data.draw(junk | st.just(signed.body)))
    try:
        built.verify(request)
    except VerificationError:
        return
    covered = [pair for pair in request.headers if pair in signed.headers and pair[0] != b"host"]
    unsigned_parts = not check.get("covers_body", True)
    assert unsigned_parts or (request.body == signed.body and len(covered) == len(signed.headers) - 1)


@pytest.mark.parametrize(
    ("kind", "options", "check", "parts"),
    [each for each in SCHEMES if each.values[2].get("covers_body", True) and each.id != "none"],
)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_genuine_request_with_one_byte_changed_anywhere_is_refused_or_means_the_same(
    kind, options, check, parts, data
):
    built, signed = signed_by(kind, options, parts)
    places = [(None, signed.body), *[pair for pair in signed.headers if pair[0] != b"host"]]
    name, value = data.draw(st.sampled_from(places))
    at = data.draw(st.integers(0, len(value)))
    edit = data.draw(st.sampled_from(["replace", "insert", "drop"]))
    byte = bytes([data.draw(st.integers(0, 255))])
    changed = value[:at] + (b"" if edit == "drop" else byte) + value[at + (edit != "insert") :]
    if changed == value:
        return
    if name is None:
        request = signed._replace(body=changed)
    else:
        request = signed._replace(headers=tuple((key, changed if key == name else old) for key, old in signed.headers))
    try:
        built.verify(request)
    except VerificationError:
        return
    # A form's escapes and the case or parameters of its media type may be written in several ways.
    assert parts.get("Content_Type"), (name, value, changed)
    assert name == b"content-type" or meaning(changed) == meaning(value)


def meaning(form):
    pairs = [piece.partition(b"=")[::2] for piece in form.split(b"&") if piece]
    return sorted({tuple(unquote_to_bytes(text.replace(b"+", b" ")) for text in pair) for pair in pairs})


class NoOptions(Options):
    """None."""


class Sound:
    """A small honest scheme, to be broken one promise at a time."""

    def __init__(self, options, secret):
        if len(secret) < 16 or secret != secret.strip():
            raise ValueError("unfit secret")
        self.secret = secret

    def text(self, request):
        return b64encode(hmac.digest(self.secret, request.body, "sha256"))

    def verify(self, request):
        found = request.header(b"x-sig")
        if found is None or not hmac.compare_digest(found, self.text(request)):
            raise VerificationError("signature")
        return Proof()

    def sign(self, request):
        return request._replace(headers=(*request.headers, (b"x-sig", self.text(request))))


class TakesAnything(Sound):
    def verify(self, request):
        return Proof()


class TakesTheLastOfTwo(Sound):
    def verify(self, request):
        found = dict(request.headers).get(b"x-sig", b"")
        return super().verify(request._replace(headers=((b"x-sig", found),)))


class IgnoresTheBody(Sound):
    def text(self, request):
        return b64encode(hmac.digest(self.secret, b"", "sha256"))


class RaisesSomethingElse(Sound):
    def verify(self, request):
        if (request.header(b"x-sig") or b"").startswith(b"\xff"):
            raise UnicodeError
        return super().verify(request)


class LeaksItsSecret(Sound):
    def text(self, request):
        return self.secret + super().text(request)


class TakesAnEmptySecret(Sound):
    def __init__(self, options, secret):
        self.secret = secret


class QuotesTheSecret(Sound):
    def __init__(self, options, secret):
        if len(secret) < 16:
            raise ValueError(f"{secret!r} is unfit")
        super().__init__(options, secret)


class RefusesTheSecondTime(Sound):
    seen = 0

    def verify(self, request):
        self.seen += 1
        if self.seen > 1:
            raise VerificationError("replay")
        return super().verify(request)


def test_the_conformance_check_takes_a_sound_verifier():
    check_verifier(verifier(NoOptions)(Sound), {}, KEY, make_request(), other_secret=OTHER)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (TakesAnything, "another secret"),
        (TakesTheLastOfTwo, "twice"),
        (IgnoresTheBody, "of the body changed"),
        (RaisesSomethingElse, "UnicodeError"),
        (LeaksItsSecret, "consumed"),
        (TakesAnEmptySecret, "unfit secret of 0 bytes"),
        (QuotesTheSecret, "quote"),
    ],
)
def test_the_conformance_check_names_the_promise_a_verifier_breaks(broken, told):
    with pytest.raises(AssertionError, match=told):
        check_verifier(verifier(NoOptions)(broken), {}, KEY, make_request(), other_secret=OTHER)


def test_the_conformance_check_refuses_a_verifier_that_keeps_state():
    with pytest.raises(VerificationError, match="replay"):
        check_verifier(verifier(NoOptions)(RefusesTheSecondTime), {}, KEY, make_request(), other_secret=OTHER)
