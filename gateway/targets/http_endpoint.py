"""The endpoint of an `http` target: its client with all that the options say of the way there, and its token."""

from collections.abc import Iterable
from typing import Final, Protocol

from gateway.plugin import Context, Guard, HttpClient, HttpReply, TlsOptions, Url, parse_url
from gateway.targets.http_oauth import OAuth2Table
from gateway.targets.http_proxy import ProxyTable, is_here, proxy_of
from gateway.targets.http_tls import TlsTable
from gateway.targets.http_token import TokenSource

HeaderList = list[tuple[str, str]]
REPLY_BYTES: Final = 64 * 1024
"""Of a reply's body, where nobody reads it."""
REPLY_SECONDS: Final = 2.0


class WayThere(Protocol):
    """What options say of the way to a place, and of who we are there."""

    @property
    def tls(self) -> TlsTable | None:
        """TLS settings."""
        ...

    @property
    def proxy(self) -> str | ProxyTable | None:
        """The proxy to go through."""
        ...

    @property
    def oauth2(self) -> OAuth2Table | None:
        """Where tokens come from; None: they come from nowhere."""
        ...

    def narrow(self, guard: Guard) -> Guard:
        """Give `guard` with these options' lists."""
        ...


class Endpoint:
    """Sends requests, each with the token that is good now."""

    def __init__(
        self,
        options: WayThere,
        url: Url,
        context: Context,
        headers: Iterable[tuple[str, str]],
        reply_bytes: int = REPLY_BYTES,
        reply_seconds: float = REPLY_SECONDS,
    ) -> None:
        """Get ready without connecting; reads TLS files (OSError names the file), so call it in a thread.

        Of a reply's body the first `reply_bytes` are kept, and `reply_seconds` waited for after its head.
        """
        self._options = options
        self._reply = (reply_bytes, reply_seconds)
        self._url = url
        self._context = context
        self._client = self._make(url, _tls(options), headers)
        self._tokens: TokenSource | None = None
        if table := options.oauth2:
            tls = TlsOptions(ca=table.ca)
            own = [("User-Agent", context.user_agent)]
            client = self._make(parse_url(table.token_url), tls, own, connections=1)
            self._tokens = TokenSource(table, client, context.runtime, context.timeout_seconds)

    def bare_client(self) -> HttpClient:
        """Make a client for the same place that carries none of the target's headers; blocks like the constructor."""
        headers = [("User-Agent", self._context.user_agent)]
        return self._make(self._url, _tls(self._options), headers, connections=1)

    async def request(self, method: str, target: str | None, headers: HeaderList, body: bytes) -> HttpReply:
        """See `HttpClient.request`. A token that the endpoint refuses is renewed once, and the request sent again."""
        if self._tokens is None:
            return await self._client.request(method, target, headers, body)
        token = await self._tokens.token()
        reply = await self._client.request(method, target, [*headers, _bearer(token)], body)
        if reply.status != 401:
            return reply
        self._tokens.spoil(token)
        again = await self._tokens.token()
        return await self._client.request(method, target, [*headers, _bearer(again)], body)

    def rest(self) -> None:
        """Close the kept connections that would not be used again."""
        self._client.rest()

    def close(self) -> None:
        """Close the kept connections."""
        self._client.close()
        if self._tokens is not None:
            self._tokens.close()

    def _make(
        self, url: Url, tls: TlsOptions | None, headers: Iterable[tuple[str, str]], connections: int = 0
    ) -> HttpClient:
        return HttpClient(
            self._context.runtime,
            url,
            connections=connections or self._context.connections,
            tls=tls,
            headers=headers,
            guard=self._options.narrow(self._context.guard),
            proxy=None if is_here(url) else proxy_of(self._options.proxy),
            reply_bytes=self._reply[0],
            reply_seconds=self._reply[1],
        )


def _bearer(token: str) -> tuple[str, str]:
    return "Authorization", f"Bearer {token}"


def _tls(options: WayThere) -> TlsOptions | None:
    return options.tls.for_client() if options.tls else None
