"""Scheme `braintree`: XML in base64, in one field of a form, signed in another; the XML becomes the payload, as JSON.

The key is the SHA-1 of the private API key; signatures are pairs of a public API key and a digest, of which ours
counts. No time is signed: what is sent again is told by the de-dup key. Source: PyPI braintree,
`webhook_notification_gateway`.
"""

import hashlib
import hmac
from typing import Any, Final
from urllib.parse import urlencode

from pydantic import Field

from gateway.plugin import (
    ENCODERS,
    Options,
    Proof,
    Request,
    RequestError,
    VerificationError,
    decode_base64,
    decode_key,
    parse_form,
    parse_xml,
    verifier,
)

_SIGNATURE: Final = "bt_signature"
_PAYLOAD: Final = "bt_payload"
PAIRS_MAX: Final = 16


class BraintreeOptions(Options):
    """Whose notifications they are."""

    public_key: str = Field(pattern=r"[a-z0-9]{8,64}", examples=["yrvwbtbsn8d4ycgm"])
    """The public key of the pair; the private one is the secret."""
    min_secret_bytes: int = Field(default=24, ge=1)
    """Shorter private keys are refused; Braintree makes 32 letters and digits."""


@verifier(BraintreeOptions)
class Braintree:
    """A signed notification. Raises ValueError for an unfit key."""

    def __init__(self, options: BraintreeOptions, secret: bytes) -> None:
        key = decode_key(secret, "raw", options.min_secret_bytes)
        self._public = options.public_key
        self._key = hashlib.sha1(key, usedforsecurity=False).digest()

    def verify(self, request: Request) -> Proof:
        """Prove the payload by the signature of our public key; its XML becomes the claims."""
        fields = _fields(request.body)
        sent, payload = _text(fields, _SIGNATURE), _text(fields, _PAYLOAD).encode()
        signatures = [pair.partition("|")[2] for pair in sent.split("&", PAIRS_MAX) if self._is_ours(pair)]
        if len(signatures) != 1:
            raise VerificationError("missing", f"{len(signatures)} signatures by {self._public}, expected one")
        signature = signatures[0].encode()
        # The line end that base64 ends with is signed, though the form may lack it. Only a text with one counts: the
        # challenge has a token of a stranger's signed, which holds none.
        texts = [text for text in (payload, payload + b"\n") if b"\n" in text]
        if not any(hmac.compare_digest(signature, self._signature(text)) for text in texts):
            raise VerificationError("signature", "the payload is not signed by this key, or was changed")
        try:
            return Proof(claims=parse_xml(decode_base64(payload.replace(b"\n", b""))), claims_are_payload=True)
        except ValueError:
            raise VerificationError("document", f"{_PAYLOAD} is no base64") from None
        except RequestError as error:
            raise VerificationError("document", error.detail) from None

    def sign(self, request: Request) -> Request:
        """Wrap the body, which is XML, into a form and sign it."""
        payload = ENCODERS["base64"](request.body) + b"\n"
        signature = f"{self._public}|{self._signature(payload).decode()}"
        return request._replace(body=urlencode({_SIGNATURE: signature, _PAYLOAD: payload}).encode())

    def _is_ours(self, pair: str) -> bool:
        return pair.partition("|")[0] == self._public

    def _signature(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, payload, "sha1").hex().encode()


def _fields(body: bytes) -> dict[str, Any]:
    try:
        fields: dict[str, Any] = parse_form(body)
    except RequestError as error:
        raise VerificationError("document", error.detail) from None
    return fields


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise VerificationError("missing", f"the form has not one {name}")
    return value
