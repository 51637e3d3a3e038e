"""A real OAuth2 token endpoint: a sink that hands out tokens by client credentials, with the sink's ways to fail."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, unquote_plus

from harness.sink import Arrival, Fault, Sink, open_sink

SECRET = "t0p s3cret&=+%/"


class TokenEndpoint:
    """Counts what it is asked for; `fault` of its sink says how it misbehaves instead of handing out a token."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.lifetime: object = 3600
        """`expires_in` of the tokens."""
        self.more: dict[str, object] = {}
        """What else a reply says, or says instead."""
        self.valid = ""
        """The token handed out last."""
        self._count = 0
        sink.choose = self._choose

    @property
    def asked(self) -> list[Arrival]:
        """All requests for tokens."""
        return self.sink.arrivals

    def form(self, number: int = -1) -> dict[str, str]:
        """The fields of a request."""
        return dict(parse_qsl(self.asked[number].body.decode(), strict_parsing=True))

    def _choose(self, arrival: Arrival) -> Fault:
        if self.sink.fault != Fault():
            return self.sink.fault
        if not _knows(arrival):
            return Fault(401, body=b'{"error": "invalid_client", "error_description": "who are you"}')
        self._count += 1
        self.valid = f"token-{self._count}"
        reply = {"access_token": self.valid, "token_type": "Bearer", "expires_in": self.lifetime, **self.more}
        return Fault(body=json.dumps(reply).encode(), headers=(("Content-Type", "application/json"),))


def _knows(arrival: Arrival) -> bool:
    form = dict(parse_qsl(arrival.body.decode()))
    authorization = arrival.headers.get("authorization", "")
    if authorization.startswith("Basic "):
        pair = base64.b64decode(authorization[6:]).decode().split(":")
        return [unquote_plus(each) for each in pair] == ["hookgate", SECRET]
    return (form.get("client_id"), form.get("client_secret")) == ("hookgate", SECRET)


@asynccontextmanager
async def open_token_endpoint() -> AsyncIterator[TokenEndpoint]:
    """Run one for the length of a block."""
    async with open_sink() as sink:
        yield TokenEndpoint(sink)
