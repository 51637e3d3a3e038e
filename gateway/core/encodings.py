"""Strict text encodings of digests, keys and tokens: one way to write each value, no other is read.

A lenient decoder lets one signature be written in many ways (unpadded, with stray bits, with line ends), which breaks
whatever takes a token's text for its identity. Signatures are therefore compared in encoded form, and what must be
decoded is encoded again.
"""

import binascii
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

Encoding: TypeAlias = Literal["hex", "base64", "base64url"]

_PADDING: Final = (b"", b"", b"==", b"=")


def encode_base64url(raw: bytes) -> bytes:
    """Write `raw` as unpadded base64url (RFC 7515 section 2)."""
    return urlsafe_b64encode(raw).rstrip(b"=")


ENCODERS: Final[Mapping[Encoding, Callable[[bytes], bytes]]] = {
    "hex": binascii.hexlify,
    "base64": b64encode,
    "base64url": encode_base64url,
}
"""How each encoding is written: lower-case hex, padded base64, unpadded base64url."""


def decode_base64url(text: bytes) -> bytes:
    """Read unpadded base64url. Raises ValueError unless `text` is exactly what `encode_base64url` writes."""
    raw = urlsafe_b64decode(text + _PADDING[len(text) & 3])
    if urlsafe_b64encode(raw).rstrip(b"=") != text:
        raise ValueError("not canonical base64url")
    return raw


def decode_base64(text: bytes) -> bytes:
    """Read base64, padded or not, as keys are handed out. Raises ValueError for any other character or stray bits."""
    bare = text.rstrip(b"=")
    raw = binascii.a2b_base64(bare + _PADDING[len(bare) & 3])
    if b64encode(raw).rstrip(b"=") != bare or len(text) - len(bare) not in {0, -len(bare) % 4}:
        raise ValueError("not canonical base64")
    return raw


def decode_hex(text: bytes) -> bytes:
    """Read hex digits of either case. Raises ValueError for anything else, white space too."""
    return binascii.unhexlify(text)
