"""Keys of signed tokens: one key of one type for one algorithm, decided when the configuration is read.

A key that could serve two algorithms is how a public key becomes an HMAC secret. So a secret that looks like a public
key is refused for HS algorithms, and every other algorithm gets a key object of its own type, never bytes.
"""

import binascii
import warnings
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias, get_args

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import Algorithm as JwtAlgorithm

from gateway.plugin import fit_secret

AlgorithmName: TypeAlias = Literal[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA"
]

HASH_BYTES: Final[Mapping[str, int]] = {"HS256": 32, "HS384": 48, "HS512": 64}
_CURVES: Final[Mapping[str, str]] = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
_MIN_RSA_BITS: Final = 2048
_ALGORITHMS: Final[Mapping[str, JwtAlgorithm]] = {
    name: jwt.get_algorithm_by_name(name) for name in get_args(AlgorithmName)
}


class TokenKey:
    """One algorithm with its one key: `verify` takes the public part, `sign` the private part or the shared secret."""

    def __init__(self, algorithm: AlgorithmName, public: Any, private: Any = None) -> None:  # noqa: ANN401 - PyJWT's
        """Hold a key of the type that `algorithm` has. Raises ValueError if it is unfit."""
        self._algorithm = _ALGORITHMS[algorithm]
        self._public, self._private = public, private
        if algorithm not in HASH_BYTES:
            _check_type(public, algorithm)

    @classmethod
    def written(cls, algorithm: AlgorithmName, secret: bytes, min_secret_bytes: int | None = None) -> "TokenKey":
        """Load a secret: PEM, but for HS algorithms. Raises ValueError, without quoting it, if it is unfit."""
        if algorithm not in HASH_BYTES:
            return cls(algorithm, *_pem_keys(secret))
        shared = _shared_secret(secret, HASH_BYTES[algorithm] if min_secret_bytes is None else min_secret_bytes)
        return cls(algorithm, shared, shared)

    @classmethod
    def published(cls, algorithm: AlgorithmName, jwk: dict[str, Any]) -> "TokenKey":
        """Load the public key of a JWK (RFC 7517), never for HS. Raises ValueError or jwt.InvalidKeyError."""
        return cls(algorithm, _ALGORITHMS[algorithm].from_jwk(jwk))

    def as_jwk(self) -> dict[str, Any]:
        """Give the public part as a JWK."""
        return dict(self._algorithm.to_jwk(self._public, as_dict=True))

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Tell whether `signature` is this key's over `message`; constant time for shared secrets."""
        return self._algorithm.verify(message, self._public, signature)

    def sign(self, message: bytes) -> bytes:
        """Sign. Raises ValueError if only the public part of the key is there."""
        if self._private is None:
            raise ValueError(
                "this credential holds the provider's public key, which cannot sign: a sample needs the private one"
            )
        return self._algorithm.sign(message, self._private)


def _shared_secret(secret: bytes, minimum: int) -> bytes:
    fit_secret(secret, minimum)
    if _is_public_key(secret):
        raise ValueError(
            "the secret is a public key, which everybody may know: HS algorithms need the provider's shared secret"
        )
    return secret


def _is_public_key(secret: bytes) -> bool:
    """Find public keys in any wrapping that would serve as HMAC bytes: PEM, SSH, JWK, DER, base64 of DER."""
    try:
        _ALGORITHMS["HS256"].prepare_key(secret)
        serialization.load_der_public_key(b64decode(secret))
    except jwt.InvalidKeyError:
        return True
    except (ValueError, TypeError, UnsupportedAlgorithm, binascii.Error):
        return False
    return True


def _pem_keys(secret: bytes) -> tuple[Any, Any]:
    """Give public and private key; the private one only if the secret holds it (tests and samples)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if b"PRIVATE KEY-----" in secret:
                private = serialization.load_pem_private_key(secret, password=None)
                return private.public_key(), private
            return serialization.load_pem_public_key(secret), None
    except (ValueError, TypeError, UnsupportedAlgorithm, Warning):
        raise ValueError(
            "the secret is no PEM public key (-----BEGIN PUBLIC KEY-----): paste the provider's, whole"
        ) from None


def _check_type(key: object, algorithm: AlgorithmName) -> None:
    if algorithm.startswith("RS"):
        fits = isinstance(key, rsa.RSAPublicKey) and key.key_size >= _MIN_RSA_BITS
        wanted = f"an RSA key of at least {_MIN_RSA_BITS} bits"
    elif algorithm in _CURVES:
        fits = isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == _CURVES[algorithm]
        wanted = f"an EC key on {_CURVES[algorithm]}"
    else:
        fits = isinstance(key, ed25519.Ed25519PublicKey)
        wanted = "an Ed25519 key"
    if not fits:
        raise ValueError(f"the secret is another kind of public key: {algorithm} needs {wanted}")
