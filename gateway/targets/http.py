"""The `http` target: one request for each message to an endpoint of the operator's.

The endpoint's status decides (`gateway.targets.verdicts`); nothing is followed, decompressed or trusted in a reply. Of
the original request's headers only those that the operator lists go along. The payload decides neither which host a
request goes to nor which headers it has; where the operator says so, it fills a piece of the path or a header's value.
"""

import gzip
from typing import Final

from gateway.plugin import (
    Context,
    Message,
    Outcome,
    Rejected,
    Scope,
    UnfitUrlError,
    UrlTemplate,
    WireError,
    target,
)
from gateway.targets.hops import hops_of, loop
from gateway.targets.http_check import ensure_wanted
from gateway.targets.http_cloudevents import STRUCTURED_TYPE, CloudEvents
from gateway.targets.http_endpoint import Endpoint
from gateway.targets.http_options import BODILESS, HttpOptions
from gateway.targets.http_trace import trace_headers
from gateway.targets.http_values import UnfitMessageError, fill_headers, reads_body, scope_of, split_headers
from gateway.targets.statuses import spread
from gateway.targets.verdicts import judge_failure, judge_reply

COMPRESS_FROM: Final = 1024
"""Bytes; shorter content gains nothing."""
COMPRESS_IN_THREAD_FROM: Final = 16 * 1024
"""Bytes; below, a thread costs more than the half millisecond of the work."""


@target(HttpOptions, timeout="30s", concurrency=16, send="payload")
class Http:
    """Delivers by HTTP/1.1 over a few kept connections of its own."""

    def __init__(self, options: HttpOptions) -> None:
        self._options = options
        self._url = UrlTemplate(options.url)
        self._passed = options.pass_headers
        self._statuses = spread(options.statuses)
        self._fixed, self._filled = split_headers(options.headers)
        self._signer = options.sign.signer() if options.sign else None
        self._sets_type = any(name.lower() == "content-type" for name in options.headers)
        self._cloudevents = CloudEvents(options.format, options.attributes) if options.format else None
        selectors = [*self._url.selectors, *(each for _, value in self._filled for each in value.selectors)]
        selectors += self._cloudevents.selectors if self._cloudevents else ()
        self._reads_message = bool(selectors)
        self._reads_body = reads_body(selectors)
        self._has_content = options.method not in BODILESS

    async def open(self, context: Context) -> None:
        """Read the TLS files, and ask the endpoint whether it wants events if the options say so."""
        self._runtime = context.runtime
        headers = dict(self._fixed)
        if not any(name.lower() == "user-agent" for name in self._options.headers):
            headers["User-Agent"] = context.user_agent
        if self._options.auth and (authorization := self._options.auth.header()):
            headers["Authorization"] = authorization
        self._endpoint = await self._runtime.in_file_thread(
            lambda: Endpoint(self._options, self._url.url, context, headers.items())
        )
        if table := self._options.check:
            client = await self._runtime.in_file_thread(self._endpoint.bare_client)
            try:
                await ensure_wanted(table, self._options.url, client, context.memory)
            finally:
                client.close()

    async def deliver(self, message: Message) -> Outcome:
        """Send the message once and judge the reply. Cancellation closes the connection; the endpoint may have it."""
        hops = hops_of(message)
        if rejected := loop(hops):
            return rejected
        runtime = self._runtime
        started = runtime.monotonic()
        try:
            headers = self._headers(message, hops + 1)
            content = message.content if self._has_content else b""
            path = None
            if self._reads_message or self._cloudevents:
                scope = scope_of(message, with_body=self._reads_body)
                path = self._fill(scope, headers)
                if self._cloudevents:
                    content = self._as_cloudevent(self._cloudevents, message, scope, headers) or content
            if self._options.compress and len(content) >= COMPRESS_FROM:
                content = await self._compressed(content, headers)
            if self._signer:
                headers += self._signer.headers(message.id, runtime.now_ms(), content)
            reply = await self._endpoint.request(self._options.method, path, headers, content)
        except WireError as error:
            return judge_failure(error)
        except (UnfitUrlError, UnfitMessageError) as error:
            return Rejected(str(error)[:500])
        except ValueError as error:
            return Rejected(f"header: {error}"[:500])
        took_ms = round((runtime.monotonic() - started) * 1000)
        return judge_reply(reply, took_ms, runtime.now_ms(), self._statuses)

    def rest(self) -> None:
        """Close the kept connections that would not be used again."""
        self._endpoint.rest()

    async def close(self) -> None:
        """Close the kept connections."""
        self._endpoint.close()

    def _headers(self, message: Message, hops: int) -> list[tuple[str, str]]:
        headers = [
            ("webhook-id", message.id),
            ("hookgate-attempt", str(message.attempt)),
            ("hookgate-hops", str(hops)),
        ]
        if message.content_type and self._has_content and not self._sets_type:
            headers.append(("Content-Type", message.content_type))
        if self._passed:
            hop_by_hop = {name.strip().lower() for name in message.headers.get("connection", "").split(",")}
            found = message.headers
            headers += [(name, found[name]) for name in self._passed if name in found and name not in hop_by_hop]
        if self._options.traceparent:
            headers += trace_headers(message)
        return headers

    def _fill(self, scope: Scope, headers: list[tuple[str, str]]) -> str | None:
        """Add the headers that a message fills, and give path and query if it fills them too."""
        headers += fill_headers(self._filled, scope)
        return None if self._url.fixed else self._url.target(scope)

    def _as_cloudevent(
        self, written: CloudEvents, message: Message, scope: Scope, headers: list[tuple[str, str]]
    ) -> bytes:
        """Add the headers of binary mode, or give the content of structured mode, with its type among the headers."""
        if not written.structured:
            headers += written.headers(message, scope)
            return b""
        headers[:] = [(name, value) for name, value in headers if name.lower() != "content-type"]
        headers.append(("Content-Type", STRUCTURED_TYPE))
        return written.document(message, scope)

    async def _compressed(self, content: bytes, headers: list[tuple[str, str]]) -> bytes:
        """Give the content compressed, if that is shorter; the same bytes on every try."""
        if len(content) < COMPRESS_IN_THREAD_FROM:
            packed = gzip.compress(content, mtime=0)
        else:
            packed = await self._runtime.in_file_thread(lambda: gzip.compress(content, mtime=0))
        if len(packed) >= len(content):
            return content
        headers.append(("Content-Encoding", "gzip"))
        return packed
