"""Verification scheme `mailgun`: the signature stands in the body, as an HMAC-SHA256 of a timestamp and a token.

It proves who made the token, not what else the body says: rely on TLS for that. The timestamp bounds how long a copy
of a request may be used; the token belongs into the de-dup key.
"""

import hashlib
import hmac

from gateway.plugin import (
    Duration,
    Options,
    Proof,
    Request,
    RequestError,
    VerificationError,
    parse_document,
    verifier,
)

SECRET_MIN = 16


class MailgunOptions(Options):
    """How old a signature may be."""

    tolerance: Duration = 300.0
    """Seconds that the timestamp may differ from our clock."""


@verifier(MailgunOptions)
class Mailgun:
    """Looks at `signature.timestamp`, `signature.token` and `signature.signature` of a JSON body."""

    def __init__(self, options: MailgunOptions, secret: bytes) -> None:
        """Keep the key. Raises ValueError for one that is too short."""
        if len(secret) < SECRET_MIN:
            raise ValueError(f"expected a signing key of at least {SECRET_MIN} bytes")
        self._key = secret
        self._tolerance_ms = options.tolerance * 1000

    def verify(self, request: Request) -> Proof:
        """Prove that the token was signed with our key, and not long ago."""
        timestamp, token, signature = self._read(request)
        if not hmac.compare_digest(self._mac(timestamp, token), signature.encode()):
            raise VerificationError("signature", "signature.signature is another one")
        if abs(int(timestamp) * 1000 - request.received_at) > self._tolerance_ms:
            raise VerificationError("timestamp", "signature.timestamp is too old or too new")
        return Proof()

    def sign(self, request: Request) -> Request:
        """Give `request` signed: its body is replaced by one that holds nothing but the signature."""
        timestamp, token = str(request.received_at // 1000), hashlib.sha256(request.body).hexdigest()[:50]
        signature = self._mac(timestamp, token).decode()
        head = f'{{"signature": {{"timestamp": "{timestamp}", "token": "{token}", "signature": "{signature}"}}'
        rest = request.body.lstrip().removeprefix(b"{")
        return request._replace(body=head.encode() + (b"" if rest.startswith(b"}") else b", ") + rest)

    def _mac(self, timestamp: str, token: str) -> bytes:
        return hmac.new(self._key, f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest().encode()

    def _read(self, request: Request) -> tuple[str, str, str]:
        try:
            found = parse_document(request.body)["signature"]
            timestamp, token, signature = (found[name] for name in ("timestamp", "token", "signature"))
        except (RequestError, LookupError, TypeError):
            raise VerificationError("signature", "the body has no signature") from None
        if not all(isinstance(text, str) and text for text in (timestamp, token, signature)):
            raise VerificationError("signature", "the body's signature is no text")
        if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
            raise VerificationError("timestamp", "signature.timestamp is no number of seconds")
        return timestamp, token, signature
