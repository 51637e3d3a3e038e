"""The `http` target: one request for each message to an endpoint of the operator's.

The endpoint's status decides (`gateway.targets.verdicts`); nothing is followed, decompressed or trusted in a reply. Of
the original request's headers only those that the operator lists go along. The payload decides neither where a request
goes nor which headers it has.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from gateway.plugin import (
    Context,
    Guard,
    HttpClient,
    Message,
    Options,
    Outcome,
    Rejected,
    SecretText,
    TlsOptions,
    WireError,
    check_headers,
    parse_rule,
    parse_url,
    target,
)
from gateway.targets.hops import hops_of, loop
from gateway.targets.verdicts import judge_failure, judge_reply

_NEVER_PASSED: Final = frozenset(
    {
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_SECRET: Final = re.compile(r"authorization|cookie|token|secret|passw|api-?key", re.IGNORECASE)
_OWN: Final = frozenset({"webhook-id", "hookgate-attempt", "hookgate-hops"})


def _check_url(text: str) -> str:
    parse_url(text)
    return text


def _check_rule(text: str) -> str:
    parse_rule(text)
    return text


_Rules: TypeAlias = Annotated[tuple[Annotated[str, AfterValidator(_check_rule)], ...], Field(max_length=100)]
"""Entries of `allow` and `deny`."""


def _form(value: object) -> str:
    return "<text>" if isinstance(value, str) else "<secret>"


_Value: TypeAlias = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[SecretText, Tag("<secret>")], Discriminator(_form)
]
"""A header's value, or where it is."""


def _plain(headers: Mapping[str, str | SecretText]) -> dict[str, str]:
    """Give headers as they are sent; a value that was not read is empty."""
    return {
        name: value if isinstance(value, str) else value.reveal() if value.is_read else ""
        for name, value in headers.items()
    }


def _check_static(headers: dict[str, str | SecretText]) -> dict[str, str | SecretText]:
    check_headers(_plain(headers).items())
    own = sorted(_OWN.intersection(name.lower() for name in headers))
    if own:
        raise ValueError(f"{', '.join(own)} is written by the gateway")
    return headers


def _check_passed(names: tuple[str, ...]) -> tuple[str, ...]:
    check_headers((name, "") for name in names)
    lower = tuple(name.lower() for name in names)
    never = sorted((_NEVER_PASSED | _OWN).intersection(lower))
    if never:
        raise ValueError(f"{', '.join(never)} is never passed on: it holds secrets, or belongs to one connection only")
    return lower


def _check_file(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError("expected an absolute path")
    return path


PemFile = Annotated[str, AfterValidator(_check_file)]


class TlsTable(Options):
    """TLS settings for an https url. The server's certificate is always checked."""

    ca: PemFile | None = None
    """PEM file of the authorities to trust instead of the system's."""
    cert: PemFile | None = None
    """PEM file of our own certificate, for endpoints that ask for one."""
    key: PemFile | None = None
    """PEM file of its key, if that is not in the same file; without a passphrase."""
    server_name: str | None = None
    """The name that the certificate must hold, instead of the url's host."""

    @model_validator(mode="after")
    def _together(self) -> "TlsTable":
        if self.key is not None and self.cert is None:
            raise ValueError("key needs cert: the certificate that it belongs to")
        return self


class HttpOptions(Options):
    """Where and how to send."""

    url: Annotated[str, AfterValidator(_check_url)]
    """`http://host:port/path`, `https://host/path`, or `unix:/path/of/the.sock:/path`."""
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    """The request's method."""
    headers: Annotated[dict[str, _Value], AfterValidator(_check_static), Field(default_factory=dict, repr=False)]
    """Headers to send with each request; a value is text, or a reference to a secret that holds the whole value."""
    pass_headers: Annotated[tuple[str, ...], AfterValidator(_check_passed)] = ()
    """Names of headers of the original request to send along."""
    allow: _Rules = ()
    """What addresses connections may lead to, and no others: networks ("10.0.0.0/8"), addresses, "public", "private",
    "loopback". Unless written, these three."""
    deny: _Rules = ()
    """What addresses connections may not lead to, although `allow` says so."""
    tls: TlsTable | None = None
    """TLS settings; only with https."""

    @model_validator(mode="after")
    def _together(self) -> "HttpOptions":
        if self.tls is not None and not parse_url(self.url).tls:
            raise ValueError("tls is only for https: write an https url, or remove the table")
        both = sorted(set(self.pass_headers).intersection(name.lower() for name in self.headers))
        if both:
            raise ValueError(f"{', '.join(both)} stands in headers and in pass_headers: keep one of them")
        if (url := parse_url(self.url)).is_numeric:
            self.narrow(Guard()).vet_literal(url.host, url.port)
        return self

    def narrow(self, guard: Guard) -> Guard:
        """Give `guard` with these options' lists."""
        return guard.narrowed([parse_rule(text) for text in self.allow], [parse_rule(text) for text in self.deny])

    def warnings(self) -> Sequence[tuple[str, str]]:
        """Tell of a secret that stands in the configuration."""
        inline = (name for name, value in self.headers.items() if isinstance(value, str))
        remedy = 'put it into a file and write { file = "name" }'
        return [
            ("headers", f"the value of {name} stands here for all to read: {remedy}")
            for name in inline
            if _SECRET.search(name)
        ]


@target(HttpOptions, timeout="30s", concurrency=16, send="payload")
class Http:
    """Delivers by HTTP/1.1 over a few kept connections of its own."""

    def __init__(self, options: HttpOptions) -> None:
        self._options = options
        self._url = parse_url(options.url)
        self._passed = options.pass_headers
        self._sets_type = any(name.lower() == "content-type" for name in options.headers)

    async def open(self, context: Context) -> None:
        """Read the TLS files; nothing is connected yet."""
        self._runtime = context.runtime
        tls = TlsOptions(**self._options.tls.model_dump()) if self._options.tls else None
        headers = _plain(self._options.headers)
        if not any(name.lower() == "user-agent" for name in headers):
            headers["User-Agent"] = context.user_agent
        self._client = await self._runtime.in_file_thread(
            lambda: HttpClient(
                context.runtime,
                self._url,
                connections=context.connections,
                tls=tls,
                headers=headers.items(),
                guard=self._options.narrow(context.guard),
            )
        )

    async def deliver(self, message: Message) -> Outcome:
        """Send the message once and judge the reply. Cancellation closes the connection; the endpoint may have it."""
        hops = hops_of(message)
        if rejected := loop(hops):
            return rejected
        runtime = self._runtime
        started = runtime.monotonic()
        try:
            reply = await self._client.request(
                self._options.method, None, self._headers(message, hops + 1), message.content
            )
        except WireError as error:
            return judge_failure(error)
        except ValueError as error:
            return Rejected(f"header: {error}"[:500])
        return judge_reply(reply, round((runtime.monotonic() - started) * 1000), runtime.now_ms())

    async def close(self) -> None:
        """Close the kept connections."""
        self._client.close()

    def _headers(self, message: Message, hops: int) -> list[tuple[str, str]]:
        headers = [
            ("webhook-id", message.id),
            ("hookgate-attempt", str(message.attempt)),
            ("hookgate-hops", str(hops)),
        ]
        if message.content_type and not self._sets_type:
            headers.append(("Content-Type", message.content_type))
        if self._passed:
            hop_by_hop = {name.strip().lower() for name in message.headers.get("connection", "").split(",")}
            found = message.headers
            headers += [(name, found[name]) for name in self._passed if name in found and name not in hop_by_hop]
        return headers
