"""One place of a provider's API: asks it for JSON documents, within its rate, and judges what came instead of one.

A reply is never followed elsewhere: it cannot choose where the next request goes.
"""

from typing import Final, NamedTuple, TypeAlias

import trio

from gateway.core.document import parse_document
from gateway.core.model import Delivered, Json, NotTried, Outcome, Rejected, Retry, TargetDown
from gateway.core.pace import Pace, Rate
from gateway.errors import RequestError
from gateway.plugin import Context, HttpReply, Url, WireError
from gateway.provider_api.options import ApiOptions
from gateway.targets.http_endpoint import Endpoint
from gateway.targets.retry_after import retry_after
from gateway.targets.verdicts import judge_failure

GONE: Final = frozenset({404, 410})
_NEVER: Final = frozenset({400, 413, 414, 415, 422})
_DOWN: Final = {
    401: "the provider wants other credentials: check auth and headers",
    403: "the provider forbids it: check what the credentials may do",
    405: "the provider does not let this address be read: check url",
    406: "the provider has no such version or form: check the header Accept",
    407: "a proxy in between wants credentials: check user and password of proxy",
    429: "the provider has too much to do: rate would keep below its limit",
}


class Document(NamedTuple):
    """One answer of 2xx: JSON within its bounds."""

    raw: bytes
    value: Json


class Missing(NamedTuple):
    """The provider does not have what was asked for (404, 410)."""

    reason: str


Answer: TypeAlias = Document | Missing | Outcome
"""A document, or what it means that there is none; never `Delivered`."""


class Caller:
    """Asks for documents at one host; one per target or poller."""

    def __init__(self, options: ApiOptions, url: Url, context: Context, also: dict[str, str] | None = None) -> None:
        """Get ready without connecting; reads TLS files, so call it in a thread. `also` are headers, unless written."""
        headers = {"Accept": "application/json", "User-Agent": context.user_agent}
        for name, value in (*(also or {}).items(), *options.fixed_headers().items()):
            headers = {each: text for each, text in headers.items() if each.lower() != name.lower()} | {name: value}
        self._options = options
        self._url = url
        self._runtime = context.runtime
        self._endpoint = Endpoint(options, url, context, headers.items(), options.body, options.timeout)
        rate = options.rate
        self._pace = Pace(None if rate is None else Rate(rate, max(1, int(rate / 10))))

    async def get(self, target: str | None = None) -> Answer:
        """Ask once for path and query `target`, else those of the URL, once the rate lets it begin."""
        await self._wait_turn()
        try:
            with trio.fail_after(self._options.timeout):
                reply = await self._endpoint.request("GET", target, [], b"")
        except WireError as error:
            return judge_failure(error)
        except trio.TooSlowError:
            return Retry(f"no answer of {self._url.place} within {self._options.timeout:g} s")
        return judge(reply, self._url.place, self._runtime.now_ms())

    def close(self) -> None:
        """Close the kept connections."""
        self._endpoint.close()

    async def _wait_turn(self) -> None:
        if self._pace.is_free:
            return
        now = self._runtime.monotonic()
        while self._pace.ready(now) < 1:
            await trio.sleep(self._pace.wait(now))
            now = self._runtime.monotonic()
        self._pace.begin(1)
        self._pace.end(1, None, now)


def judge(reply: HttpReply, place: str, now_ms: int) -> Answer:
    """Give what a reply is; its reasons quote nothing of it."""
    status = reply.status
    if status < 300:
        return _document(reply, place)
    if status in GONE:
        return Missing(f"HTTP {status} of {place}")
    if status in _NEVER:
        return Rejected(f"HTTP {status} of {place}")
    after = retry_after(reply.header(b"retry-after"), now_ms)
    if status < 400:
        return TargetDown(f"HTTP {status} of {place}: redirects are not followed; write the final address", after)
    if status in _DOWN:
        return TargetDown(f"HTTP {status} of {place}: {_DOWN[status]}", after)
    return Retry(f"HTTP {status} of {place}", after)


def _document(reply: HttpReply, place: str) -> Answer:
    if reply.truncated:
        return Retry(f"the answer of {place} did not come whole: it is longer than body, or was cut off")
    try:
        return Document(reply.body, parse_document(reply.body))
    except RequestError as error:
        return Retry(f"the answer of {place} is no document: {error.detail}"[:300])


def tells_of_provider(answer: Answer) -> Outcome:
    """Give what an answer says of the provider alone, for a breaker: it answers, or it does not."""
    match answer:
        case Document() | Missing() | Rejected() | Delivered():
            return Delivered()
        case Retry() | TargetDown() | NotTried():
            return answer
