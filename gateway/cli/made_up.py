"""Secrets made up for trying a preset: as the provider's would be written, and of no worth to anybody."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

from gateway.runtime import Runtime

_RAW_BYTES: Final = 32


def made_up_secret(options: Mapping[str, Any]) -> bytes:
    """Give a secret that fits a `verify` table; for public keys the private one, so that samples can be signed."""
    scheme, form = options.get("scheme"), options.get("key", "raw")
    if scheme == "signature" or (scheme == "jwt" and not str(options.get("algorithm", "")).startswith("HS")):
        return private_key(str(options.get("algorithm", "ed25519")))
    raw = Runtime().token_bytes(_RAW_BYTES)
    if form == "whsec":
        return b"whsec_" + b64encode(raw)
    if form in {"hex", "base64"}:
        return raw.hex().encode() if form == "hex" else b64encode(raw)
    return raw.hex().encode()


def private_key(algorithm: str) -> bytes:
    """Make a private key (PEM) of the kind that `algorithm` signs with."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - 100 ms that few presets need
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415

    curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1(), "ecdsa-p256": ec.SECP256R1()}
    key: Any
    if algorithm in curves:
        key = ec.generate_private_key(curves[algorithm])
    elif algorithm.lower().startswith("rs"):
        key = rsa.generate_private_key(65537, 2048)
    else:
        key = ed25519.Ed25519PrivateKey.generate()
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    written: bytes = key.private_bytes(pem, form, serialization.NoEncryption())
    return written.strip()
