"""Schemes of single providers: each refusal has its own reason, and limits lie where they are said to lie."""

import datetime as dt
import json
import zlib
from base64 import b64encode
from urllib.parse import parse_qs, urlencode

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from verify_harness import KEY, NOW, make_request, make_verifier, refusal, with_headers

from gateway.cli.made_up import private_key
from gateway.core.published import KeyRef, Published
from gateway.plugin import NeedsKey, VerificationError
from gateway.verifiers.address import Address
from gateway.verifiers.adyen import ITEMS_MAX, Adyen
from gateway.verifiers.braintree import Braintree
from gateway.verifiers.certificates import certify, find_certificate, is_signed_by, read_certificate, sign_by
from gateway.verifiers.contentful import NAMES_MAX, Contentful, _path
from gateway.verifiers.paypal import Paypal
from gateway.verifiers.plaid import Plaid
from gateway.verifiers.sns import Sns

HEX = KEY.hex().encode()
RSA, EC = private_key("RS256"), private_key("ES256")


def reason_of(call):
    with pytest.raises(VerificationError) as caught:
        call()
    return caught.value.reason


# An address


def test_a_sender_without_an_internet_address_or_with_another_is_refused():
    verifier = make_verifier(Address, b"", ranges=["203.0.113.0/24", "2001:db8::/32"])
    request = verifier.sign(make_request())
    assert request.client == "203.0.113.0"
    verifier.verify(request)
    for address in ("unix", "", "203.0.114.1", "2001:db9::1"):
        assert refusal(verifier, request._replace(client=address)) == "address"
    for address in ("::ffff:203.0.113.9", "2001:db8::7"):
        verifier.verify(request._replace(client=address))


def test_an_address_has_no_secret_and_ranges_are_networks():
    with pytest.raises(ValueError, match="checks no secret"):
        make_verifier(Address, KEY, ranges=["203.0.113.0/24"])
    with pytest.raises(ValueError, match=r'found "203\.0\.113\.1/24"'):
        make_verifier(Address, b"", ranges=["203.0.113.1/24"])


# Adyen

ITEM = {"pspReference": "7914073381342284", "amount": {"value": 1130, "currency": "EUR"}, "success": "true"}


def adyen(*items):
    verifier = make_verifier(Adyen, HEX)
    body = json.dumps({"notificationItems": [{"NotificationRequestItem": item} for item in items]})
    return verifier, verifier.sign(make_request(body))


def test_adyen_signs_what_else_an_item_says_beside_it():
    verifier, request = adyen({**ITEM, "additionalData": {"shopper": "7"}})
    verifier.verify(request)
    (item,) = json.loads(request.body)["notificationItems"]
    assert item["NotificationRequestItem"]["additionalData"]["shopper"] == "7"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pspReference": "1"}, "signature"),
        ({"pspReference": 7.5}, "type"),
        ({"success": True}, "type"),
        ({"amount": 7}, "missing"),
        ({"additionalData": {"hmacSignature": "\N{EURO SIGN}"}}, "signature"),
        ({"additionalData": {}}, "signature"),
        ({"additionalData": None}, "missing"),
        ({"eventCode": "a:b"}, "document"),
    ],
)
def test_adyen_refuses_an_item_for_its_reason(changes, reason):
    verifier, request = adyen(ITEM)
    document = json.loads(request.body)
    document["notificationItems"][0]["NotificationRequestItem"].update(changes)
    assert refusal(verifier, request._replace(body=json.dumps(document).encode())) == reason


def test_adyen_takes_one_item_up_to_the_limit_and_no_more():
    for count, taken in ((1, True), (ITEMS_MAX, True), (ITEMS_MAX + 1, False), (0, False)):
        verifier, request = adyen(*[ITEM] * count)
        if taken:
            verifier.verify(request)
        else:
            assert refusal(verifier, request) == "missing"


# Braintree

XML = b"<notification><kind>check</kind></notification>"
PUBLIC = "yrvwbtbsn8d4ycgm"


def braintree():
    verifier = make_verifier(Braintree, KEY, public_key=PUBLIC)
    return verifier, verifier.sign(make_request(XML))


def form(request, **changes):
    fields = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    return request._replace(body=urlencode({**fields, **changes}).encode())


def test_braintrees_payload_may_lack_the_line_end_that_is_signed():
    verifier, request = braintree()
    payload = parse_qs(request.body.decode())["bt_payload"][0]
    assert payload.endswith("\n")
    assert verifier.verify(form(request, bt_payload=payload.rstrip("\n"))) == verifier.verify(request)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bt_payload": "A\n"}, "signature"),
        ({"bt_payload": "\N{EURO SIGN}\n"}, "signature"),
        ({"bt_payload": ""}, "missing"),
        ({"bt_signature": ""}, "missing"),
        ({"bt_signature": "\N{EURO SIGN}|x"}, "missing"),
        ({"bt_signature": f"{PUBLIC}|\N{EURO SIGN}"}, "signature"),
        ({"bt_signature": f"{PUBLIC}|a&{PUBLIC}|b"}, "missing"),
    ],
)
def test_braintree_refuses_a_form_for_its_reason(changes, reason):
    verifier, request = braintree()
    assert refusal(verifier, form(request, **changes)) == reason


def test_what_is_signed_by_braintree_but_no_document_is_refused():
    verifier, request = braintree()
    for payload in ("no base64!\n", b64encode(b"no xml").decode() + "\n"):
        signature = f"{PUBLIC}|{verifier._signature(payload.encode()).decode()}"
        assert refusal(verifier, form(request, bt_payload=payload, bt_signature=signature)) == "document"
    assert refusal(verifier, request._replace(body=b"%ff=1")) == "document"


# Contentful


def contentful(query="", **headers):
    verifier = make_verifier(Contentful, KEY)
    return verifier, verifier.sign(make_request(query=query, x_contentful_topic="t", **headers))


def signed_over(verifier, request, *names):
    """Sign that list of headers, sound or not."""
    request = with_headers(request, (b"x-contentful-signed-headers", b",".join(names)))
    return with_headers(request, (b"x-contentful-signature", verifier._signature(request, names)))


OURS = (b"x-contentful-signed-headers", b"x-contentful-timestamp", b"x-contentful-topic")


def test_contentfuls_signed_headers_are_at_most_so_many_in_order_and_each_once():
    more = {f"x_a{number:03}": "v" for number in range(NAMES_MAX - len(OURS) + 1)}
    verifier, request = contentful(**more)
    names = sorted((*OURS, *(name.replace("_", "-").encode() for name in more)))
    assert len(names) == NAMES_MAX + 1
    verifier.verify(signed_over(verifier, request, *names[1:]))
    for bad in (names, (OURS[1], OURS[0], OURS[2]), (OURS[0], *OURS)):
        forged = with_headers(request, (b"x-contentful-signed-headers", b",".join(bad)))
        assert refusal(verifier, forged) == "document"


def test_contentful_lets_no_border_be_moved_and_signs_the_whole_query():
    verifier, request = contentful(query="a=1&b=%20x")
    verifier.verify(request)
    assert refusal(verifier, request._replace(query="a=1&b=%20y")) == "signature"
    assert refusal(verifier, request._replace(query="a=1?b")) == "document"
    odd = request._replace(path="/a-_.!~*'();/:@&=+$,#é")
    text = b"/a-_.!~*'();/:@&=+$,#%C3%A9?a=1&b=%2520x"
    assert _path(odd._replace(query="a=1&b=x")).startswith(text.partition(b"?")[0])
    hidden = with_headers(request, (b"x-contentful-signed-headers", b"x-contentful-topic;x-contentful-topic:"))
    assert reason_of(lambda: verifier.verify(hidden)) in ("missing", "document")
    moved = with_headers(request, (b"x-contentful-timestamp", b"1;x-contentful-topic:t"))
    assert refusal(verifier, moved) == "document"


@pytest.mark.parametrize("left_out", OURS[:2])
def test_contentful_refuses_a_signature_that_does_not_cover_what_counts(left_out):
    verifier, request = contentful()
    names = [name for name in OURS if name != left_out]
    assert refusal(verifier, signed_over(verifier, request, *names)) == "unsigned"


# Certificates

URL = "https://certs.example/1.pem"
BEGINS, ENDS = NOW - 86_400, NOW + 86_400


def valid_certificate():
    return Published(certify(RSA, NOW * 1000))


@pytest.mark.parametrize(
    ("at", "valid"), [(BEGINS - 1, False), (BEGINS, True), (NOW, True), (ENDS, True), (ENDS + 1, False)]
)
def test_a_certificate_is_valid_from_its_first_to_its_last_second(at, valid):
    request = make_request(received_at=at * 1000)
    keys = {KeyRef(URL): valid_certificate()}
    if valid:
        assert (found := find_certificate(URL, request, keys)).begins <= at <= found.ends
    else:
        assert reason_of(lambda: find_certificate(URL, request, keys)) == "certificate"


def test_a_certificate_that_is_not_at_hand_is_asked_for_and_one_that_is_none_is_refused():
    assert find_certificate(URL, make_request(), {}) == NeedsKey(KeyRef(URL))
    for document in (b"no certificate", b"", made_certificate(rsa.generate_private_key(65537, 1024)), EC):
        keys = {KeyRef(URL): Published(document)}
        assert reason_of(lambda keys=keys: find_certificate(URL, make_request(), keys)) == "certificate"


def made_certificate(key):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    day = dt.datetime.fromtimestamp(NOW, dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, day, day + dt.timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_only_rsa_of_2048_bits_and_more_makes_a_certificate_that_counts():
    assert read_certificate(made_certificate(ec.generate_private_key(ec.SECP256R1()))) is None
    assert read_certificate(made_certificate(rsa.generate_private_key(65537, 1024))) is None
    assert read_certificate(made_certificate(rsa.generate_private_key(65537, 2048))) is not None


def test_a_certificate_with_a_strange_number_is_read_without_a_warning():
    strict = x509.load_pem_x509_certificate(certify(RSA, NOW * 1000)).public_bytes(serialization.Encoding.DER)
    odd = strict.replace(b"\xa0\x03\x02\x01\x02\x02\x01\x01", b"\xa0\x03\x02\x01\x02\x02\x01\x00", 1)
    assert odd != strict
    pem = b"-----BEGIN CERTIFICATE-----\n" + b64encode(odd) + b"\n-----END CERTIFICATE-----\n"
    assert read_certificate(pem) is not None


@pytest.mark.parametrize("digest", ["sha1", "sha256"])
def test_a_signature_counts_for_its_text_and_its_digest_only(digest):
    certificate = read_certificate(certify(RSA, NOW * 1000))
    signature = sign_by(RSA, b"text", digest)
    assert is_signed_by(certificate, signature, b"text", digest)
    assert not is_signed_by(certificate, signature, b"test", digest)
    assert not is_signed_by(certificate, b"", b"text", digest)
    assert not is_signed_by(certificate, signature, b"text", {"sha1": "sha256", "sha256": "sha1"}[digest])


def test_a_trial_with_another_kind_of_key_is_refused():
    with pytest.raises(ValueError, match="RSA"):
        sign_by(EC, b"text", "sha256")


# What is signed by keys that are fetched


TOPIC = "arn:aws:sns:us-east-1:123456789012:orders"
NOTIFICATION = {"Type": "Notification", "MessageId": "m", "TopicArn": TOPIC, "Message": "x", "Timestamp": "t"}
FETCHED = {
    "sns": (Sns, b"", {"topics": [TOPIC]}, json.dumps(NOTIFICATION), RSA),
    "paypal": (Paypal, b"", {"webhook_id": "1JE4291016473214C"}, "{}", RSA),
    "plaid": (Plaid, b"plaid-secret-0123456789abcdef", {"client_id": "5f0c1d2e3b4a59687f6e5d4c"}, "{}", EC),
}


class Signed:
    """A verifier, a request that it takes, and the keys for that."""

    def __init__(self, scheme):
        kind, secret, options, body, private = FETCHED[scheme]
        self.verifier = make_verifier(kind, secret, **options)
        self.request, published = self.verifier.sign_with(make_request(body), private)
        self.keys = {ref: Published(document) for ref, document in published.items()}

    def refusal(self, request=None, keys=None):
        chosen = self.keys if keys is None else keys
        return reason_of(lambda: self.verifier.verify_with(request or self.request, chosen))

    def body(self, **changes):
        return self.request._replace(body=json.dumps({**json.loads(self.request.body), **changes}).encode())


@pytest.mark.parametrize("scheme", FETCHED)
def test_what_is_signed_for_a_trial_is_taken_by_its_published_key_and_asks_for_it(scheme):
    signed = Signed(scheme)
    signed.verifier.verify_with(signed.request, signed.keys)
    assert signed.verifier.verify_with(signed.request, {}) == NeedsKey(next(iter(signed.keys)))
    with pytest.raises(VerificationError):
        signed.verifier.verify(signed.request)
    with pytest.raises(ValueError, match="has the key that signs"):
        signed.verifier.sign(signed.request)


@pytest.mark.parametrize("scheme", ["sns", "paypal"])
def test_a_scheme_by_certificate_takes_no_secret(scheme):
    kind, _, options, _, _ = FETCHED[scheme]
    with pytest.raises(ValueError, match="remove secret"):
        make_verifier(kind, KEY, **options)


@pytest.mark.parametrize("scheme", ["sns", "paypal"])
def test_a_signature_by_another_certificate_is_refused(scheme):
    signed = Signed(scheme)
    other = {ref: Published(certify(private_key("RS256"), NOW * 1000)) for ref in signed.keys}
    assert signed.refusal(keys=other) == "signature"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Message": "y"}, "signature"),
        ({"Message": None}, "missing"),
        ({"Message": 7}, "missing"),
        ({"TopicArn": TOPIC + "x"}, "topic"),
        ({"Type": "Other"}, "type"),
        ({"Type": 7}, "type"),
        ({"MessageId": "a\nb"}, "document"),
        ({"Subject": "a\nb"}, "document"),
        ({"Subject": "not signed"}, "signature"),
        ({"SignatureVersion": "3"}, "algorithm"),
        ({"SignatureVersion": "1"}, "signature"),
        ({"SignatureVersion": None}, "missing"),
        ({"SigningCertURL": "https://evil.example/x.pem"}, "certificate_url"),
        ({"SigningCertURL": None}, "missing"),
        ({"Signature": "no base64"}, "signature"),
        ({"Signature": "\N{EURO SIGN}"}, "signature"),
        ({"Signature": None}, "missing"),
    ],
)
def test_sns_refuses_a_message_for_its_reason(changes, reason):
    signed = Signed("sns")
    assert signed.refusal(signed.body(**changes)) == reason


def test_sns_takes_a_message_with_line_ends_and_refuses_what_is_no_object():
    verifier = Signed("sns").verifier
    request, published = verifier.sign_with(make_request(json.dumps({**NOTIFICATION, "Message": "a\nb\n"})), RSA)
    verifier.verify_with(request, {ref: Published(document) for ref, document in published.items()})
    signed = Signed("sns")
    assert signed.refusal(signed.request._replace(body=b"[]")) == "document"
    assert signed.refusal(signed.request._replace(body=b"{")) == "document"


def test_sns_takes_questions_of_both_kinds_and_no_key_that_stands_twice():
    verifier = Signed("sns").verifier
    for kind in ("SubscriptionConfirmation", "UnsubscribeConfirmation"):
        asked = {**NOTIFICATION, "Type": kind, "SubscribeURL": "https://sns.us-east-1.amazonaws.com/", "Token": "t"}
        request, published = verifier.sign_with(make_request(json.dumps(asked)), RSA)
        verifier.verify_with(request, {ref: Published(document) for ref, document in published.items()})
    signed = Signed("sns")
    for name in json.loads(signed.request.body):
        again = signed.request.body[:-1] + b',"%s":"x"}' % name.encode()
        assert signed.refusal(signed.request._replace(body=again)) == "document", name


def test_a_scheme_says_with_which_kind_of_key_a_trial_signs():
    assert [Signed(scheme).verifier.keyed for scheme in FETCHED] == ["RS256", "RS256", "ES256"]


@pytest.mark.parametrize("topic", ["orders", TOPIC + " ", "arn:aws:sqs:us-east-1:123456789012:orders", "x" + TOPIC])
def test_sns_is_configured_by_whole_names_of_topics(topic):
    with pytest.raises(ValueError, match="no ARN of a topic"):
        make_verifier(Sns, b"", topics=[TOPIC, topic])


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (b"paypal-transmission-id", b"other", "signature"),
        (b"paypal-transmission-id", b"a|b", "document"),
        (b"paypal-transmission-time", b"2027-01-01T00:00:00Z", "signature"),
        (b"paypal-auth-algo", b"SHA1withRSA", "algorithm"),
        (b"paypal-cert-url", b"https://evil.example/v1/notifications/certs/CERT", "certificate_url"),
        (b"paypal-cert-url", b"https://api.paypal.com/v1/notifications/certs/" + b"x" * 129, "certificate_url"),
        (b"paypal-cert-url", b"https://api.paypal.com/v1/notifications/certs/\xff", "certificate_url"),
        (b"paypal-transmission-sig", b"no base64", "signature"),
        (b"paypal-transmission-sig", b"AAAA", "signature"),
        (b"paypal-transmission-sig", b"", "empty"),
    ],
)
def test_paypal_refuses_a_header_for_its_reason(name, value, reason):
    signed = Signed("paypal")
    assert signed.refusal(with_headers(signed.request, (name, value))) == reason


def test_paypals_sample_has_an_id_of_its_body_and_a_time():
    request = Signed("paypal").request
    assert request.header(b"paypal-transmission-id") == b"trial-%d" % zlib.crc32(request.body)
    assert request.header(b"paypal-transmission-time") == b"2026-01-01T00:00:00Z"


def test_paypal_signs_the_id_and_time_that_are_there_and_those_of_the_sandbox_apart():
    verifier = make_verifier(Paypal, b"", webhook_id="1JE4291016473214C", sandbox=True)
    request, published = verifier.sign_with(make_request("{}", paypal_transmission_id="t1"), RSA)
    assert (request.header(b"paypal-transmission-id"), [ref.url for ref in published]) == (
        b"t1",
        ["https://api.sandbox.paypal.com/v1/notifications/certs/CERT-trial"],
    )
    keys = {ref: Published(document) for ref, document in published.items()}
    verifier.verify_with(request, keys)
    assert reason_of(lambda: Signed("paypal").verifier.verify_with(request, keys)) == "certificate_url"


def plaid_answer(signed, **changes):
    ((ref, published),) = signed.keys.items()
    answer = json.loads(published.document)
    return {ref: Published(json.dumps({**answer, "key": {**answer["key"], **changes}}).encode())}


def test_plaid_is_asked_by_account_and_key():
    ((ref, _),) = Signed("plaid").keys.items()
    assert ref.url == "https://production.plaid.com/webhook_verification_key/get"
    assert json.loads(ref.body) == {
        "client_id": "5f0c1d2e3b4a59687f6e5d4c",
        "secret": "plaid-secret-0123456789abcdef",
        "key_id": "trial",
    }


def test_plaids_secret_must_be_fit_and_its_key_called_as_plaid_does():
    for secret in (b"short", KEY + b"\n", b"s" * 23):
        with pytest.raises(ValueError, match="secret"):
            make_verifier(Plaid, secret, client_id="5f0c1d2e3b4a59687f6e5d4c")
    signed = Signed("plaid")
    token = jwt.encode({"iat": NOW}, EC, "ES256", headers={"kid": "no such/name"})
    request = with_headers(signed.request, (b"plaid-verification", token.encode()))
    assert signed.refusal(request, keys={}) == "key_id", "nothing is asked for it"


def test_a_trial_publishes_what_plaids_api_would_answer():
    answer = json.loads(next(iter(Signed("plaid").keys.values())).document)
    assert answer["request_id"] == "trial"
    assert (
        answer["key"].items()
        >= {"kid": "trial", "use": "sig", "alg": "ES256", "crv": "P-256", "expired_at": None}.items()
    )


def test_a_key_of_plaids_counts_until_it_expires():
    signed = Signed("plaid")
    for expires, taken in ((NOW, True), (NOW - 1, False), (None, True), (NOW + 0.5, True)):
        keys = plaid_answer(signed, expired_at=expires)
        if taken:
            signed.verifier.verify_with(signed.request, keys)
        else:
            assert signed.refusal(keys=keys) == "key_id"


@pytest.mark.parametrize("document", [b"", b"[]", b'{"key": 7}', b"{}"])
def test_an_answer_of_plaids_without_the_key_is_no_key(document):
    signed = Signed("plaid")
    assert signed.refusal(keys={ref: Published(document) for ref in signed.keys}) == "key_id"
    assert signed.refusal(keys=plaid_answer(signed, kid="other")) == "key_id"
