"""Scheme `basic`: HTTP Basic authentication (RFC 7617) with one user; the password is the credential's secret.

Proves only that the sender knows the password. The Authorization header is reported as consumed. No challenge is
sent: providers are configured with the credentials, they are not asked for them.
"""

import hmac
from base64 import b64encode
from typing import Final

from pydantic import Field

from gateway.plugin import Options, Proof, Request, VerificationError, fit_secret, verifier
from gateway.verifiers.places import only_header, with_header

_HEADER: Final = b"authorization"
_PROOF: Final = Proof(consumed=(_HEADER,))


class BasicOptions(Options):
    """The user; the password is the secret."""

    user: str = Field(min_length=1, max_length=255, pattern=r"^[^:\x00-\x1f\x7f]+$")
    """User name; no colon or control character (RFC 7617 section 2)."""
    min_secret_bytes: int = Field(default=16, ge=1)
    """Shorter passwords are refused."""


@verifier(BasicOptions)
class Basic:
    """User and password. Raises ValueError for an unfit password."""

    def __init__(self, options: BasicOptions, secret: bytes) -> None:
        self._credentials = b64encode(options.user.encode() + b":" + fit_secret(secret, options.min_secret_bytes))

    def verify(self, request: Request) -> Proof:
        """Prove user and password together; one canonical base64 text is taken, the scheme's name in any case."""
        scheme, _, credentials = only_header(request, _HEADER).partition(b" ")
        if scheme.lower() != b"basic":
            raise VerificationError("authorization", "the Authorization header is not of the Basic scheme")
        if not hmac.compare_digest(credentials.lstrip(b" "), self._credentials):
            raise VerificationError("authorization", "another user or password")
        return _PROOF

    def sign(self, request: Request) -> Request:
        """Give `request` with the Authorization header."""
        return with_header(request, _HEADER, b"Basic " + self._credentials)
