"""How an outgoing connection checks a server's certificate and what it shows of itself.

Verification is always on: there is no option to turn it off, and nothing below TLS 1.2 is spoken.
"""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """TLS settings of one target; paths of PEM files, or their text."""

    ca: str | None = None
    """The authorities to trust instead of the system's."""
    cert: str | bytes | None = field(default=None, repr=False)
    """Our own certificate with its chain, for servers that ask for one; bytes are the PEM text itself."""
    key: str | bytes | None = field(default=None, repr=False)
    """The key of `cert`, if it is not in the same file; without a passphrase. Bytes are the PEM text itself."""
    server_name: str | None = None
    """The name to ask for (SNI) and to find in the certificate, instead of the URL's host."""


def client_context(options: TlsOptions) -> ssl.SSLContext:
    """Make a context; reads the files, so call it in a thread. Raises OSError that names the file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificate and name by default
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    if options.ca is None:
        context.load_default_certs()
    else:
        with _naming(options.ca):
            context.load_verify_locations(cafile=options.ca)
    if options.cert is not None:
        # Without a callback OpenSSL would ask for the passphrase on the terminal.
        with _naming(options.cert, options.key), _path_of(options.cert) as cert, _path_of(options.key) as key:
            context.load_cert_chain(cert or "", key, password=lambda: "")
    return context


@contextmanager
def _path_of(pem: str | bytes | None) -> Iterator[str | None]:
    """Give a path that OpenSSL can read; text in memory gets one that nobody else sees and that leaves no trace."""
    if not isinstance(pem, bytes):
        yield pem
        return
    with os.fdopen(os.memfd_create("pem", os.MFD_CLOEXEC), "wb") as file:
        file.write(pem)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


@contextmanager
def _naming(*paths: str | bytes | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        files = " with ".join(path if isinstance(path, str) else "the secret" for path in paths if path)
        cause = (getattr(error, "reason", None) or error.strerror or str(error)).replace("_", " ").lower()
        raise OSError(f"{files} cannot be used for TLS: {cause}") from error
