"""Fetches one document with a provider's keys, or visits one address for it, over HTTPS and past the guard.

Nothing is followed or decompressed. Addresses inside are denied unless `[keys] allow` names them: in some of these
requests the provider, and so perhaps a stranger, has a word.
"""

from collections.abc import Callable, Sequence
from typing import Final

import trio

from gateway.config.model_keys import KeyFetching
from gateway.core.published import KeyRef
from gateway.errors import KeyUnavailableError, VisitFailedError
from gateway.runtime import Runtime
from gateway.wire.addresses import AddressClass
from gateway.wire.client import HttpClient, HttpReply, TlsOptions, WireError, parse_url
from gateway.wire.guard import Guard, Own, parse_rule

FETCH_SECONDS: Final = 10.0
AGAIN_SECONDS: Final = 10.0


class KeyFetcher:
    """One per daemon; asks `settings` anew each time, so that a reload counts."""

    def __init__(self, settings: Callable[[], KeyFetching], own: Sequence[Own], runtime: Runtime) -> None:
        self._settings = settings
        self._own = tuple(own)
        self._runtime = runtime

    async def fetch(self, ref: KeyRef) -> bytes:
        """Give the document at `ref`. Raises KeyUnavailableError that tells why there is none."""
        headers = (("Accept", "*/*"), *((("Content-Type", "application/json"),) if ref.body else ()))
        reply = await self._ask("POST" if ref.body else "GET", ref.url, headers, ref.body)
        if reply.truncated:
            raise KeyUnavailableError("the document did not come whole, or is over 64 KiB", AGAIN_SECONDS)
        return reply.body

    async def visit(self, url: str) -> None:
        """GET `url` and see it answered with 2xx. Raises VisitFailedError."""
        try:
            await self._ask("GET", url, (), b"")
        except KeyUnavailableError as error:
            raise VisitFailedError(str(error), error.after) from None

    async def _ask(self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> HttpReply:
        try:
            client = await self._runtime.in_file_thread(lambda: self._client(url))
            try:
                with trio.fail_after(FETCH_SECONDS):
                    reply = await client.request(method, None, headers, body)
            finally:
                client.close()
        except trio.TooSlowError:
            raise KeyUnavailableError(f"no answer within {FETCH_SECONDS:g} s", AGAIN_SECONDS) from None
        except WireError as error:
            raise KeyUnavailableError(f"{error.reason}: {error}", AGAIN_SECONDS) from None
        except (ValueError, OSError) as error:
            raise KeyUnavailableError(str(error)[:200], AGAIN_SECONDS) from None
        if not 200 <= reply.status < 300:
            raise KeyUnavailableError(f"HTTP {reply.status}", AGAIN_SECONDS)
        return reply

    def _client(self, url: str) -> HttpClient:
        settings, parsed = self._settings(), parse_url(url)
        if not parsed.tls:
            raise ValueError("keys are fetched over https only")
        allow = (AddressClass.PUBLIC, *map(parse_rule, settings.allow))
        guard = Guard(allow, (), self._own, sockets=False)
        return HttpClient(self._runtime, parsed, connections=1, tls=TlsOptions(ca=settings.ca), guard=guard)
