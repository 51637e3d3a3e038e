"""Scheme hmac: vectors of RFCs and providers, the S rows of the catalogue, and options that would prove nothing."""

import hashlib
import hmac
import json
from base64 import b64decode, b64encode, urlsafe_b64encode
from urllib.parse import urlencode

import pytest
from verify_harness import KEY, NOW, make_request, make_verifier, refusal, with_headers

from gateway.verifiers.hmac import Hmac

SW_SECRET = b"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
SW_KEY = b64decode(SW_SECRET[6:])
SW_BODY = b'{"email":"test@example.com","username":"test_user"}'
SW_ID = b"msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"
SW_SIGNATURE = b"v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
SW_OPTIONS = {
    "header": "webhook-signature",
    "shape": "list",
    "prefix": "v1,",
    "encoding": "base64",
    "key": "whsec",
    "template": "{id}.{timestamp}.{body}",
    "id": "header.webhook-id",
    "timestamp": "header.webhook-timestamp",
}


def standard_webhooks():
    return make_verifier(Hmac, SW_SECRET, **SW_OPTIONS)


def signed_by_vector(**changes):
    headers = {"webhook_id": SW_ID, "webhook_timestamp": str(NOW), "webhook_signature": SW_SIGNATURE}
    return make_request(SW_BODY, **{**headers, **changes})


def sign_standard(identifier, timestamp, body, key=SW_KEY):
    return b"v1," + b64encode(hmac.digest(key, b"%b.%b.%b" % (identifier, timestamp, body), "sha256"))


def github(**options):
    return make_verifier(Hmac, **{"header": "X-Hub-Signature-256", "prefix": "sha256=", **options})


def hexmac(body, key=KEY, algorithm="sha256"):
    return hmac.new(key, body, algorithm).hexdigest()


# Vectors


def test_the_published_vector_of_standard_webhooks_is_taken_and_made():
    assert standard_webhooks().verify(signed_by_vector())
    signed = standard_webhooks().sign(make_request(SW_BODY, webhook_id=SW_ID))
    assert signed.header(b"webhook-signature") == SW_SIGNATURE


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        pytest.param("sha1", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79", id="RFC 2202 case 2"),
        pytest.param(
            "sha256", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", id="RFC 4231 case 2"
        ),
        pytest.param(
            "sha512",
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
            "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            id="RFC 4231 case 2, sha512",
        ),
    ],
)
def test_the_vectors_of_the_hmac_rfcs_are_taken(algorithm, digest):
    verifier = make_verifier(Hmac, b"Jefe", header="X-Mac", algorithm=algorithm, min_secret_bytes=4)
    verifier.verify(make_request(b"what do ya want for nothing?", X_Mac=digest))


def test_the_published_vector_of_github_is_taken():
    verifier = make_verifier(Hmac, b"It's a Secret to Everybody", header="X-Hub-Signature-256", prefix="sha256=")
    digest = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    verifier.verify(make_request(b"Hello, World!", X_Hub_Signature_256=digest))


def test_the_published_vector_of_slack_is_taken():
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    verifier = make_verifier(
        Hmac,
        b"8f742231b10e8888abcd99yyyzzz85a5",
        header="X-Slack-Signature",
        prefix="v0=",
        template="v0:{timestamp}:{body}",
        timestamp="header.x-slack-request-timestamp",
    )
    verifier.verify(
        make_request(
            body,
            X_Slack_Signature="v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
            X_Slack_Request_Timestamp="1531420618",
            received_at=1531420618_000,
        )
    )


TWILIO_FORM = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}


def twilio(url="https://mycompany.com/myapp.php"):
    return make_verifier(
        Hmac,
        b"12345",
        header="X-Twilio-Signature",
        algorithm="sha1",
        encoding="base64",
        template="{url}{sorted_form_params}",
        url=url,
        min_secret_bytes=5,
    )


def twilio_request(body=None, **headers):
    headers = {
        "X_Twilio_Signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
        "Content_Type": "application/x-www-form-urlencoded; charset=UTF-8",
        **headers,
    }
    return make_request(body or urlencode(TWILIO_FORM), query="foo=1&bar=2", **headers)


def test_the_published_vector_of_twilio_is_taken_over_url_and_sorted_form():
    twilio().verify(twilio_request())
    twilio().verify(twilio_request(urlencode(dict(reversed(TWILIO_FORM.items())))))
    assert refusal(twilio("https://mycompany.com:443/myapp.php"), twilio_request()) == "signature"
    twilio(["https://mycompany.com:443/myapp.php", "https://mycompany.com/myapp.php"]).verify(twilio_request())


def test_a_form_signature_does_not_cover_a_body_that_is_no_form():
    assert refusal(twilio(), twilio_request(Content_Type="application/json")) == "form"
    assert refusal(twilio(), twilio_request("&".join(["a=b"] * 2000))) == "form"
    assert refusal(twilio(), twilio_request(urlencode(TWILIO_FORM).replace("Digits=1234", "Digits1234"))) == "form"


# Rows S


@pytest.mark.parametrize("name", [b"webhook-signature", b"webhook-id", b"webhook-timestamp"])
def test_S1_a_missing_empty_or_repeated_header_is_refused(name):
    genuine = signed_by_vector()
    value = genuine.header(name)
    others = genuine._replace(headers=tuple(pair for pair in genuine.headers if pair[0] != name))
    assert refusal(standard_webhooks(), others) == "missing"
    assert refusal(standard_webhooks(), with_headers(genuine, (name, b""))) == "empty"
    assert refusal(standard_webhooks(), with_headers(genuine, (name, value), (name, value))) == "repeated"
    assert refusal(standard_webhooks(), with_headers(genuine, (name, value), (name, b"x"))) == "repeated"


@pytest.mark.parametrize(
    "text",
    [
        f"{NOW}.9",
        f" {NOW} ",
        f"{NOW:_}",
        "1.649367553e9",
        "١٦٤٩٣٦٧٥٥٣",
        "nan",
        "-1",
        f"+{NOW}",
        f"0x{NOW:x}",
        f"{NOW:012d}",
        "inf",
        f"{NOW}\n",
    ],
)
def test_S2_a_timestamp_of_anything_but_up_to_eleven_digits_is_refused_though_it_is_signed(text):
    signature = sign_standard(SW_ID, text.encode(), SW_BODY)
    request = signed_by_vector(webhook_timestamp=text.encode(), webhook_signature=signature)
    assert refusal(standard_webhooks(), request) == "timestamp"


@pytest.mark.parametrize("offset", [-301, 301, -300.001, 300.001])
def test_S3_a_timestamp_beyond_the_tolerance_is_refused_in_both_directions(offset):
    late = signed_by_vector()._replace(received_at=int((NOW + offset) * 1000))
    assert refusal(standard_webhooks(), late) == "stale"


@pytest.mark.parametrize("offset", [-300, 0, 300])
def test_S3_a_timestamp_exactly_at_the_tolerance_is_taken(offset):
    assert standard_webhooks().verify(signed_by_vector()._replace(received_at=(NOW + offset) * 1000))


def test_S5_an_old_signature_under_a_new_timestamp_or_id_is_refused():
    assert refusal(standard_webhooks(), signed_by_vector(webhook_timestamp=str(NOW + 1))) == "signature"
    assert refusal(standard_webhooks(), signed_by_vector(webhook_id="msg_another")) == "signature"


@pytest.mark.parametrize("identifier", [b"m.1", b"a\r\nb", b"a b", b"m" * 10_240, "é".encode()])
def test_S6_an_id_that_blurs_what_is_signed_is_refused_though_it_is_signed(identifier):
    timestamp = str(NOW).encode()
    signature = sign_standard(identifier, timestamp, SW_BODY)
    request = signed_by_vector(webhook_id=identifier, webhook_signature=signature)
    assert refusal(standard_webhooks(), request) == "id"


def test_a_value_beside_the_body_has_4096_bytes_at_most_and_an_id_255():
    verifier = make_verifier(Hmac, header="X-Sig", template="{header.x-id}{body}")
    for size, reason in ((4096, None), (4097, "ambiguous")):
        request = make_request(b"{}", X_Id="x" * size, X_Sig=hexmac(b"x" * size + b"{}"))
        assert verifier.verify(request) if reason is None else refusal(verifier, request) == reason
    for size, reason in ((255, None), (256, "id")):
        signature = sign_standard(b"m" * size, str(NOW).encode(), SW_BODY)
        request = signed_by_vector(webhook_id=b"m" * size, webhook_signature=signature)
        assert standard_webhooks().verify(request) if reason is None else refusal(standard_webhooks(), request) == "id"


def test_a_form_has_1000_fields_at_most():
    verifier = make_verifier(Hmac, header="X-Sig", template="{sorted_form_params}")
    for count, reason in ((1000, None), (1001, "form")):
        body = "&".join(f"f{number:04}=v" for number in range(count))
        signed = "".join(f"f{number:04}v" for number in range(count)).encode()
        request = make_request(body, Content_Type="application/x-www-form-urlencoded", X_Sig=hexmac(signed))
        assert verifier.verify(request) if reason is None else refusal(verifier, request) == reason


def test_S6_the_end_of_an_id_cannot_become_the_begin_of_the_body():
    """`{header.x}.{body}`: without the rule "a.b" over "c" signs like "a" over "b.c"."""
    verifier = make_verifier(Hmac, header="X-Sig", template="{header.x-id}.{body}")
    signature = hexmac(b"a.b.c")
    verifier.verify(make_request(b"b.c", X_Id="a", X_Sig=signature))
    assert refusal(verifier, make_request(b"c", X_Id="a.b", X_Sig=signature)) == "ambiguous"


SW_RAW = SW_SIGNATURE[3:]


@pytest.mark.parametrize(
    "header",
    [
        b"v1",
        b"v1,",
        b"v1,a,b",
        b"v1, " + SW_RAW,
        b"v1," + SW_RAW.rstrip(b"="),
        b"v1," + SW_RAW + b"=",
        b"v1," + SW_RAW[:-2] + b"x=",
        b"v1," + SW_RAW.replace(b"+", b"-").replace(b"/", b"_"),
        b"v1," + SW_RAW[:10] + b"\t" + SW_RAW[10:],
        b"v1,!!!!",
        b"v1," + b64encode(b"short"),
        b"v1," + SW_RAW * 2,
        b"\xff\xfe",
        b"v1,\xff",
        b" ".join([b"v1,x"] * 33),
    ],
)
def test_S8_a_malformed_or_non_canonical_signature_is_refused_and_raises_nothing_else(header):
    assert refusal(standard_webhooks(), signed_by_vector(webhook_signature=header)) == "signature"


def test_S8_stray_bits_in_the_last_base64_character_are_refused():
    """Two of its bits are not used by a 32-byte digest, so that four texts decode to the same bytes."""
    twin = SW_SIGNATURE[:-2] + bytes([SW_SIGNATURE[-2] + 1]) + b"="
    assert b64decode(twin[3:]) == b64decode(SW_SIGNATURE[3:])
    assert refusal(standard_webhooks(), signed_by_vector(webhook_signature=twin)) == "signature"


@pytest.mark.parametrize("label", [b"v1a,", b"v2,", b"v0,", b"V1,", b"", b"v1"])
def test_S9_a_right_digest_under_another_version_is_no_fallback(label):
    assert refusal(standard_webhooks(), signed_by_vector(webhook_signature=label + SW_RAW)) == "signature"


def test_S9_unknown_versions_beside_the_known_one_are_ignored():
    header = b"v1a,AAAA v2,BBBB " + SW_SIGNATURE + b" v1,old"
    assert standard_webhooks().verify(signed_by_vector(webhook_signature=header))


@pytest.mark.parametrize("body", [b'{"id": 1}', b'\xef\xbb\xbf{"id":1}', b'{"id":1}\r\n', b'{"id":1}\n', b""])
def test_S11_the_same_json_in_other_bytes_is_refused(body):
    signature = "sha256=" + hexmac(b'{"id":1}')
    github().verify(make_request(b'{"id":1}', X_Hub_Signature_256=signature))
    assert refusal(github(), make_request(body, X_Hub_Signature_256=signature)) == "signature"


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param("sha1=" + hexmac(b'{"id":1}', algorithm="sha1"), id="sha1"),
        pytest.param("sha256=" + hexmac(b'{"id":1}').upper(), id="upper case"),
        pytest.param(hexmac(b'{"id":1}'), id="no prefix"),
        pytest.param("SHA256=" + hexmac(b'{"id":1}'), id="prefix in upper case"),
        pytest.param("sha256=" + hexmac(b'{"id":1}')[:-2], id="shorter"),
        pytest.param("sha256=sha256=" + hexmac(b'{"id":1}'), id="prefix twice"),
    ],
)
def test_S12_another_algorithm_letter_case_or_prefix_is_refused(signature):
    assert refusal(github(), make_request(X_Hub_Signature_256=signature)) == "signature"


def test_S12_upper_case_and_a_bare_signature_are_taken_if_the_scheme_says_so():
    upper = hexmac(b'{"id":1}').upper()
    github(hex_case="upper").verify(make_request(X_Hub_Signature_256="sha256=" + upper))
    github(hex_case="any").verify(make_request(X_Hub_Signature_256="sha256=" + upper))
    github(hex_case="any").verify(make_request(X_Hub_Signature_256="sha256=" + upper.lower()))
    github(prefix="").verify(make_request(X_Hub_Signature_256=upper.lower()))
    assert refusal(github(hex_case="upper"), make_request(X_Hub_Signature_256="sha256=" + upper.lower())) == "signature"
    assert refusal(github(hex_case="any"), make_request(X_Hub_Signature_256="SHA256=" + upper)) == "signature"


def test_S13_a_signature_made_with_another_secret_is_refused():
    signed = make_verifier(Hmac, b"o" * 32, header="X-Hub-Signature-256", prefix="sha256=").sign(make_request())
    assert refusal(github(), signed) == "signature"


@pytest.mark.parametrize(
    ("secret", "options"),
    [
        pytest.param(b"", {}, id="empty"),
        pytest.param(b"whsec_", {"key": "whsec"}, id="whsec_ alone"),
        pytest.param(b"whsec_" + b64encode(b"s" * 23), {"key": "whsec"}, id="23 bytes"),
        pytest.param(b64encode(b"s" * 24), {"key": "whsec"}, id="no whsec_"),
        pytest.param(b"whsec_MfKQ9r8GKYqTwjUPD8ILPZ!o2LaLaSwxyz", {"key": "whsec"}, id="not base64"),
        pytest.param(b"s" * 23, {}, id="23 characters"),
        pytest.param(b"s" * 32 + b"\n", {}, id="line end"),
        pytest.param(b" " + b"s" * 32, {}, id="space before"),
        pytest.param(SW_SECRET + b"\r\n", {"key": "whsec"}, id="line end after base64"),
        pytest.param(b"whsec_" + b64encode(b"s" * 25) + b"=", {"key": "whsec"}, id="padded too much"),
        pytest.param(b"zz" * 32, {"key": "hex"}, id="not hex"),
        pytest.param(b"s===" * 16, {"key": "base64"}, id="not base64 either"),
        pytest.param(b"\xff" * 32, {"key": "nfkd"}, id="no UTF-8"),
    ],
)
def test_S16_an_unfit_secret_is_refused_without_being_quoted(secret, options):
    with pytest.raises(ValueError) as caught:
        make_verifier(Hmac, secret, header="X-Sig", **options)
    assert "secret" in str(caught.value)
    pasted = secret.strip().removeprefix(b"whsec_").decode("latin-1")
    assert not pasted or pasted not in str(caught.value)


def test_S16_a_short_secret_is_taken_if_its_length_is_written_out():
    verifier = make_verifier(Hmac, b"short", header="X-Sig", min_secret_bytes=5)
    assert verifier.verify(verifier.sign(make_request()))
    with pytest.raises(ValueError, match="4 bytes, expected at least 5"):
        make_verifier(Hmac, b"shor", header="X-Sig", min_secret_bytes=5)


# Parameters


@pytest.mark.parametrize(
    ("form", "secret", "key"),
    [
        ("raw", SW_SECRET, SW_SECRET),
        ("whsec", SW_SECRET, SW_KEY),
        ("hex", b"00ff" * 16, bytes.fromhex("00ff" * 16)),
        ("base64", b64encode(b"\xfb" * 32), b"\xfb" * 32),
        ("base64", b64encode(b"\xfb" * 32).rstrip(b"="), b"\xfb" * 32),
        ("nfkd", "\u00c5-long-secret-of-acme-corp".encode(), "A\u030a-long-secret-of-acme-corp".encode()),
    ],
)
def test_each_key_form_gives_the_key_bytes_it_stands_for(form, secret, key):
    verifier = make_verifier(Hmac, secret, header="X-Sig", key=form)
    verifier.verify(make_request(X_Sig=hexmac(b'{"id":1}', key=key)))


def test_each_encoding_is_taken_in_its_one_form():
    digest = hmac.digest(KEY, b'{"id":1}', "sha256")
    texts = {
        "hex": digest.hex().encode(),
        "base64": b64encode(digest),
        "base64url": urlsafe_b64encode(digest).rstrip(b"="),
    }
    for encoding in texts:
        for other, text in texts.items():
            verifier = make_verifier(Hmac, header="X-Sig", encoding=encoding)
            if other == encoding:
                assert verifier.verify(make_request(X_Sig=text))
            else:
                assert refusal(verifier, make_request(X_Sig=text)) == "signature"


def test_an_algorithm_named_by_a_header_is_taken_from_the_list_only():
    verifier = make_verifier(
        Hmac,
        header="X-Payload-Digest",
        algorithm_header="X-Payload-Digest-Alg",
        algorithms={"HMAC_SHA256_HEX": "sha256", "HMAC_SHA512_HEX": "sha512"},
    )
    body = b'{"id":1}'
    verifier.verify(make_request(X_Payload_Digest=hexmac(body), X_Payload_Digest_Alg="HMAC_SHA256_HEX"))
    sha512 = hexmac(body, algorithm="sha512")
    verifier.verify(make_request(X_Payload_Digest=sha512, X_Payload_Digest_Alg="HMAC_SHA512_HEX"))
    sha1 = make_request(X_Payload_Digest=hexmac(body, algorithm="sha1"), X_Payload_Digest_Alg="HMAC_SHA1_HEX")
    assert refusal(verifier, sha1) == "algorithm"
    assert refusal(verifier, make_request(X_Payload_Digest=hexmac(body))) == "algorithm"
    wrong = make_request(X_Payload_Digest=sha512, X_Payload_Digest_Alg="HMAC_SHA256_HEX")
    assert refusal(verifier, wrong) == "signature"


def test_an_absent_algorithm_header_is_taken_only_if_the_list_names_it():
    verifier = make_verifier(
        Hmac, header="X-Sig", algorithm_header="X-Alg", algorithms={"": "sha1", "algorithm=HMAC_SHA256": "sha256"}
    )
    assert verifier.verify(make_request(X_Sig=hexmac(b'{"id":1}', algorithm="sha1")))
    assert verifier.verify(make_request(X_Sig=hexmac(b'{"id":1}'), X_Alg="algorithm=HMAC_SHA256"))
    assert refusal(verifier, make_request(X_Sig=hexmac(b'{"id":1}', algorithm="sha1"), X_Alg="")) == "empty"


def test_a_plain_hash_over_secret_method_url_and_body_is_taken():
    """HubSpot v2, vector recomputed from its definition."""
    verifier = make_verifier(
        Hmac,
        header="X-HubSpot-Signature",
        plain_hash=True,
        template="{secret}{method}{url}{body}",
        url="https://a.example/h",
    )
    text = KEY + b"POSThttps://a.example/h?q=1" + b"{}"
    request = make_request(b"{}", query="q=1", X_HubSpot_Signature=hashlib.sha256(text).hexdigest())
    verifier.verify(request)
    assert refusal(verifier, request._replace(method="PUT")) == "signature"
    assert refusal(verifier, request._replace(query="q=2")) == "signature"


def test_any_of_several_headers_may_match():
    verifier = make_verifier(Hmac, header=["box-signature-primary", "box-signature-secondary"])
    right, wrong = hexmac(b'{"id":1}'), "0" * 64
    for primary, secondary in [(right, wrong), (wrong, right)]:
        verifier.verify(make_request(box_signature_primary=primary, box_signature_secondary=secondary))
    verifier.verify(make_request(box_signature_secondary=right))
    assert refusal(verifier, make_request(box_signature_primary=wrong, box_signature_secondary=wrong)) == "signature"
    assert refusal(verifier, make_request()) == "missing"
    assert refusal(verifier, make_request(box_signature_primary="", box_signature_secondary=right)) == "empty"


def stripe(**options):
    return make_verifier(
        Hmac,
        **{"header": "X-Sig", "shape": "pairs", "timestamp": "pair.t", "template": "{timestamp}.{body}", **options},
    )


def stamped(body=b'{"id":1}', timestamp=NOW, key=KEY):
    return hexmac(b"%d.%b" % (timestamp, body), key=key)


@pytest.mark.parametrize(
    ("options", "header"),
    [
        pytest.param({}, f"t={NOW},v1={stamped()}", id="Stripe"),
        pytest.param({}, f"t={NOW},v1={'0' * 64},v1={stamped()},v0=x", id="Stripe while a secret rotates"),
        pytest.param(
            {"separator": ";", "label": "h1", "timestamp": "pair.ts"}, f"ts={NOW};h1={stamped()}", id="Paddle"
        ),
        pytest.param({"separator": ", "}, f"t={NOW}, v1={stamped()}", id="WorkOS"),
        pytest.param({"group": " "}, f"t={NOW},v1={stamped()}", id="Persona"),
        pytest.param(
            {"group": " "}, f"t={NOW - 9},v1={'0' * 64} t={NOW},v1={stamped()}", id="Persona while a secret rotates"
        ),
    ],
)
def test_pairs_are_read_as_each_provider_writes_them(options, header):
    stripe(**options).verify(make_request(X_Sig=header))


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (f"t={NOW},v0={stamped()}", "signature"),
        (f"v1={stamped()}", "timestamp"),
        (f"t=,v1={stamped()}", "timestamp"),
        (f"t={NOW},t={NOW},v1={stamped()}", "timestamp"),
        (f"t={NOW} ,v1={stamped()}", "signature"),
        (f"t={NOW},{stamped()}", "signature"),
        (f"t={NOW},v1={stamped()},v1", "signature"),
        (f"t={NOW - 301},v1={stamped(timestamp=NOW - 301)}", "stale"),
        (f"t={NOW},v1={stamped()}" + ",x=y" * 33, "signature"),
    ],
)
def test_pairs_that_are_incomplete_repeated_or_stale_are_refused(header, reason):
    assert refusal(stripe(), make_request(X_Sig=header)) == reason


def test_a_timestamp_counts_only_for_the_signatures_of_its_own_group():
    old, new = f"t={NOW - 400},v1={stamped(timestamp=NOW - 400)}", f"t={NOW},v1={'0' * 64}"
    assert refusal(stripe(group=" "), make_request(X_Sig=f"{old} {new}")) == "stale"


@pytest.mark.parametrize(
    ("unit", "text", "taken"),
    [
        ("ms", f"{NOW}000", True),
        ("ms", f"{NOW - 301}000", False),
        ("iso8601", "2022-04-07T21:39:13Z", True),
        ("iso8601", "2022-04-07T21:39:13.123456789Z", True),
        ("iso8601", "2022-04-07T14:39:13-07:00", True),
        ("iso8601", "2022-04-07T21:39:13-07:00", False),
        ("iso8601", "2022-04-07 21:39:13Z", False),
        ("iso8601", "2022-04-07T21:39:13", False),
        ("iso8601", "2022-13-07T21:39:13Z", False),
        ("iso8601", "20220407T213913Z", False),
        ("iso8601", "2022-W14-4T21:39:13Z", False),
        ("iso8601", "0001-01-01T00:00:00+23:59", False),
        ("iso8601", str(NOW), False),
    ],
)
def test_timestamps_in_milliseconds_and_dates_are_read_strictly(unit, text, taken):
    verifier = make_verifier(
        Hmac, header="X-Sig", timestamp="header.x-time", timestamp_unit=unit, template="{timestamp}{body}"
    )
    request = make_request(X_Sig=hexmac(text.encode() + b'{"id":1}'), X_Time=text)
    if taken:
        assert verifier.verify(request)
    else:
        assert refusal(verifier, request) in {"timestamp", "stale"}


def test_a_timestamp_in_the_signed_body_is_checked_after_the_signature():
    """Linear: `webhookTimestamp` in the body, in milliseconds."""
    verifier = make_verifier(
        Hmac, header="Linear-Signature", timestamp="body.webhookTimestamp", timestamp_unit="ms", tolerance="60s"
    )
    for age, reason in [(0, None), (60, None), (61, "stale")]:
        body = b'{"webhookTimestamp":%d000}' % (NOW - age)
        request = make_request(body, Linear_Signature=hexmac(body))
        assert verifier.verify(request) if reason is None else refusal(verifier, request) == reason
    assert refusal(verifier, make_request(b"not json", Linear_Signature="0" * 64)) == "signature"
    assert refusal(verifier, make_request(b"not json", Linear_Signature=hexmac(b"not json"))) == "document"


def mailgun(**options):
    return make_verifier(
        Hmac,
        **{
            "body": "signature.signature",
            "template": "{timestamp}{body.signature.token}",
            "timestamp": "body.signature.timestamp",
            "unsigned_body": True,
            **options,
        },
    )


def mailgun_body(**changes):
    fields = {"timestamp": str(NOW), "token": "t0ken", "signature": hexmac(b"%dt0ken" % NOW), **changes}
    pairs = ",".join(f'"{name}":"{value}"' for name, value in fields.items())
    return f'{{"signature":{{{pairs}}},"event-data":{{}}}}'.encode()


def test_a_signature_in_the_body_is_taken_over_the_fields_it_names():
    mailgun().verify(make_request(mailgun_body()))
    assert refusal(mailgun(), make_request(mailgun_body(token="other"))) == "signature"
    assert refusal(mailgun(), make_request(b"{}")) == "missing"
    assert refusal(mailgun(), make_request(b"[" * 100_000)) == "document"
    assert refusal(mailgun(), make_request(mailgun_body(signature=""))) == "empty"


def test_a_field_of_the_signature_that_stands_twice_in_the_body_is_refused():
    body = mailgun_body().replace(b'"token":"t0ken"', b'"token":"forged","token":"t0ken"')
    assert refusal(mailgun(), make_request(body)) == "document"


def test_a_body_hash_in_the_signed_url_covers_the_body():
    """Twilio's JSON requests: the URL is signed, and its query holds the SHA-256 of the body."""
    verifier = make_verifier(
        Hmac, header="X-Sig", template="{url}", url="https://a.example/h", body_hash="query.bodySHA256"
    )
    body = b'{"id":1}'
    query = f"a=1&bodySHA256={hashlib.sha256(body).hexdigest()}"
    request = make_request(body, query=query, X_Sig=hexmac(f"https://a.example/h?{query}".encode()))
    verifier.verify(request)
    assert refusal(verifier, request._replace(body=b'{"id":2}')) == "body_hash"
    assert refusal(verifier, request._replace(query=f"{query}&b=2")) == "signature"
    twice = f"{query}&{query}"
    repeated = make_request(body, query=twice, X_Sig=hexmac(f"https://a.example/h?{twice}".encode()))
    assert refusal(verifier, repeated) == "repeated"


def test_fixed_parameters_and_headers_stand_in_the_template():
    verifier = make_verifier(
        Hmac, header="X-Sig", template="{header.X-Time}|{param.webhook}|{body}", params={"webhook": "WH-1"}
    )
    verifier.verify(make_request(b"{}", X_Time="5", X_Sig=hexmac(b"5|WH-1|{}")))
    assert refusal(verifier, make_request(b"{}", X_Sig=hexmac(b"|WH-1|{}"))) == "missing"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"header": []}, "either header or body"),
        ({"header": "X-Sig", "body": "a"}, "either header or body"),
        ({"header": "X Sig"}, "no header name"),
        ({"template": "{timestamp}.{body}"}, "say where it stands"),
        ({"template": "{id}.{body}"}, "say where it stands"),
        ({"template": "{nonsense}{body}"}, "no variable of a template"),
        ({"template": "{header:x}{body}"}, "no variable of a template"),
        ({"template": "{body"}, "brace"),
        ({"template": ""}, "brace"),
        ({"template": "{param.x}{body}"}, "params"),
        ({"timestamp": "header.x-time"}, "not part of what is signed"),
        ({"timestamp": "nowhere"}, "no place"),
        ({"timestamp": "pair.t"}, "pairs"),
        ({"template": "{method}"}, "does not cover the body"),
        ({"template": "{url}", "url": "https://a.example/h"}, "does not cover the body"),
        ({"template": "{url}{body}"}, "need each other"),
        ({"url": "https://a.example/h"}, "need each other"),
        ({"template": "{url}{body}", "url": "https://a.example/h?x=1"}, "without a query"),
        ({"template": "{method}", "body_hash": "header.x-digest"}, "body's hash is not part"),
        ({"template": "{secret}{body}"}, "plain_hash"),
        ({"plain_hash": True}, "plain_hash"),
        ({"algorithms": {"a": "sha256"}}, "need each other"),
        ({"encoding": "base64", "hex_case": "any"}, "hex_case"),
        ({"separator": ","}, "separator"),
        ({"group": " "}, "group"),
        ({"shape": "list", "separator": ""}, "separator is empty"),
        ({"shape": "pairs", "label": ""}, "label"),
    ],
)
def test_options_that_would_prove_nothing_are_refused_and_told(options, told):
    with pytest.raises(ValueError) as caught:
        make_verifier(Hmac, **{"header": "X-Sig", **options})
    assert told in str(caught.value)


WITH_URL = {"template": "{url}{body}", "url": "https://a.example/h"}


@pytest.mark.parametrize(
    ("options", "signed"),
    [
        ({"timestamp": "query.t"}, False),
        ({"timestamp": "query.t", **WITH_URL}, True),
        ({"timestamp": "query.t", "template": "{query.t}{body}"}, True),
        ({"timestamp": "header.x-time", **WITH_URL}, False),
        ({"timestamp": "header.x-time", "template": "{header.X-Time}{body}"}, True),
        ({"timestamp": "header.X-Time", "template": "{header.x-time}{body}"}, True),
        ({"timestamp": "header.x-time", "template": "{header.x-other}{body}"}, False),
        ({"timestamp": "body.t"}, True),
        ({"timestamp": "body.t", "template": "{method}", "unsigned_body": True}, False),
        ({"timestamp": "body.t", "template": "{body.t}", "unsigned_body": True}, True),
        ({"timestamp": "body.t", "template": "{url}", "url": "https://a.example/h", "unsigned_body": True}, False),
    ],
)
def test_a_timestamp_counts_only_where_it_is_part_of_what_is_signed(options, signed):
    if signed:
        make_verifier(Hmac, header="X-Sig", **options)
    else:
        with pytest.raises(ValueError, match="the timestamp is not part of what is signed"):
            make_verifier(Hmac, header="X-Sig", **options)


def test_a_signature_header_has_32_entries_at_most():
    verifier = make_verifier(Hmac, header="X-Sig", shape="list")
    right = hexmac(b'{"id":1}')
    verifier.verify(make_request(X_Sig=" ".join(["x"] * 31 + [right])))
    assert refusal(verifier, make_request(X_Sig=" ".join(["x"] * 32 + [right]))) == "signature"


def test_a_signature_in_the_body_cannot_claim_to_cover_that_body():
    with pytest.raises(ValueError, match="cannot cover the body"):
        make_verifier(Hmac, body="signature")


def test_a_timestamp_that_is_a_number_of_the_body_is_still_one_when_a_sample_is_signed():
    options = {"header": "Linear-Signature", "timestamp": "body.webhookTimestamp", "timestamp_unit": "ms"}
    for body, written in ((b'{"webhookTimestamp": 1}', int), (b'{"webhookTimestamp": "1"}', str), (b"{}", str)):
        signed = make_verifier(Hmac, **options).sign(make_request(body))
        assert type(json.loads(signed.body)["webhookTimestamp"]) is written
        assert make_verifier(Hmac, **options).verify(signed)
