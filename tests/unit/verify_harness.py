"""What the tests of verification share: a request, a verifier by its options, and the reason of a refusal."""

import json

import pytest

from gateway.plugin import Request, VerificationError

NOW = 1_649_367_553
"""Seconds since 1970 at which the requests of these tests arrive: the time of the Standard Webhooks vector."""

KEY = b"k3y-of-32-bytes-for-these-tests!"


def make_request(body=b'{"id":1}', *, query="", received_at=NOW * 1000, method="POST", **headers):
    pairs = [(name.replace("_", "-").lower().encode(), as_bytes(value)) for name, value in headers.items()]
    return Request(method, "/hooks/x", query, ((b"host", b"gateway"), *pairs), as_bytes(body), "192.0.2.1", received_at)


def with_headers(request, *pairs):
    """Give `request` with the headers of `pairs` in the place of those of the same name; a pair may stand twice."""
    names = {name for name, _ in pairs}
    kept = [pair for pair in request.headers if pair[0] not in names]
    return request._replace(headers=(*kept, *pairs))


def as_bytes(value):
    return value if isinstance(value, bytes) else str(value).encode()


def make_verifier(kind, secret=KEY, **options):
    """Build a verifier from options as the configuration gives them: strictly, from JSON."""
    return kind.build(kind.options.model_validate_json(json.dumps(options), strict=True), secret)


def refusal(verifier, request, status=401):
    """Give the reason code with which `request` is refused."""
    with pytest.raises(VerificationError) as caught:
        verifier.verify(request)
    assert caught.value.status == status
    return caught.value.reason
