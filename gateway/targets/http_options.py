"""The options of an `http` target, and the refusal of what contradicts itself or would let secrets out."""

import re
from collections.abc import Sequence
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from gateway.plugin import Guard, Options, SecretText, Url, UrlTemplate, check_headers, parse_rule
from gateway.targets.http_auth import AuthTable
from gateway.targets.http_check import CheckTable
from gateway.targets.http_cloudevents import PREFIX, Attributes, Format
from gateway.targets.http_oauth import OAuth2Table
from gateway.targets.http_proxy import ProxyOption, is_here
from gateway.targets.http_sign import SignTable
from gateway.targets.http_tls import TlsTable
from gateway.targets.http_trace import TRACE_NAMES
from gateway.targets.http_values import HeaderValue, check_fields, split_headers
from gateway.targets.statuses import StatusVerdict, check_statuses

Method = Literal["POST", "PUT", "PATCH", "DELETE", "GET"]
BODILESS: Final = frozenset({"GET", "DELETE"})
"""Methods whose requests carry no content: what it would mean is not defined (RFC 9110, sections 9.3.1 and 9.3.5)."""

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
    check_fields(UrlTemplate(text).selectors, "a url")
    return text


def _check_static(headers: dict[str, str | SecretText]) -> dict[str, str | SecretText]:
    split_headers(headers)
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


def _check_rule(text: str) -> str:
    parse_rule(text)
    return text


Rules: TypeAlias = Annotated[tuple[Annotated[str, AfterValidator(_check_rule)], ...], Field(max_length=100)]
"""Entries of `allow` and `deny`."""


class HttpOptions(Options):
    """Where and how to send."""

    url: Annotated[str, AfterValidator(_check_url), Field(examples=["https://crm.example/orders/{body.order_id}"])]
    """`http://host:port/path`, `https://host/path`, or `unix:/path/of/the.sock:/path`. In path and query `{body.id}`,
    `{event.type}` or `{source}` stands for the value, as one percent-encoded piece."""
    method: Method = "POST"
    """The request's method; GET and DELETE send no content."""
    headers: Annotated[dict[str, HeaderValue], AfterValidator(_check_static), Field(default_factory=dict, repr=False)]
    """Headers to send with each request; a value is text, which may hold `{body.id}` and its like, or a reference to a
    secret that holds the whole value."""
    pass_headers: Annotated[tuple[str, ...], AfterValidator(_check_passed)] = ()
    """Names of headers of the original request to send along."""
    statuses: Annotated[dict[str, StatusVerdict], AfterValidator(check_statuses), Field(default_factory=dict)]
    """What statuses of the endpoint mean, where it differs from the documented table: "404" or "5xx" = "delivered",
    "retry", "reject", "down" or "close". A single status counts before its class."""
    auth: AuthTable | None = None
    """Who we are to the endpoint."""
    sign: SignTable | None = None
    """A signature over each message."""
    compress: Literal["gzip"] | None = None
    """"gzip": content of 1 KiB or more is sent compressed, with `Content-Encoding: gzip`, if that makes it smaller."""
    format: Format | None = None
    """"cloudevents": the message is a CloudEvent 1.0 with its attributes in headers; "cloudevents-structured": with its
    attributes around it, as JSON."""
    attributes: Attributes = Field(default={})
    """Attributes of the CloudEvent: `source`, `type`, `subject`, `dataschema` or extensions. One whose value a message
    does not have is left out."""
    traceparent: bool = False
    """True sends the trace context of the original request along (W3C `traceparent`, `tracestate`), or begins one."""
    tls: TlsTable | None = None
    """TLS settings; only with https."""
    allow: Rules = ()
    """What addresses connections may lead to, and no others: networks ("10.0.0.0/8"), addresses, "public", "private",
    "loopback". Unless written, these three."""
    deny: Rules = ()
    """What addresses connections may not lead to, although `allow` says so."""
    proxy: ProxyOption | None = Field(default=None, examples=["http://proxy.acme.example:3128"])
    """The HTTP proxy to go through: `http://host:port`, or a table with `url`, `user` and `password`."""
    check: CheckTable | None = None
    """Ask the endpoint whether it wants events of ours before it gets any, and again after the target was disabled."""

    @model_validator(mode="after")
    def _together(self) -> "HttpOptions":
        url = UrlTemplate(self.url).url
        if self.tls is not None and not url.tls:
            raise ValueError("tls is only for https: write an https url, or remove the table")
        written = {name.lower() for name in self.headers}
        if len(written) < len(self.headers):
            raise ValueError("headers holds one name twice, in capitals and small letters: keep one of them")
        both = sorted(written.intersection(self.pass_headers))
        if both:
            raise ValueError(f"{', '.join(both)} stands in headers and in pass_headers: keep one of them")
        self._check_ours(written)
        self._check_format(written)
        self._check_way(url)
        return self

    @property
    def oauth2(self) -> OAuth2Table | None:
        """Where tokens come from; None: they come from nowhere."""
        return self.auth.oauth2 if self.auth else None

    def _check_format(self, written: set[str]) -> None:
        if self.attributes and self.format is None:
            raise ValueError('attributes are those of a CloudEvent: write format = "cloudevents" too, or remove them')
        if self.format is None:
            return
        both = sorted(name for name in written.union(self.pass_headers) if name.startswith(PREFIX))
        if both:
            raise ValueError(f"{', '.join(both)} is written by format: it cannot stand elsewhere too")
        if self.format == "cloudevents-structured" and (self.method in BODILESS or "content-type" in written):
            raise ValueError(
                "format: a structured CloudEvent is content with a type of its own: POST it, no Content-Type"
            )

    def _check_way(self, url: Url) -> None:
        guard = self.narrow(Guard())
        if self.proxy is not None:
            if is_here(url):
                raise ValueError("proxy: what it would connect to is its own machine, not ours: remove proxy")
            guard = guard.behind_proxy()
        if url.is_numeric:
            guard.vet_literal(url.host, url.port)
        if self.check is not None and not UrlTemplate(self.url).fixed:
            raise ValueError("check asks one endpoint: it cannot stand beside a url with values of the message")

    def narrow(self, guard: Guard) -> Guard:
        """Give `guard` with these options' lists."""
        return guard.narrowed([parse_rule(text) for text in self.allow], [parse_rule(text) for text in self.deny])

    def _check_ours(self, written: set[str]) -> None:
        ours = {
            "auth": ("authorization",) if self.auth else (),
            "sign": self.sign.header_names() if self.sign else (),
            "compress": ("content-encoding",) if self.compress else (),
            "traceparent": TRACE_NAMES if self.traceparent else (),
        }
        taken = _OWN | {"content-type", "user-agent"}
        for key, names in ours.items():
            both = sorted(written.union(self.pass_headers, taken if key == "sign" else ()).intersection(names))
            if both:
                raise ValueError(f"{', '.join(both)} is written by {key}: it cannot stand elsewhere too")

    def warnings(self) -> Sequence[tuple[str, str]]:
        """Tell of a secret that stands in the configuration, and of a name that only a proxy looks up."""
        inline = (name for name, value in self.headers.items() if isinstance(value, str))
        remedy = 'put it into a file and write { file = "name" }'
        told = [
            ("headers", f"the value of {name} stands here for all to read: {remedy}")
            for name in inline
            if _SECRET.search(name)
        ]
        url = UrlTemplate(self.url).url
        if self.proxy is not None and not url.is_numeric and not self.narrow(Guard()).must_look_up:
            remedy = 'see to it there, or write allow = ["public"] to have the address checked here'
            told.append(("proxy", f"it looks up {url.host} itself and must refuse what nobody should reach: {remedy}"))
        return told
