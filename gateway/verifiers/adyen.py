"""Scheme `adyen`: payment notifications, each item of which holds a signature over eight of its fields.

Whatever else an item holds is not proven; the operator is told so on the provider's page. Every item must be signed.
Source: docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures; PyPI Adyen, `Adyen.util`.
"""

import hashlib
import hmac
from typing import Any, Final

import orjson
from pydantic import Field

from gateway.plugin import (
    ENCODERS,
    Options,
    Proof,
    Request,
    VerificationError,
    decode_key,
    verifier,
)
from gateway.verifiers.places import Path, read_json

ITEMS_MAX: Final = 1000
_PROOF: Final = Proof()
_FIELDS: Final = (
    ("pspReference",),
    ("originalReference",),
    ("merchantAccountCode",),
    ("merchantReference",),
    ("amount", "value"),
    ("amount", "currency"),
    ("eventCode",),
    ("success",),
)
_FREE: Final = ("merchantReference",)
"""The only field that may hold the text between two: the others are found from both ends, so no border can be moved."""
_SIGNATURE: Final = ("additionalData", "hmacSignature")
_ITEM: Final = "NotificationRequestItem"
_READ: Final[tuple[Path, ...]] = tuple((("notificationItems",), (_ITEM, *names)) for names in (*_FIELDS, _SIGNATURE))


class AdyenOptions(Options):
    """Nothing but the key's length is to be said."""

    min_secret_bytes: int = Field(default=24, ge=1)
    """Shorter keys are refused; Adyen makes 32 bytes, written as 64 hex digits."""


@verifier(AdyenOptions)
class Adyen:
    """A list of signed notifications. Raises ValueError for an unfit key."""

    def __init__(self, options: AdyenOptions, secret: bytes) -> None:
        self._key = decode_key(secret, "hex", options.min_secret_bytes)

    def verify(self, request: Request) -> Proof:
        """Prove every item."""
        document = read_json(request.body, _READ)
        items = document.get("notificationItems") if isinstance(document, dict) else None
        if not isinstance(items, list) or not 0 < len(items) <= ITEMS_MAX:
            raise VerificationError("missing", f"notificationItems is no list of 1 to {ITEMS_MAX} items")
        for each in items:
            item = each.get(_ITEM) if isinstance(each, dict) else None
            sent = _text(item, _SIGNATURE).encode()
            if not hmac.compare_digest(sent, self._signature(item)):
                raise VerificationError("signature", "an item is not signed by this key, or was changed")
        return _PROOF

    def sign(self, request: Request) -> Request:
        """Sign each item of the body."""
        document = orjson.loads(request.body)
        for each in document["notificationItems"]:
            item = each[_ITEM]
            more = item.pop("additionalData", {})
            item["additionalData"] = {**more, "hmacSignature": self._signature(item).decode()}
        return request._replace(body=orjson.dumps(document))

    def _signature(self, item: Any) -> bytes:  # noqa: ANN401 - JSON
        parts = [_text(item, names) for names in _FIELDS]
        for names, part in zip(_FIELDS, parts, strict=True):
            if ":" in part and names != _FREE:
                raise VerificationError("document", f"{'.'.join(names)} holds a colon")
        signed = ":".join(parts).encode()
        return ENCODERS["base64"](hmac.digest(self._key, signed, hashlib.sha256))


def _text(item: Any, names: tuple[str, ...]) -> str:  # noqa: ANN401 - JSON
    """Give a field as it is signed: absent as nothing, a whole number by its digits."""
    for name in names:
        if not isinstance(item, dict):
            raise VerificationError("missing", f"there is no {'.'.join(names)}")
        item = item.get(name, "")
    if isinstance(item, int) and not isinstance(item, bool):
        return str(item)
    if not isinstance(item, str):
        raise VerificationError("type", f"{'.'.join(names)} is no text")
    return item
