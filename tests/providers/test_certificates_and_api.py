"""SNS, PayPal, Plaid and key sets, through the real receiver: what a stranger could try with genuine means."""

import hashlib
import json
import zlib
from base64 import b64encode

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from gateway.cli.made_up import private_key
from gateway.core.model import Request
from gateway.core.published import KeyRef
from gateway.verifiers.certificates import certify

TOPIC = "arn:aws:sns:us-east-1:123456789012:orders"
CERTIFICATE = "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem"
RSA = private_key("RS256")
EC = private_key("ES256")


def signature(text, digest):
    key = serialization.load_pem_private_key(RSA, password=None)
    return b64encode(key.sign(text.encode(), padding.PKCS1v15(), digest)).decode()


def post(door, body, headers=()):
    return door.post(Request("POST", door.source.path, "", headers, body, "192.0.2.7", door.runtime.now_ms()))


def sns(version="2", **changes):
    """Write a message as Amazon's page tells, not by our own code."""
    message = {
        "Type": "Notification",
        "MessageId": "m1",
        "TopicArn": TOPIC,
        "Subject": "Order",
        "Message": '{"order": 7}',
        "Timestamp": "2026-01-01T00:00:00.000Z",
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE,
        **changes,
    }
    message = {name: value for name, value in message.items() if value is not None}
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    if message["Type"] != "Notification":
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{message[name]}\n" for name in names if name in message)
    message["Signature"] = signature(text, hashes.SHA1() if version == "1" else hashes.SHA256())
    return message


async def send_sns(door, message, at=CERTIFICATE):
    door.published[KeyRef(at)] = certify(RSA, door.runtime.now_ms())
    return await post(door, json.dumps(message).encode())


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", ["Order", None])
async def test_sns_is_taken_by_both_signature_versions_with_and_without_a_subject(open_door, version, subject):
    async with open_door("aws_sns") as door:
        assert await send_sns(door, sns(version, Subject=subject)) == 200
        (event,) = await door.events()
        assert event.type == f"Notification.{TOPIC}"


@pytest.mark.parametrize(
    "changed",
    [
        {"Message": "{}"},
        {"MessageId": "m2"},
        {"Subject": "Other"},
        {"Timestamp": "2027-01-01T00:00:00.000Z"},
        {"Type": "UnsubscribeConfirmation"},
        {"Type": "Other"},
        {"SignatureVersion": "3"},
        {"SignatureVersion": 2},
        {"Signature": "AAAA"},
        {"Message": None},
    ],
)
async def test_sns_refuses_whatever_was_changed_after_signing(open_door, changed):
    async with open_door("aws_sns") as door:
        assert await send_sns(door, {**sns(), **changed}) == 401
        assert await door.events() == []


async def test_sns_refuses_another_topic_however_well_it_is_signed_and_fetches_nothing_for_it(open_door):
    async with open_door("aws_sns") as door:
        assert await send_sns(door, sns(TopicArn="arn:aws:sns:us-east-1:999999999999:orders")) == 401
        assert door.ring._entries == {}


async def test_sns_lets_no_border_between_fields_be_moved(open_door):
    async with open_door("aws_sns") as door:
        genuine = sns(Message="a\nMessageId\nb", MessageId="m1")
        moved = {**genuine, "Message": "a", "MessageId": "b\nMessageId\nm1"}
        assert await send_sns(door, moved) == 401
        assert await send_sns(door, genuine) == 200


@pytest.mark.parametrize(
    "address",
    [
        "http://sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem",
        "https://sns.s3.amazonaws.com/SimpleNotificationService-0.pem",
        "https://sns.s3-us-west-2.amazonaws.com/SimpleNotificationService-0.pem",
        "https://sns.us-east-1.amazonaws.com.evil.example/SimpleNotificationService-0.pem",
        "https://evil.example/sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem",
        "https://sns.us-east-1.amazonaws.com@evil.example/SimpleNotificationService-0.pem",
        "https://sns.us-east-1.amazonaws.com:444/SimpleNotificationService-0.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem?x=.pem",
        "https://sns.us-east-1.amazonaws.com/../SimpleNotificationService-0.pem",
        "https://sns.us-east-1.amazonaws.com/other.pem",
        CERTIFICATE + "\n",
    ],
)
async def test_sns_believes_certificates_of_amazons_own_addresses_only(open_door, address):
    async with open_door("aws_sns") as door:
        assert await send_sns(door, sns(SigningCertURL=address), address) == 401
        assert door.ring._entries == {}


def confirmation(**changes):
    address = "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
    asked = {"Type": "SubscriptionConfirmation", "Subject": None, "Token": "t", "SubscribeURL": address, **changes}
    return sns(**asked)


async def test_a_subscription_is_confirmed_by_a_visit_after_verification_and_makes_no_event(open_door):
    async with open_door("aws_sns") as door:
        message = confirmation()
        assert await send_sns(door, {**message, "Token": "other"}) == 401
        assert door.visited == []
        assert await send_sns(door, message) == 200
        assert (door.visited, await door.events()) == ([message["SubscribeURL"]], [])


@pytest.mark.parametrize(
    "address", ["http://sns.us-east-1.amazonaws.com/", "https://evil.example/", "https://sns.a.b.amazonaws.com/", ""]
)
async def test_no_other_host_is_visited_even_if_the_question_is_signed(open_door, address):
    async with open_door("aws_sns") as door:
        assert await send_sns(door, confirmation(SubscribeURL=address)) == 400
        assert await send_sns(door, confirmation(TopicArn="arn:aws:sns:us-east-1:999999999999:x")) == 401
        assert door.visited == []


async def test_a_certificate_that_cannot_be_had_is_our_trouble(open_door):
    async with open_door("aws_sns") as door:
        assert await post(door, json.dumps(sns()).encode()) == 503


@pytest.mark.parametrize("document", [certify(RSA, 0), b"no certificate", b""])
async def test_a_certificate_that_is_over_or_is_none_is_refused(open_door, document):
    async with open_door("aws_sns") as door:
        door.published[KeyRef(CERTIFICATE)] = document
        assert await post(door, json.dumps(sns()).encode()) == 401


PAYPAL = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1d93a270"


def paypal(body, webhook="1JE4291016473214C", **changes):
    time = "2026-01-01T00:00:00Z"
    signed = f"t1|{time}|{webhook}|{zlib.crc32(body)}"
    headers = {
        "transmission-id": "t1",
        "transmission-time": time,
        "transmission-sig": signature(signed, hashes.SHA256()),
        "cert-url": PAYPAL,
        "auth-algo": "SHA256withRSA",
        **changes,
    }
    return tuple((b"paypal-" + name.encode(), value.encode()) for name, value in headers.items())


async def send_paypal(door, body, headers):
    for address in (PAYPAL, PAYPAL.replace("api.", "api.sandbox."), "https://evil.example/v1/notifications/certs/C"):
        door.published[KeyRef(address)] = certify(RSA, door.runtime.now_ms())
    return await post(door, body, headers)


BODY = b'{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED","event_version":"1.0"}'


async def test_paypal_is_taken_as_its_page_tells_to_verify_it(open_door):
    async with open_door("paypal") as door:
        assert await send_paypal(door, BODY, paypal(BODY)) == 200
        assert [row.type for row in await door.events()] == ["PAYMENT.CAPTURE.COMPLETED"]


@pytest.mark.parametrize(
    "headers",
    [
        paypal(b"{}"),
        paypal(BODY, "8AB4291016473214C"),
        paypal(BODY, **{"transmission-id": "t2"}),
        paypal(BODY, **{"transmission-time": "2027-01-01T00:00:00Z"}),
        paypal(BODY, **{"auth-algo": "SHA1withRSA"}),
        paypal(BODY, **{"cert-url": "https://evil.example/v1/notifications/certs/C"}),
        paypal(BODY, **{"cert-url": PAYPAL.replace("api.", "api.sandbox.")}),
        paypal(BODY, **{"cert-url": PAYPAL + "/../../x"}),
        paypal(BODY, **{"cert-url": PAYPAL.replace("https", "http")}),
        paypal(BODY)[1:],
        (*paypal(BODY), (b"paypal-cert-url", PAYPAL.encode())),
    ],
)
async def test_paypal_refuses_another_body_webhook_header_or_certificate(open_door, headers):
    async with open_door("paypal") as door:
        assert await send_paypal(door, BODY, headers) == 401
        assert await door.events() == []


async def test_another_body_with_the_same_checksum_is_held_as_a_conflict(open_door):
    async with open_door("paypal") as door:
        headers = paypal(BODY)
        forged = with_checksum(BODY.replace(b"WH-1", b"WH-2")[:-1], zlib.crc32(BODY))
        assert await send_paypal(door, BODY, headers) == 200
        assert await send_paypal(door, forged, headers) == 200
        assert sorted(str(row.hold) for row in await door.events()) == ["None", "conflict"]


def with_checksum(begun, wanted):
    """Give a document that begins so and has that CRC-32: which of 64 digits are 1 is a linear equation."""
    digits = bytearray(b"0" * 64)

    def checksum():
        return zlib.crc32(begun + b',"x":"' + digits + b'"}')

    start, basis = checksum(), {}
    for place in range(64):
        digits[place] ^= 1
        change, places = checksum() ^ start, {place}
        digits[place] ^= 1
        while change and change.bit_length() in basis:
            other, more = basis[change.bit_length()]
            change, places = change ^ other, places ^ more
        if change:
            basis[change.bit_length()] = (change, places)
    missing = start ^ wanted
    while missing:
        change, places = basis[missing.bit_length()]
        missing ^= change
        for place in places:
            digits[place] ^= 1
    return begun + b',"x":"' + bytes(digits) + b'"}'


def plaid(door, body, key=EC, **changes):
    kid = "bfbd5111-8e33-4643-8ced-b2e642a72f3c"
    claims = {"iat": door.runtime.now_ms() // 1000, "request_body_sha256": hashlib.sha256(body).hexdigest(), **changes}
    token = jwt.encode(claims, key, "ES256", headers={"kid": kid})
    asked = {"client_id": "5f0c1d2e3b4a59687f6e5d4c", "secret": door.secret, "key_id": kid}
    ref = KeyRef(
        "https://production.plaid.com/webhook_verification_key/get", json.dumps(asked).replace(" ", "").encode()
    )
    return ref, ((b"plaid-verification", token.encode()),)


def api_answer(**changes):
    public = serialization.load_pem_private_key(EC, password=None).public_key()
    key = jwt.get_algorithm_by_name("ES256").to_jwk(public, as_dict=True)
    kid = "bfbd5111-8e33-4643-8ced-b2e642a72f3c"
    told = {**key, "kid": kid, "alg": "ES256", "use": "sig", "created_at": 1560466143, "expired_at": None, **changes}
    return json.dumps({"key": told, "request_id": "r"}).encode()


@pytest.fixture
def plaid_door(open_door):
    def opened():
        return open_door("plaid", b"plaid-secret-0123456789abcdef")

    return opened


@pytest.mark.parametrize(
    ("answer", "changes", "status"),
    [
        ({}, {}, 200),
        ({"expired_at": 4_000_000_000}, {}, 200),
        ({"expired_at": 1_600_000_000}, {}, 401),
        ({"kid": "another"}, {}, 401),
        ({"alg": "ES384"}, {}, 401),
        ({}, {"request_body_sha256": "00" * 32}, 401),
        ({}, {"iat": 1_600_000_000}, 401),
    ],
)
async def test_plaid_is_taken_by_the_key_that_its_api_gives_for_this_body_and_moment(
    plaid_door, answer, changes, status
):
    async with plaid_door() as door:
        door.secret = "plaid-secret-0123456789abcdef"
        body = b'{\n  "webhook_type": "ITEM",\n  "webhook_code": "ERROR"\n}'
        ref, headers = plaid(door, body, **changes)
        door.published[ref] = api_answer(**answer)
        assert await post(door, body, headers) == status
        assert await post(door, body + b" ", headers) == 401
        assert len(await door.events()) == (status == 200)


async def test_a_users_own_token_of_kinde_is_no_webhook(open_door):
    async with open_door("kinde") as door:
        genuine = {"type": "user.created", "event_id": "e1", "timestamp": "2026-01-01T00:00:00Z"}
        for missing in genuine:
            claims = {name: value for name, value in genuine.items() if name != missing}
            request = Request("POST", door.source.path, "", (), json.dumps(claims).encode(), "", door.runtime.now_ms())
            assert await door.post(door.sign(request)) == 401


@pytest.mark.parametrize("claim", ["email", "aud", "iss", "email_verified"])
async def test_a_push_of_another_service_account_or_audience_is_refused(open_door, claim):
    async with open_door("gcp_pubsub_push") as door:
        request = Request("POST", door.source.path, "", (), b'{"subscription":"s"}', "", door.runtime.now_ms())
        signed = door.sign(request)
        assert await door.post(signed) == 204
        token = dict(signed.headers)[b"authorization"].removeprefix(b"Bearer ")
        claims = {**jwt.decode(token, options={"verify_signature": False}), claim: "another"}
        wrong = jwt.encode(claims, door.private, "RS256", headers={"kid": "trial"})
        assert await door.post(request._replace(headers=((b"authorization", f"Bearer {wrong}".encode()),))) == 401
