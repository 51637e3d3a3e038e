"""The table `[keys]`: how keys that a provider publishes are fetched."""

from pydantic import Field, field_validator

from gateway.config.table import Table


class KeyFetching(Table):
    """How keys that a provider publishes (`jwks`, certificates) are fetched: over https, from public addresses."""

    allow: tuple[str, ...] = Field(default=(), examples=[["10.20.0.0/16"]])
    """Addresses, networks, "private" or "loopback" that they may come from besides public ones, for an issuer of your
    own."""
    ca: str | None = Field(default=None, examples=["/etc/hookgate/ca.pem"])
    """PEM file of the authorities to trust instead of the system's."""

    @field_validator("ca")
    @classmethod
    def _check_file(cls, path: str | None) -> str | None:
        if path is not None and not path.startswith("/"):
            raise ValueError("expected an absolute path")
        return path
