"""How an outgoing connection checks a server's certificate and what it shows of itself.

Verification is always on: there is no option to turn it off, and nothing below TLS 1.2 is spoken.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """TLS settings of one target; paths of PEM files."""

    ca: str | None = None
    """The authorities to trust instead of the system's."""
    cert: str | None = None
    """Our own certificate with its chain, for servers that ask for one."""
    key: str | None = None
    """The key of `cert`, if it is not in the same file; without a passphrase."""
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
        with _naming(options.cert, options.key):
            context.load_cert_chain(options.cert, options.key, password=lambda: "")
    return context


@contextmanager
def _naming(*paths: str | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        files = " with ".join(path for path in paths if path)
        cause = (getattr(error, "reason", None) or error.strerror or str(error)).replace("_", " ").lower()
        raise OSError(f"{files} cannot be used for TLS: {cause}") from error
