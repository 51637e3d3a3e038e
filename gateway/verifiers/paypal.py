"""Scheme `paypal`: headers signed by a certificate that one of them names, with a CRC-32 in the body's place.

The checksum is no hash: whoever sees one request can make another body that has it. So the signed transmission id is
what tells one event from another, and another body under a known id is a conflict, which is held.
Source: developer.paypal.com/api/rest/webhooks/rest ("Message verification by PayPal")
"""

import re
import zlib
from collections.abc import Mapping
from typing import ClassVar, Final

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
from gateway.verifiers.places import only_header, with_header

_ID: Final = b"paypal-transmission-id"
_TIME: Final = b"paypal-transmission-time"
_SIGNATURE: Final = b"paypal-transmission-sig"
_ADDRESS: Final = b"paypal-cert-url"
_ALGORITHM: Final = b"paypal-auth-algo"
_HOSTS: Final[Mapping[bool, str]] = {False: "api.paypal.com", True: "api.sandbox.paypal.com"}
_NAME: Final = re.compile(r"[0-9A-Za-z_-]{1,128}")


class PaypalOptions(Options):
    """Which webhook is meant."""

    webhook_id: str = Field(pattern=r"^[0-9A-Za-z_-]{8,64}$", examples=["1JE4291016473214C"])
    """The webhook's id, as PayPal's dashboard shows it: messages to another webhook are refused."""
    sandbox: bool = False
    """True for a webhook of the sandbox, whose certificates are elsewhere."""


@verifier(PaypalOptions, needs_secret=False)
class Paypal:
    """A message for one webhook. Raises ValueError for a secret."""

    keyed: ClassVar[str] = "RS256"

    def __init__(self, options: PaypalOptions, secret: bytes) -> None:
        if secret:
            raise ValueError("scheme paypal has no secret: the certificate is PayPal's; remove secret")
        self._webhook = options.webhook_id.encode()
        self._base = f"https://{_HOSTS[options.sandbox]}/v1/notifications/certs/"

    def verify(self, request: Request) -> Proof:
        """Refuse: no certificate is at hand."""
        return proven(self.verify_with(request, NO_KEYS))

    def verify_with(self, request: Request, keys: Keys) -> Proof | NeedsKey:
        """Prove address of the certificate, certificate and signature, in this order."""
        text = self._signed_text(request)
        if only_header(request, _ALGORITHM) != b"SHA256withRSA":
            raise VerificationError("algorithm", "paypal-auth-algo is not SHA256withRSA")
        address = only_header(request, _ADDRESS).decode("ascii", "replace")
        if not address.startswith(self._base) or not _NAME.fullmatch(address[len(self._base) :]):
            raise VerificationError("certificate_url", f"{address[:300]!r} is no certificate at {self._base}")
        try:
            signature = decode_base64(only_header(request, _SIGNATURE))
        except ValueError:
            raise VerificationError("signature", "paypal-transmission-sig is no base64") from None
        certificate = find_certificate(address, request, keys)
        if isinstance(certificate, NeedsKey):
            return certificate
        if not is_signed_by(certificate, signature, text, "sha256"):
            raise VerificationError(
                "signature", "the headers are not signed by the certificate, or for another webhook"
            )
        return Proof()

    def sign(self, request: Request) -> Request:  # noqa: ARG002 - the contract's name
        """Refuse: only PayPal has the key."""
        raise ValueError("only PayPal has the key that signs: use the webhook simulator of its dashboard")

    def sign_with(self, request: Request, private: bytes) -> tuple[Request, Mapping[KeyRef, bytes]]:
        """Sign with `private`; a transmission id and time are written if there are none."""
        usual = {_ID: b"trial-%d" % zlib.crc32(request.body), _TIME: b"2026-01-01T00:00:00Z"}
        for name, value in usual.items():
            if request.header(name) is None:
                request = with_header(request, name, value)
        signature = ENCODERS["base64"](sign_by(private, self._signed_text(request), "sha256"))
        address = f"{self._base}CERT-trial"
        for name, value in ((_ALGORITHM, b"SHA256withRSA"), (_ADDRESS, address.encode()), (_SIGNATURE, signature)):
            request = with_header(request, name, value)
        return request, {KeyRef(address): certify(private, request.received_at)}

    def _signed_text(self, request: Request) -> bytes:
        parts = [only_header(request, _ID), only_header(request, _TIME), self._webhook]
        if any(b"|" in part for part in parts):
            raise VerificationError("document", "a signed header holds the text that separates them")
        return b"|".join([*parts, b"%d" % zlib.crc32(request.body)])
