"""The table `tls` of an `http` target: whom to trust, and what to show of ourselves."""

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Discriminator, Tag, model_validator

from gateway.plugin import Options, SecretText, TlsOptions


def _check_file(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError("expected an absolute path")
    return path


PemFile = Annotated[str, AfterValidator(_check_file)]


def _form(value: object) -> str:
    return "<text>" if isinstance(value, str) else "<secret>"


Pem: TypeAlias = Annotated[
    Annotated[PemFile, Tag("<text>")] | Annotated[SecretText, Tag("<secret>")], Discriminator(_form)
]
"""The path of a PEM file, or where its text is."""


class TlsTable(Options):
    """TLS settings for an https url. The server's certificate is always checked."""

    ca: PemFile | None = None
    """PEM file of the authorities to trust instead of the system's."""
    cert: Pem | None = None
    """Our own certificate with its chain, for endpoints that ask for one: the path of a PEM file, or a reference to a
    secret that holds its text."""
    key: Pem | None = None
    """Its key, if that does not stand with it: a path or a reference, as for `cert`; without a passphrase."""
    server_name: str | None = None
    """The name that the certificate must hold, instead of the url's host."""

    @model_validator(mode="after")
    def _together(self) -> "TlsTable":
        if self.key is not None and self.cert is None:
            raise ValueError("key needs cert: the certificate that it belongs to")
        return self

    def for_client(self) -> TlsOptions:
        """Give what the client needs to know."""
        return TlsOptions(self.ca, _text_or_path(self.cert), _text_or_path(self.key), self.server_name)


def _text_or_path(pem: str | SecretText | None) -> str | bytes | None:
    return pem.reveal().encode() if isinstance(pem, SecretText) else pem
