"""The options of everything that asks a provider's API: who we are there, and what one answer may cost us."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from gateway.config.units import PerSecond, duration_between, size_between
from gateway.plugin import ByteCount, Duration, Guard, Options, SecretText, parse_rule
from gateway.targets.http_auth import AuthTable
from gateway.targets.http_oauth import OAuth2Table
from gateway.targets.http_options import Rules
from gateway.targets.http_proxy import ProxyOption
from gateway.targets.http_tls import TlsTable
from gateway.targets.http_values import HeaderValue, split_headers


def _check_headers(headers: dict[str, str | SecretText]) -> dict[str, str | SecretText]:
    _, filled = split_headers(headers)
    if filled:
        raise ValueError(f"header {filled[0][0]}: expected text without {{selectors}}, or a secret")
    return headers


class ApiOptions(Options):
    """Who we are to a provider's API, and what it may cost us to ask it."""

    auth: AuthTable | None = None
    """Who we are to the provider's API."""
    headers: Annotated[dict[str, HeaderValue], AfterValidator(_check_headers), Field(default_factory=dict, repr=False)]
    """Headers to send with each request: text, or a reference to a secret that holds the whole value."""
    timeout: Annotated[Duration, duration_between("100ms", "1m")] = Field(default="10s", validate_default=True)
    """How long one answer may take, all of it."""
    body: Annotated[ByteCount, size_between("1KiB", "16MiB")] = Field(default="1MiB", validate_default=True)
    """Bytes of one answer; a longer one is refused."""
    rate: PerSecond | None = Field(default=None, examples=["5/s"])
    """How many requests may begin in a second, minute or hour."""
    tls: TlsTable | None = None
    """TLS settings; only with https."""
    allow: Rules = ()
    """What addresses connections may lead to, and no others, as for a target of type http."""
    deny: Rules = ()
    """What addresses connections may not lead to, although `allow` says so."""
    proxy: ProxyOption | None = Field(default=None, examples=["http://proxy.acme.example:3128"])
    """The HTTP proxy to go through: `http://host:port`, or a table with `url`, `user` and `password`."""

    @model_validator(mode="after")
    def _one_of_each(self) -> "ApiOptions":
        names = [name.lower() for name in self.headers]
        if len(set(names)) < len(names):
            raise ValueError("headers holds one name twice, in capitals and small letters: keep one of them")
        if self.auth is not None and "authorization" in names:
            raise ValueError("authorization is written by auth: it cannot stand in headers too")
        return self

    @property
    def oauth2(self) -> OAuth2Table | None:
        """Where tokens come from; None: they come from nowhere."""
        return self.auth.oauth2 if self.auth else None

    def narrow(self, guard: Guard) -> Guard:
        """Give `guard` with these options' lists."""
        return guard.narrowed([parse_rule(text) for text in self.allow], [parse_rule(text) for text in self.deny])

    def fixed_headers(self) -> dict[str, str]:
        """Give the headers of every request, that of `auth` included if it does not change."""
        fixed, _ = split_headers(self.headers)
        if self.auth is not None and (authorization := self.auth.header()):
            fixed["Authorization"] = authorization
        return fixed
