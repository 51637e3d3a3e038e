"""The compact form of a signed token (RFC 7515): three canonical base64url segments, cut and read strictly.

Knows the form, no keys: what is given back is not believed until its signature is. Header fields that bring keys
(`jku`, `x5u`, `jwk`, `x5c`) are never looked at; `kid` is only a name to look up among the provider's. Those that
change what the token means (`crit`, `b64`, `zip`, a nested `cty`) are refused.
"""

import json
from typing import Any, Final, NamedTuple

import orjson

from gateway.plugin import VerificationError, decode_base64url, encode_base64url

MAX_TOKEN_BYTES: Final = 512 * 1024
_MAX_HEADER_BYTES: Final = 8 * 1024
_MAX_KEY_ID: Final = 200
_CHANGES_MEANING: Final = ("crit", "b64", "zip", "enc")


class Compact(NamedTuple):
    """A token in its parts, nothing of it proven yet."""

    signing_input: bytes
    payload_segment: bytes
    signature: bytes
    key_id: str = ""
    """What the header says the key is called; empty if it says nothing usable."""


def cut_token(token: bytes, algorithm: str) -> Compact:
    """Cut a token whose header names `algorithm`.

    Raises VerificationError for any other form, before any cryptography.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise VerificationError("token_size", f"the token is longer than {MAX_TOKEN_BYTES} bytes", status=413)
    segments = token.split(b".", 3)
    if len(segments) != 3 or not all(segments):
        raise VerificationError("token_form", "expected a token of three segments, none empty")
    header, payload, signature = segments
    key_id = _check_header(header, algorithm)
    return Compact(token[: len(header) + 1 + len(payload)], payload, decode_segment(signature, "signature"), key_id)


def decode_segment(segment: bytes, name: str) -> bytes:
    """Decode one segment. Raises VerificationError unless it is canonical base64url without padding."""
    try:
        return decode_base64url(segment)
    except ValueError:
        raise VerificationError("token_form", f"the token's {name} is not canonical base64url") from None


def signing_input(algorithm: str, claims: bytes, key_id: str = "") -> bytes:
    """Give header and payload of a new token, ready to be signed."""
    header = orjson.dumps({"alg": algorithm, "typ": "JWT", **({"kid": key_id} if key_id else {})})
    return encode_base64url(header) + b"." + encode_base64url(claims)


def _check_header(segment: bytes, algorithm: str) -> str:
    """Give the key's name, if the header is as it must be."""
    if len(segment) > _MAX_HEADER_BYTES:
        raise VerificationError("token_header", f"the token's header is longer than {_MAX_HEADER_BYTES} characters")
    try:
        header = json.loads(decode_segment(segment, "header"), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError):
        raise VerificationError("token_header", "the token's header is no JSON object with each name once") from None
    if not isinstance(header, dict) or header.get("alg") != algorithm:
        raise VerificationError(
            "algorithm", f"the token does not name {algorithm}, the one algorithm of this credential"
        )
    if any(name in header for name in _CHANGES_MEANING):
        raise VerificationError("token_header", f"the token's header holds one of {', '.join(_CHANGES_MEANING)}")
    if "cty" in header and str(header["cty"]).lower().removeprefix("application/") in {"jwt", "jws", "jwe"}:
        raise VerificationError("token_nested", "the token holds another token")
    key_id = header.get("kid")
    return key_id if isinstance(key_id, str) and len(key_id) <= _MAX_KEY_ID and key_id.isprintable() else ""


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found
