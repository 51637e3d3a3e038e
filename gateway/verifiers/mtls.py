"""Scheme `mtls`: the sender has shown, in the TLS handshake, a certificate that authorities of ours have signed.

What stands in the secret's place is the authorities' certificates (PEM): whoever can change them lets a stranger in.
The handshake has proven that the sender holds the certificate's key; here its chain is judged, at the request's
arrival, and its name. Only what the connection says counts, never a header. A refusal is the same whatever is wrong.
"""

from datetime import UTC, datetime
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from pydantic import Field

from gateway.plugin import Options, Proof, Request, VerificationError, verifier

CHAIN_DEPTH_MAX: Final = 4
REMEMBERED_MAX: Final = 256
"""Chains whose verdict is remembered: to judge one costs half a millisecond."""
_PROOF: Final = Proof()
_KNOWN: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.CERTIFICATE_POLICIES,
    }
)
"""Extensions of a sender's certificate that may be critical."""

_UNREADABLE: Final = (ValueError, x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType)
"""What OpenSSL takes in the handshake and nobody can make sense of."""

Chain: TypeAlias = tuple[bytes, ...]


class MtlsOptions(Options):
    """Which of the certificates that the authorities have signed are the sender's; one of the three must fit."""

    names: tuple[str, ...] = Field(default=(), max_length=100, examples=[["client.webhooks.fbclientcerts.com"]])
    """DNS names, of which the certificate has one as alternative name; exact, no wildcards."""
    subjects: tuple[str, ...] = Field(default=(), max_length=100, examples=[["CN=sender,O=Acme"]])
    """Whole subjects as RFC 4514 writes them, the most special part first."""
    fingerprints: tuple[str, ...] = Field(default=(), max_length=100)
    """SHA-256 of whole certificates in hex, as `openssl x509 -fingerprint -sha256` prints them."""


@verifier(MtlsOptions)
class Mtls:
    """Authorities and the names that they may vouch for. Raises ValueError for what is none."""

    asks_certificate = True

    def __init__(self, options: MtlsOptions, secret: bytes) -> None:
        if not (options.names or options.subjects or options.fingerprints):
            raise ValueError("expected names, subjects or fingerprints: an authority signs for others, too")
        self._names = frozenset(map(_dns_name, options.names))
        self._subjects = frozenset(_subject(text) for text in options.subjects)
        self._fingerprints = frozenset(_fingerprint(text) for text in options.fingerprints)
        self._store = verification.Store(_authorities(secret))
        self._remembered: dict[Chain, tuple[datetime, datetime]] = {}
        """Of chains that were found good, from when until when they are."""

    def verify(self, request: Request) -> Proof:
        """Prove that the connection's certificate is one of the sender's."""
        chain = request.certificates
        if not chain:
            raise VerificationError("certificate", "the sender showed no certificate")
        at = datetime.fromtimestamp(request.received_at / 1000, UTC)
        begins, ends = self._remembered.get(chain) or self._judge(chain, at)
        if not begins <= at <= ends:
            raise VerificationError("certificate", f"the certificate's chain is good from {begins} to {ends} only")
        return _PROOF

    def sign(self, _request: Request) -> Request:
        """Raise ValueError: the key is the sender's."""
        raise ValueError("only the sender has the certificate's key: use its own test button")

    def _judge(self, chain: Chain, at: datetime) -> tuple[datetime, datetime]:
        try:
            own, *others = [x509.load_der_x509_certificate(each) for each in chain]
            self._check_name(own)
            _check_purpose(own)
            trusted = self._chain_of(own, others, at)
        except _UNREADABLE as error:
            raise VerificationError("certificate", f"the certificate cannot be read: {error}"[:300]) from None
        except verification.VerificationError as error:
            raise VerificationError("certificate", f"no authority of ours: {error}"[:300]) from None
        window = (
            max(each.not_valid_before_utc for each in trusted),
            min(each.not_valid_after_utc for each in trusted),
        )
        if len(self._remembered) >= REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[chain] = window
        return window

    def _chain_of(self, own: x509.Certificate, others: list[x509.Certificate], at: datetime) -> list[x509.Certificate]:
        """Give the chain to an authority. What a public web server's certificate must have besides is not asked for."""
        lenient = verification.ExtensionPolicy.permit_all()
        authority = lenient.require_present(
            x509.BasicConstraints, verification.Criticality.AGNOSTIC, lambda *found: _check_authority(found[2])
        )
        builder = verification.PolicyBuilder().store(self._store).time(at.replace(tzinfo=None))
        builder = builder.max_chain_depth(CHAIN_DEPTH_MAX).extension_policies(ca_policy=authority, ee_policy=lenient)
        return builder.build_client_verifier().verify(own, others).chain

    def _check_name(self, own: x509.Certificate) -> None:
        if own.fingerprint(SHA256()) in self._fingerprints or own.subject in self._subjects:
            return
        found = _alternative_names(own)
        if not self._names.intersection(found):
            told = ", ".join([own.subject.rfc4514_string(), *found])[:200]
            raise VerificationError("certificate", f"none of the names that are expected: {told}")


def _check_purpose(own: x509.Certificate) -> None:
    """Refuse what is not for clients, or says something critical that nobody here understands."""
    for extension in own.extensions:
        value = extension.value
        if extension.critical and extension.oid not in _KNOWN:
            raise VerificationError("certificate", f"an unknown critical extension {extension.oid.dotted_string}")
        if isinstance(value, x509.BasicConstraints) and value.ca:
            raise VerificationError("certificate", "it is an authority's own")
        if isinstance(value, x509.KeyUsage) and not value.digital_signature:
            raise VerificationError("certificate", "its key is not for signatures")
        if isinstance(value, x509.ExtendedKeyUsage) and not (
            {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(value)
        ):
            raise VerificationError("certificate", "it is not for clients")


def _check_authority(found: object) -> None:
    if not (isinstance(found, x509.BasicConstraints) and found.ca):
        raise ValueError("not an authority")


def _alternative_names(own: x509.Certificate) -> list[str]:
    try:
        found = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [name.lower() for name in found.get_values_for_type(x509.DNSName)]


def _authorities(secret: bytes) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(secret)
        now_known = [each for each in found if each.extensions.get_extension_for_class(x509.BasicConstraints).value.ca]
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        found, now_known = [], []
    if not found or len(now_known) < len(found):
        raise ValueError("the secret's place must hold certificates of authorities (PEM, CA:TRUE), and nothing else")
    return found


def _dns_name(text: str) -> str:
    if not text.isascii() or not text or "*" in text or " " in text:
        raise ValueError(f'names: expected an exact DNS name such as "client.acme.example", found "{text[:60]}"')
    return text.lower()


def _subject(text: str) -> x509.Name:
    # Compared as names, not as bytes: authorities encode the same letters in several ways.
    try:
        return x509.Name.from_rfc4514_string(text)
    except ValueError as error:
        raise ValueError(
            f'subjects: expected a subject such as "CN=sender,O=Acme", found "{text[:60]}": {error}'
        ) from None


def _fingerprint(text: str) -> bytes:
    digits = text.replace(":", "")
    try:
        found = bytes.fromhex(digits)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise ValueError(f'fingerprints: expected a SHA-256 as 64 hex digits, found "{text[:80]}"')
    return found
