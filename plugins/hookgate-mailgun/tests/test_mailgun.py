import hashlib
import hmac

import pytest
from hookgate_mailgun import Mailgun, MailgunOptions

from gateway.plugin import Request, VerificationError
from gateway.testing import check_verifier

KEY = b"key-0f3c6b1d9a7e4c52"
NOW = 1_700_000_000_000


def request(body):
    return Request("POST", "/hooks/mail", "", ((b"content-type", b"application/json"),), body, "192.0.2.1", NOW)


def signed(timestamp="1700000000", token="t" * 50, key=KEY):
    mac = hmac.new(key, (timestamp + token).encode(), hashlib.sha256).hexdigest()
    return request(
        b'{"signature":{"timestamp":"%s","token":"%s","signature":"%s"}}'
        % (timestamp.encode(), token.encode(), mac.encode())
    )


def test_a_signature_made_as_the_provider_describes_it_is_taken():
    assert Mailgun.build(MailgunOptions(), KEY).verify(signed())


@pytest.mark.parametrize(
    "wrong",
    [
        signed(key=b"another-key-of-20-bytes"),
        signed(timestamp="1600000000"),
        signed(timestamp="x"),
        request(b"{}"),
        request(b"[1]"),
        request(b'{"signature": 5}'),
        request(b'{"signature": {"timestamp": 1, "token": 2, "signature": 3}}'),
        request(b"no json"),
    ],
)
def test_anything_else_is_refused(wrong):
    with pytest.raises(VerificationError):
        Mailgun.build(MailgunOptions(), KEY).verify(wrong)


def test_it_keeps_the_contract_of_verifiers():
    check_verifier(
        Mailgun, {}, KEY, request(b'{"event": "opened"}'), other_secret=b"another-key-of-20-bytes", covers_body=False
    )
