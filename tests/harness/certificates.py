"""Certificates as senders have them, and as nobody should: issued for tests, with any fault wanted."""

from datetime import UTC, datetime, timedelta
from ssl import DER_cert_to_PEM_cert
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)
SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)
DAY = timedelta(days=1)


class Issued(NamedTuple):
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        """The certificate as TLS sends it."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        """The certificate as files hold it."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key as files hold it."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def issue(
    name: str | x509.Name,
    by: Issued | None = None,
    *,
    ca: bool | None = False,
    path_length: int | None = None,
    dns: tuple[str, ...] = (),
    purposes: tuple[Any, ...] = CLIENT,
    at: datetime | None = None,
    lasts: timedelta = DAY,
    more: tuple[tuple[Any, bool], ...] = (),
) -> Issued:
    """Issue a certificate; self-signed unless `by` somebody, good from a day before `at` (now) for `lasts` after it."""
    key = ec.generate_private_key(ec.SECP256R1())
    at = at or datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) if isinstance(name, str) else name
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - DAY)
        .not_valid_after(at + lasts)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, path_length), critical=True)
    if dns:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(each) for each in dns]), critical=False
        )
    if purposes and not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    for extension, critical in more:
        builder = builder.add_extension(extension, critical=critical)
    return Issued(builder.sign(by.key if by else key, hashes.SHA256()), key)


def unreadable(issued: Issued) -> bytes:
    """Give the PEM of a certificate of a version that there is not: OpenSSL shows it and takes it all the same."""
    version, none = b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x04"
    return DER_cert_to_PEM_cert(issued.der.replace(version, none, 1)).encode()
