"""The proxy of an `http` target: the table, and what it is for the client."""

import base64
import re
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from gateway.plugin import Options, Proxy, SecretText, Url, parse_url

_PRINTABLE: Final = re.compile(r"[\x20-\x7e]{1,1024}")


def _check_proxy(text: str) -> str:
    url = parse_url(text)
    if url.tls or url.socket_path or url.target != "/":
        raise ValueError('expected a proxy that is spoken to in plain HTTP, such as "http://proxy.example:3128"')
    return text


ProxyUrl = Annotated[str, AfterValidator(_check_proxy)]


class ProxyTable(Options):
    """A proxy that wants to know who we are."""

    url: ProxyUrl = Field(examples=["http://proxy.acme.example:3128"])
    """Where it listens."""
    user: str = Field(min_length=1, max_length=255)
    """The user; sent with the password as `Proxy-Authorization: Basic …`."""
    password: SecretText
    """Where the password is."""

    @model_validator(mode="after")
    def _check(self) -> "ProxyTable":
        password = self.password.reveal() if self.password.is_read else "-"
        if not _PRINTABLE.fullmatch(self.user + password) or ":" in self.user:
            raise ValueError("user and password are expected in printable ASCII characters, the user without a colon")
        return self


def _form(value: object) -> str:
    return "<text>" if isinstance(value, str) else "<table>"


ProxyOption: TypeAlias = Annotated[
    Annotated[ProxyUrl, Tag("<text>")] | Annotated[ProxyTable, Tag("<table>")], Discriminator(_form)
]
"""A proxy's URL, or a table with its URL and who we are to it."""


def is_here(url: Url) -> bool:
    """Tell whether a URL means this machine, which no proxy leads to."""
    return bool(url.socket_path) or url.host in ("127.0.0.1", "::1") or url.host.rpartition(".")[2] == "localhost"


def proxy_of(option: str | ProxyTable | None) -> Proxy | None:
    """Give what the client needs to know of a proxy."""
    if option is None or isinstance(option, str):
        return None if option is None else Proxy(parse_url(option))
    pair = base64.b64encode(f"{option.user}:{option.password.reveal()}".encode()).decode()
    return Proxy(parse_url(option.url), f"Basic {pair}")
