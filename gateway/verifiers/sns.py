"""Scheme `sns`: messages of Amazon SNS, signed over a list of their fields by a certificate that each names.

Amazon signs for every customer with the same key, so that a topic must be listed: else anybody with an account could
subscribe this address to a topic of his own. The address of the certificate counts only if it is Amazon's own.
Source: docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import orjson
from pydantic import Field

from gateway.plugin import (
    ENCODERS,
    NO_KEYS,
    KeyRef,
    Keys,
    NeedsKey,
    Options,
    Proof,
    Request,
    VerificationError,
    decode_base64,
    proven,
    verifier,
)
from gateway.verifiers.certificates import certify, find_certificate, is_signed_by, sign_by
from gateway.verifiers.places import read_json

_NOTIFICATION: Final = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION: Final = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "Notification": _NOTIFICATION,
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}
_OPTIONAL: Final = "Subject"
_DIGESTS: Final[Mapping[str, str]] = {"1": "sha1", "2": "sha256"}
_READ: Final = tuple(
    ((name,),) for name in {*_NOTIFICATION, *_CONFIRMATION, "Signature", "SignatureVersion", "SigningCertURL"}
)
# A region, not any label: "sns.s3.amazonaws.com" would be somebody's bucket.
_CERTIFICATE: Final = re.compile(
    r"https://sns\.[a-z]{2}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2}\.amazonaws\.com(?:\.cn)?/"
    r"SimpleNotificationService-[0-9A-Za-z]{1,64}\.pem"
)
_TRIAL_CERTIFICATE: Final = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem"


class SnsOptions(Options):
    """Which topics may speak."""

    topics: tuple[str, ...] = Field(min_length=1, examples=[["arn:aws:sns:us-east-1:123456789012:orders"]])
    """The topics, by their whole ARN; messages of others are refused, however well they are signed."""


@verifier(SnsOptions, needs_secret=False)
class Sns:
    """A message of a listed topic. Raises ValueError for a secret, and for what is no ARN of a topic."""

    keyed: ClassVar[str] = "RS256"

    def __init__(self, options: SnsOptions, secret: bytes) -> None:
        if secret:
            raise ValueError("scheme sns has no secret: the certificate is Amazon's; remove secret")
        for topic in options.topics:
            if not re.fullmatch(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]{1,256}", topic):
                raise ValueError(f"topics: {topic[:300]!r} is no ARN of a topic: copy it from the SNS console, whole")
        self._topics = frozenset(options.topics)

    def verify(self, request: Request) -> Proof:
        """Refuse: no certificate is at hand."""
        return proven(self.verify_with(request, NO_KEYS))

    def verify_with(self, request: Request, keys: Keys) -> Proof | NeedsKey:
        """Prove topic, address of the certificate, certificate and signature, in this order."""
        message = read_json(request.body, _READ)
        if not isinstance(message, dict):
            raise VerificationError("document", "the body is no JSON object")
        text = _signed_text(message)
        if message["TopicArn"] not in self._topics:
            raise VerificationError("topic", f"topic {message['TopicArn'][:300]!r} is not in topics")
        digest = _DIGESTS.get(_text(message, "SignatureVersion"))
        if digest is None:
            raise VerificationError("algorithm", "SignatureVersion is neither 1 nor 2")
        address = _text(message, "SigningCertURL")
        if not _CERTIFICATE.fullmatch(address):
            raise VerificationError("certificate_url", f"{address[:300]!r} is no certificate of Amazon SNS")
        certificate = find_certificate(address, request, keys)
        if isinstance(certificate, NeedsKey):
            return certificate
        if not is_signed_by(certificate, _signature(message), text, digest):
            raise VerificationError("signature", "the message is not signed by its certificate")
        return Proof()

    def sign(self, request: Request) -> Request:  # noqa: ARG002 - the contract's name
        """Refuse: only Amazon has the key."""
        raise ValueError("only Amazon has the key that signs: publish to the topic instead")

    def sign_with(self, request: Request, private: bytes) -> tuple[Request, Mapping[KeyRef, bytes]]:
        """Sign the body's fields with `private` by SignatureVersion 2."""
        message = {**orjson.loads(request.body), "SignatureVersion": "2", "SigningCertURL": _TRIAL_CERTIFICATE}
        signature = sign_by(private, _signed_text(message), "sha256")
        message["Signature"] = ENCODERS["base64"](signature).decode()
        certificate = certify(private, request.received_at)
        return request._replace(body=orjson.dumps(message)), {KeyRef(_TRIAL_CERTIFICATE): certificate}


def _signed_text(message: Mapping[str, Any]) -> bytes:
    """Write the signed fields. Only `Message`, which stands first, may hold a line end: so no border can be moved."""
    kind = message.get("Type")
    names = _FIELDS.get(kind) if isinstance(kind, str) else None
    if names is None:
        raise VerificationError("type", "Type is none that SNS sends")
    lines: list[str] = []
    for name in names:
        if name == _OPTIONAL and message.get(name) is None:
            continue
        value = _text(message, name)
        if "\n" in value and name != "Message":
            raise VerificationError("document", f"{name} holds a line end")
        lines += (name, value)
    return "".join(f"{line}\n" for line in lines).encode()


def _text(message: Mapping[str, Any], name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str):
        raise VerificationError("missing", f"{name} is missing or no text")
    return value


def _signature(message: Mapping[str, Any]) -> bytes:
    try:
        return decode_base64(_text(message, "Signature").encode("ascii"))
    except ValueError:
        raise VerificationError("signature", "Signature is no base64") from None
