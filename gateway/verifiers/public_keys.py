"""Public keys of scheme `signature`: one key of one type for one algorithm, decided when the configuration is read.

The provider hands its public key out; it goes where a secret goes, since whoever changes it lets a stranger in. A
private key in its place is for samples and tests, which must sign.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from gateway.plugin import decode_base64, fit_secret

KeyAlgorithm: TypeAlias = Literal["ed25519", "ecdsa-p256", "rsa-sha256"]
PublicForm: TypeAlias = Literal["pem", "hex", "base64", "whpk"]

_RSA_BITS_MIN: Final = 2048
_ED25519_BYTES: Final = 32
_ECDSA: Final = ec.ECDSA(hashes.SHA256())


class PublicKey:
    """One algorithm with its one key: `fits` takes the public part, `sign` the private one."""

    def __init__(self, algorithm: KeyAlgorithm, secret: bytes, form: PublicForm) -> None:
        """Load the key. Raises ValueError, without quoting it, if it is unfit for `algorithm`."""
        fit_secret(secret, 1)
        self._public, self._private = _load(secret, form)
        wanted, fits = _TYPES[algorithm]
        if not fits(self._public):
            raise ValueError(f"the key is of another type: {algorithm} needs {wanted}")
        self._algorithm = algorithm

    def fits(self, signature: bytes, text: bytes) -> bool:
        """Tell whether `signature` is this key's over `text`."""
        try:
            if self._algorithm == "ed25519":
                self._public.verify(signature, text)
            elif self._algorithm == "ecdsa-p256":
                self._public.verify(signature, text, _ECDSA)
            else:
                self._public.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True

    def sign(self, text: bytes) -> bytes:
        """Sign. Raises ValueError if only the public part of the key is there."""
        if self._private is None:
            raise ValueError(
                "this credential holds the provider's public key, which cannot sign: a sample needs the private one"
            )
        if self._algorithm == "ed25519":
            signature: bytes = self._private.sign(text)
        elif self._algorithm == "ecdsa-p256":
            signature = self._private.sign(text, _ECDSA)
        else:
            signature = self._private.sign(text, padding.PKCS1v15(), hashes.SHA256())
        return signature


def _load(secret: bytes, form: PublicForm) -> tuple[Any, Any]:
    """Give public and private key; the private one only if the secret holds it, as PEM."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if b"PRIVATE KEY-----" in secret:
                private = serialization.load_pem_private_key(secret, password=None)
                return private.public_key(), private
            if form == "pem":
                return serialization.load_pem_public_key(secret), None
            raw = _decoded(secret, form)
            if len(raw) == _ED25519_BYTES:
                return ed25519.Ed25519PublicKey.from_public_bytes(raw), None
            return serialization.load_der_public_key(raw), None
    except (ValueError, TypeError, UnsupportedAlgorithm, Warning):
        raise ValueError(f"the key is not written as {_FORMS[form]}: paste the provider's public key, whole") from None


def _decoded(secret: bytes, form: PublicForm) -> bytes:
    if form == "hex":
        return bytes.fromhex(secret.decode("ascii"))
    if form == "whpk":
        text = secret.removeprefix(b"whpk_")
        if text == secret:
            raise ValueError("no whpk_ before it")
        return decode_base64(text)
    return decode_base64(secret)


_FORMS: Final[Mapping[PublicForm, str]] = {
    "pem": "PEM (-----BEGIN PUBLIC KEY-----)",
    "hex": "hex digits",
    "base64": "base64",
    "whpk": "whpk_ and base64",
}
_TYPES: Final[Mapping[KeyAlgorithm, tuple[str, Callable[[object], bool]]]] = {
    "ed25519": ("an Ed25519 key", lambda key: isinstance(key, ed25519.Ed25519PublicKey)),
    "ecdsa-p256": (
        "an EC key on P-256",
        lambda key: isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1",
    ),
    "rsa-sha256": (
        f"an RSA key of at least {_RSA_BITS_MIN} bits",
        lambda key: isinstance(key, rsa.RSAPublicKey) and key.key_size >= _RSA_BITS_MIN,
    ),
}
