"""The resource of a provider that belongs to an event: whether there is one, and where it is. Pure.

Where a payload names the whole URL, it chooses among the hosts that the operator wrote, and nothing else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.core.document import parse_document
from gateway.core.model import StoredEvent
from gateway.core.pattern import Pattern
from gateway.core.selector import Scope, Selector, parse_selector
from gateway.errors import RequestError
from gateway.plugin import UnfitUrlError, Url, UrlTemplate, parse_url
from gateway.provider_api.fetch_options import FetchOptions
from gateway.targets.http_proxy import is_here

_HOST: Final = re.compile(r"https?://[^/?#]+")


@dataclass(frozen=True, slots=True)
class Resource:
    """What one target fetches."""

    options: FetchOptions
    template: UrlTemplate | None
    """Where it is; None: where the payload says."""
    place: Selector | None
    events: Pattern
    sources: frozenset[str]
    """Names of the sources whose events have one."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the recipe; the operator's own win."""
    written: str = ""
    """What it was made of besides the options, in words: another text is another resource."""

    def belongs_to(self, event: StoredEvent) -> bool:
        """Tell whether an event has such a resource."""
        return event.source in self.sources and self.events.matches(event.type)

    def address(self, event: StoredEvent) -> tuple[Url, str]:
        """Give where an event's resource is: whom to connect to, and path and query. Raises UnfitUrlError."""
        try:
            body = parse_document(event.payload or b"")
        except RequestError:
            body = None
        scope = Scope(None, body, None, event, event.source)
        if self.template is not None:
            url = self.template.url
            return url, url.target if self.template.fixed else self.template.target(scope)
        return self._named(self.place.value(scope) if self.place else None)

    def _named(self, text: object) -> tuple[Url, str]:
        place = self.options.url_at
        if not isinstance(text, str):
            raise UnfitUrlError(f"url: there is no URL at {place}")
        try:
            url = parse_url(text)
        except ValueError:
            raise UnfitUrlError(f"url: what stands at {place} is no URL") from None
        if not (url.tls or is_here(url)) or url.socket_path:
            raise UnfitUrlError(f"url: what stands at {place} is not https")
        if not any(_fits(url.authority.lower(), host) for host in self.options.hosts):
            raise UnfitUrlError(f"url: what stands at {place} leads to none of hosts")
        return url, url.target


def make_resource(
    options: FetchOptions,
    url: str | None,
    events: tuple[str, ...],
    sources: frozenset[str],
    headers: Mapping[str, str],
) -> Resource:
    """Compile what a target's `fetch` and its recipe say together; `url` is that of either, None with `url_at`.

    Raises ValueError.
    """
    if url is not None and options.base_url is not None:
        base = options.base_url.rstrip("/")
        url = _HOST.sub(lambda _: base, url, count=1)
    written = repr([url, events, sorted(sources), sorted(headers.items())])
    place = None if options.url_at is None else parse_selector(options.url_at)
    return Resource(
        options, None if url is None else UrlTemplate(url), place, Pattern(events), sources, headers, written
    )


def _fits(authority: str, host: str) -> bool:
    return authority.endswith(host[1:]) if host.startswith("*.") else authority == host
