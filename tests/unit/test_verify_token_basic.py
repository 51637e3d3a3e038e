"""Schemes token, basic and none: one place, one value, nothing of the secret left behind."""

from base64 import b64encode

import pytest
from verify_harness import KEY, make_request, make_verifier, refusal, with_headers

from gateway.core.head import encode_head
from gateway.plugin import Proof
from gateway.verifiers.basic import Basic
from gateway.verifiers.none import Nothing
from gateway.verifiers.token import Token

OTHER = b"another-token-of-32-bytes-or-so!"


def truework():
    return make_verifier(Token, header="X-Truework-Token")


def test_a_token_in_its_header_is_taken_and_reported_as_consumed():
    request = make_request(X_Truework_Token=KEY)
    proof = truework().verify(request)
    assert proof == Proof(consumed=(b"x-truework-token",))
    assert KEY not in encode_head(request, proof.consumed, proof.consumed_query)


def test_S13_another_token_is_refused():
    for wrong in (OTHER, KEY + b"x", KEY[:-1], KEY.upper(), b" " + KEY):
        assert refusal(truework(), make_request(X_Truework_Token=wrong)) == "token"


def test_S1_a_token_header_that_is_missing_empty_or_sent_twice_is_refused():
    genuine = make_request(X_Truework_Token=KEY)
    assert refusal(truework(), make_request()) == "missing"
    assert refusal(truework(), make_request(X_Truework_Token="")) == "empty"
    twice = with_headers(genuine, (b"x-truework-token", KEY), (b"x-truework-token", KEY))
    assert refusal(truework(), twice) == "repeated"


def test_a_token_in_the_query_is_decoded_once_and_taken_out_of_the_stored_head():
    secret = b"a+b/c=d&e-24-characters!"
    verifier = make_verifier(Token, secret, query="code")
    request = verifier.sign(make_request(query="x=1&code=old"))
    proof = verifier.verify(request)
    assert proof.consumed_query == ("code",)
    assert b"code" not in encode_head(request, proof.consumed, proof.consumed_query)
    assert refusal(verifier, request._replace(query=f"{request.query}&{request.query}")) == "repeated"
    assert refusal(verifier, request._replace(query=request.query.replace("code=", "%63ode="))) == "missing"
    assert refusal(verifier, request._replace(query="code=")) == "empty"
    assert refusal(verifier, request._replace(query="code=%ff%00")) == "token"


def test_a_token_in_the_body_is_asked_of_every_item():
    """Microsoft Graph sends `clientState` in each item of `value`."""
    verifier = make_verifier(Token, body="value[].clientState")
    good, bad = f'{{"clientState":"{KEY.decode()}"}}', f'{{"clientState":"{OTHER.decode()}"}}'
    verifier.verify(make_request(f'{{"value":[{good},{good}]}}'))
    assert refusal(verifier, make_request(f'{{"value":[{good},{bad}]}}')) == "token"
    assert refusal(verifier, make_request(f'{{"value":[{good},{{}}]}}')) == "missing"
    assert refusal(verifier, make_request('{"value":[]}')) == "missing"
    assert refusal(verifier, make_request('{"value":{}}')) == "missing"
    assert refusal(verifier, make_request("nonsense")) == "document"
    assert refusal(verifier, make_request('{"value":[{"clientState":true}]}')) == "type"
    assert refusal(verifier, make_request(f'{{"value":[{bad}],"value":[{good}]}}')) == "document"


def test_a_bearer_token_is_taken_with_its_prefix_only():
    verifier = make_verifier(Token, header="Authorization", prefix="Bearer ")
    verifier.verify(make_request(Authorization=b"Bearer " + KEY))
    assert refusal(verifier, make_request(Authorization=KEY)) == "token"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "exactly one"),
        ({"header": "X-A", "query": "a"}, "exactly one"),
        ({"header": "X A"}, "no header name"),
        ({"query": "a&b"}, "no place"),
        ({"body": "a..b"}, "body.a..b"),
    ],
)
def test_a_token_without_one_readable_place_is_refused(options, told):
    with pytest.raises(ValueError) as caught:
        make_verifier(Token, **options)
    assert told in str(caught.value)


@pytest.mark.parametrize("secret", [b"", b"k3y", b"s" * 15, KEY + b"\n", b"\t" + KEY])
def test_S16_an_unfit_token_or_password_is_refused_without_being_quoted(secret):
    for kind, options in [(Token, {"header": "X-A"}), (Basic, {"user": "u"})]:
        with pytest.raises(ValueError) as caught:
            make_verifier(kind, secret, **options)
        assert not secret or secret.strip().decode() not in str(caught.value)


def test_the_vector_of_rfc_7617_is_taken():
    verifier = make_verifier(Basic, b"open sesame", user="Aladdin", min_secret_bytes=11)
    proof = verifier.verify(make_request(Authorization="Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="))
    assert proof == Proof(consumed=(b"authorization",))
    utf8 = make_verifier(Basic, "123£".encode(), user="test", min_secret_bytes=5)
    utf8.verify(make_request(Authorization="basic  dGVzdDoxMjPCow=="))


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"Basic " + b64encode(b"u:" + OTHER), "authorization"),
        (b"Basic " + b64encode(b"v:" + KEY), "authorization"),
        (b"Basic " + b64encode(b"u:" + KEY).rstrip(b"="), "authorization"),
        (b"Basic " + b64encode(b"u:" + KEY) + b"\xff", "authorization"),
        (b"Basic", "authorization"),
        (b"Bearer " + b64encode(b"u:" + KEY), "authorization"),
        (b"", "empty"),
    ],
)
def test_S8_another_user_password_or_spelling_is_refused(header, reason):
    assert refusal(make_verifier(Basic, user="u"), make_request(Authorization=header)) == reason


def test_S1_an_authorization_header_that_is_missing_or_sent_twice_is_refused():
    verifier = make_verifier(Basic, user="u")
    genuine = verifier.sign(make_request())
    pair = (b"authorization", genuine.header(b"authorization"))
    assert refusal(verifier, make_request()) == "missing"
    assert refusal(verifier, with_headers(genuine, pair, pair)) == "repeated"


def test_a_user_name_that_would_shift_into_the_password_is_refused():
    for user in ("a:b", "", "a\x00b"):
        with pytest.raises(ValueError, match="user"):
            make_verifier(Basic, user=user)


def test_scheme_none_believes_everything_and_takes_no_secret():
    assert make_verifier(Nothing, b"").verify(make_request()) == Proof()
    assert not Nothing.needs_secret
    with pytest.raises(ValueError, match="checks no secret"):
        make_verifier(Nothing, KEY)
