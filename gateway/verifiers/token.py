"""Scheme `token`: the provider sends the shared secret itself, in a header, the query or the body.

Proves only that the sender knows the token: the body is as good as the TLS connection it came over. The header or
query parameter is reported as consumed, so that the secret is stored nowhere; a token in the body is stored with the
body.
"""

import hmac

from pydantic import Field

from gateway.plugin import Options, Proof, Request, VerificationError, fit_secret, verifier
from gateway.verifiers.places import Place, header_name, parse_place


class TokenOptions(Options):
    """Where the token stands: exactly one of `header`, `query` and `body`."""

    header: str = Field(default="", examples=["X-Gitlab-Token", "Authorization"])
    """Name of the header."""
    query: str = Field(default="", examples=["secret"])
    """Name of the query parameter, as sent."""
    body: str = Field(default="", examples=["clientState", "value[].clientState"])
    """Dotted path of a field of the JSON body; `[]` asks every item of a list."""
    prefix: str = Field(default="", examples=["Bearer "])
    """Text before the token."""
    min_secret_bytes: int = Field(default=16, ge=1)
    """Shorter tokens are refused; lower it only for a provider that hands out shorter ones."""


@verifier(TokenOptions)
class Token:
    """A static token. Raises ValueError for an unfit secret or anything but one place."""

    def __init__(self, options: TokenOptions, secret: bytes) -> None:
        self._place = _only_place(options)
        self._expected = options.prefix.encode() + fit_secret(secret, options.min_secret_bytes)
        self._proof = Proof(
            consumed=(self._place.name.encode(),) if self._place.kind == "header" else (),
            consumed_query=(self._place.name,) if self._place.kind == "query" else (),
        )

    def verify(self, request: Request) -> Proof:
        """Prove that the token is there, once, and right; of a list in the body, in every item."""
        right = True
        for value in self._place.read_all(request):
            right &= hmac.compare_digest(value, self._expected)
        if not right:
            raise VerificationError("token", f"{self._place.text} holds another token")
        return self._proof

    def sign(self, request: Request) -> Request:
        """Give `request` with the token."""
        return self._place.write(request, self._expected)


def _only_place(options: TokenOptions) -> Place:
    given = [(kind, name) for kind in ("header", "query", "body") if (name := getattr(options, kind))]
    if len(given) != 1:
        raise ValueError("say where the token stands: exactly one of header, query and body")
    kind, name = given[0]
    if kind == "header":
        return Place("header", header_name(name).decode())
    return parse_place(f"{kind}.{name}")
