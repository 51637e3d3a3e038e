"""Fitness of secrets: what an operator pasted becomes key bytes, or a ValueError that never quotes it.

White space at an end is refused (the loader of secret files strips the one line end that editors add), so is what is
too short to resist guessing; a provider that hands out shorter keys needs `min_secret_bytes` written out.
"""

import unicodedata
from typing import Final, Literal, TypeAlias

from gateway.core.encodings import decode_base64, decode_hex

KeyForm: TypeAlias = Literal["raw", "whsec", "hex", "base64", "nfkd"]

_SPACE: Final = b" \t\r\n\v\f"


def fit_secret(secret: bytes, minimum: int) -> bytes:
    """Give `secret` if it is fit to be compared or used as a key as it stands. Raises ValueError."""
    if not secret:
        raise ValueError("the secret is empty: paste all of it")
    if secret[0] in _SPACE or secret[-1] in _SPACE:
        raise ValueError("the secret begins or ends with white space: remove it, also a line end")
    return _long_enough(secret, minimum)


def decode_key(secret: bytes, form: KeyForm, minimum: int) -> bytes:
    """Give the key bytes that `secret` stands for in `form`. Raises ValueError, without quoting the secret."""
    fit_secret(secret, 1)
    if form == "whsec":
        text = secret.removeprefix(b"whsec_")
        if text == secret or not text:
            raise ValueError("the secret is expected to be whsec_ and base64: paste all of it")
        return _long_enough(_decoded(text, "base64"), minimum)
    if form in {"hex", "base64"}:
        return _long_enough(_decoded(secret, form), minimum)
    return _long_enough(_normalised(secret) if form == "nfkd" else secret, minimum)


def _decoded(text: bytes, form: str) -> bytes:
    try:
        return decode_hex(text) if form == "hex" else decode_base64(text)
    except ValueError:
        raise ValueError(f"the secret is not written in {form}: paste it again, or choose another `key`") from None


def _normalised(secret: bytes) -> bytes:
    try:
        return unicodedata.normalize("NFKD", secret.decode()).encode()
    except UnicodeDecodeError:
        raise ValueError('the secret is no UTF-8 text, which key = "nfkd" needs') from None


def _long_enough(key: bytes, minimum: int) -> bytes:
    if len(key) < minimum:
        raise ValueError(
            f"the secret has {len(key)} bytes, expected at least {minimum}: paste all of it,"
            " or write min_secret_bytes if the provider's are that short"
        )
    return key
