"""OAuth2 client credentials of an `http` target (RFC 6749, 4.4): the table, and the request for a token."""

import base64
import re
from typing import Annotated, Final, Literal
from urllib.parse import quote_plus, urlencode

from pydantic import AfterValidator, Field, model_validator

from gateway.plugin import Options, SecretText, parse_url
from gateway.targets.http_proxy import is_here
from gateway.targets.http_tls import PemFile

_PRINTABLE: Final = re.compile(r"[\x20-\x7e]+")


def _check_token_url(text: str) -> str:
    url = parse_url(text)
    if not (url.tls or is_here(url)):
        raise ValueError("the client secret goes there: expected https (or this machine: 127.0.0.1, [::1], unix:…)")
    return text


_Text = Annotated[str, Field(min_length=1, max_length=1024)]


class OAuth2Table(Options):
    """A token by OAuth2 client credentials, asked for anew before it expires; sent as `Authorization: Bearer …`."""

    token_url: Annotated[str, AfterValidator(_check_token_url)] = Field(examples=["https://login.acme.example/token"])
    """The token endpoint."""
    client_id: _Text = Field(examples=["hookgate"])
    """Who we are to it."""
    client_secret: SecretText
    """Where the client's secret is."""
    scopes: tuple[_Text, ...] = Field(default=(), max_length=50, examples=[["events.write"]])
    """What to ask for; sent as `scope`, with spaces between."""
    audience: _Text | None = None
    """Whom the token is for, where the token endpoint wants to know; sent as `audience`."""
    client_auth: Literal["basic", "body"] = "basic"
    """How id and secret are sent: in the Authorization header, or in the body as `client_id` and `client_secret`."""
    ca: PemFile | None = None
    """PEM file of the authorities to trust for the token endpoint instead of the system's."""

    @model_validator(mode="after")
    def _check(self) -> "OAuth2Table":
        for name, text in (("client_id", self.client_id), ("scopes", "".join(self.scopes) or "-")):
            if not _PRINTABLE.fullmatch(text):
                raise ValueError(f"{name} is expected in printable ASCII characters")
        if any(" " in scope for scope in self.scopes):
            raise ValueError("a scope holds no space: write several as a list")
        return self

    def request(self) -> tuple[list[tuple[str, str]], bytes]:
        """Give headers and body of a request for a token."""
        secret = self.client_secret.reveal()
        fields = {"grant_type": "client_credentials"}
        headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")]
        if self.scopes:
            fields["scope"] = " ".join(self.scopes)
        if self.audience:
            fields["audience"] = self.audience
        if self.client_auth == "body":
            fields |= {"client_id": self.client_id, "client_secret": secret}
        else:  # each form-encoded before it is joined (RFC 6749, 2.3.1)
            pair = f"{quote_plus(self.client_id)}:{quote_plus(secret)}"
            headers.append(("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"))
        return headers, urlencode(fields).encode()
