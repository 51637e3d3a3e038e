"""Certificates that a request names by their address: the key in them, and whether they are valid at its arrival.

What makes such a certificate the provider's is the host it was fetched from over TLS, as the providers document it: a
verifier compares the address with a fixed host and path before it asks for anything.
"""

import warnings
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from gateway.plugin import KeyRef, Keys, NeedsKey, Request, VerificationError

_MIN_RSA_BITS: Final = 2048
_HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256()}  # noqa: S303 - SNS signs so


class Certificate(NamedTuple):
    """What of a certificate counts."""

    key: rsa.RSAPublicKey
    begins: float
    """Seconds since 1970."""
    ends: float


def find_certificate(url: str, request: Request, keys: Keys) -> Certificate | NeedsKey:
    """Give the certificate at `url`, which the caller has compared with its provider's; or ask for it.

    Raises VerificationError if it is none, or is not valid at the request's arrival.
    """
    ref = KeyRef(url)
    published = keys.get(ref)
    if published is None:
        return NeedsKey(ref)
    certificate = read_certificate(published.document)
    if certificate is None:
        raise VerificationError("certificate", f"what is at {url} is no certificate with an RSA key")
    if not certificate.begins <= request.received_at / 1000 <= certificate.ends:
        raise VerificationError("certificate", f"the certificate at {url} is not valid now")
    return certificate


def is_signed_by(certificate: Certificate, signature: bytes, text: bytes, digest: str) -> bool:
    """Tell whether `signature` (PKCS#1 v1.5) over `text` is by the certificate's key; `digest`: `sha1` or `sha256`."""
    try:
        certificate.key.verify(signature, text, padding.PKCS1v15(), _HASHES[digest])
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=64)
def read_certificate(document: bytes) -> Certificate | None:
    """Read the first certificate of a PEM text; None if it is none, or its key is not RSA of 2,048 bits or more."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = x509.load_pem_x509_certificates(document)[0]
            key = found.public_key()
            begins, ends = found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp()
    except (ValueError, TypeError, IndexError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < _MIN_RSA_BITS:
        return None
    return Certificate(key, begins, ends)


def sign_by(private: bytes, text: bytes, digest: str) -> bytes:
    """Sign `text` with a private key (PEM) made up for a trial."""
    return _rsa(private).sign(text, padding.PKCS1v15(), _HASHES[digest])


def certify(private: bytes, at_ms: int) -> bytes:
    """Make a certificate (PEM) for a private key made up for a trial, valid for a day around `at_ms`."""
    key, at = _rsa(private), datetime.fromtimestamp(at_ms / 1000, UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "trial")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, at - timedelta(days=1), at + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _rsa(private: bytes) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(private, password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("expected an RSA private key")  # noqa: TRY004 - a wrong value, as all other unfit keys
    return key
