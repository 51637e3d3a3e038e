"""Fetches the resources of one target's events: a short cache, one breaker, and the answer's meaning for a delivery.

A cached resource serves only events that had come when it was fetched: nobody gets what is older than the event. A
provider that is down is asked by one probe at a time, as a target is.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple, TypeAlias

from gateway.core.model import Delivered, NotTried, Outcome, Rejected, Retry, StoredEvent, TargetDown
from gateway.plugin import Context, UnfitUrlError, Url
from gateway.provider_api.caller import Answer, Caller, Document, Missing, tells_of_provider
from gateway.provider_api.provider_breaker import ProviderBreaker
from gateway.provider_api.resource import Resource

AT_ONCE: Final = 8
"""Fetches at the same time."""
CACHED_MAX: Final = 256
CACHED_BYTES_MAX: Final = 8 * 1024 * 1024
NOTHING: Final = b"null"
"""What stands beside the payload where the provider has no such resource and the operator wants no more."""

Fetched: TypeAlias = bytes | Outcome
"""The resource as JSON, or what becomes of the delivery without it; never `Delivered`."""


class Kept(NamedTuple):
    """A resource, and when it was asked for."""

    resource: bytes
    asked_at: int
    """Milliseconds since 1970."""
    until: float
    """Monotonic seconds."""


class Fetcher:
    """Fetches for one target."""

    def __init__(self, resource: Resource, context: Context, count: Callable[[str], None]) -> None:
        """Prepare; `count` is called with what came of each fetch: `found`, `missing`, `down` or `failed`."""
        self._resource = resource
        self._context = replace(context, connections=AT_ONCE)
        self._runtime = context.runtime
        self._caller: Caller | None = None
        self.breaker = ProviderBreaker(context)
        self._count = count
        self._kept: OrderedDict[tuple[str, str], Kept] = OrderedDict()
        self._kept_bytes = 0

    def wants(self, event: StoredEvent) -> bool:
        """Tell whether an event needs a resource."""
        return self._resource.belongs_to(event)

    def cached(self, event: StoredEvent) -> bytes | None:
        """Give an event's resource if it was fetched a short while ago, and not before the event came."""
        try:
            url, target = self._resource.address(event)
        except UnfitUrlError:
            return None  # `fetch` tells
        kept = self._kept.get((url.place, target))
        if kept is None or kept.until <= self._runtime.monotonic() or kept.asked_at < event.accepted_at:
            return None
        return kept.resource

    async def fetch(self, event: StoredEvent) -> Fetched:
        """Ask for an event's resource; only while its breaker waits no more. Raises nothing but Cancelled."""
        try:
            url, target = self._resource.address(event)
        except UnfitUrlError as error:
            return Rejected(f"fetch: {error}"[:500])
        self.breaker.begin()
        asked_at = self._runtime.now_ms()
        answer: Answer = NotTried("cancelled")
        try:
            answer = await self._ask(url, target)
        finally:
            self.breaker.note(tells_of_provider(answer))
        self._count(_result(answer))
        await self.breaker.save()
        return self._meaning(answer, (url.place, target), asked_at)

    def close(self) -> None:
        """Close the kept connections."""
        if self._caller is not None:
            self._caller.close()

    async def _ask(self, url: Url, target: str) -> Answer:
        try:
            if self._resource.template is None:
                return await self._ask_elsewhere(url, target)
            if self._caller is None:
                self._caller = await self._runtime.in_file_thread(lambda: self._make(url, self._context))
            return await self._caller.get(target)
        except OSError as error:
            return NotTried(f"tls: {error}"[:300])

    async def _ask_elsewhere(self, url: Url, target: str) -> Answer:
        """Ask where the payload says: at public addresses, by a connection that is not kept."""
        context = replace(self._context, guard=self._context.guard.public_only())
        caller = await self._runtime.in_file_thread(lambda: self._make(url, context))
        try:
            return _of_one_place(await caller.get(target))
        finally:
            caller.close()

    def _make(self, url: Url, context: Context) -> Caller:
        return Caller(self._resource.options, url, context, dict(self._resource.headers))

    def _meaning(self, answer: Answer, key: tuple[str, str], asked_at: int) -> Fetched:
        match answer:
            case Document(raw):
                self._keep(key, raw, asked_at)
                return raw
            case Missing(reason):
                missing = self._resource.options.missing
                if missing == "deliver":
                    self._keep(key, NOTHING, asked_at)
                    return NOTHING
                told = f"fetch: {reason}: there is no such resource"
                return Rejected(told) if missing == "dead" else Retry(told)
            case TargetDown(reason):  # the provider, not the target: its own breaker has noted it
                return NotTried(f"fetch: {reason}"[:500])
            case Delivered():
                return answer
        return replace(answer, reason=f"fetch: {answer.reason}"[:500])

    def _keep(self, key: tuple[str, str], resource: bytes, asked_at: int) -> None:
        seconds = self._resource.options.cache
        if not seconds or len(resource) > CACHED_BYTES_MAX:
            return
        if old := self._kept.pop(key, None):
            self._kept_bytes -= len(old.resource)
        self._kept[key] = Kept(resource, asked_at, self._runtime.monotonic() + seconds)
        self._kept_bytes += len(resource)
        while len(self._kept) > CACHED_MAX or self._kept_bytes > CACHED_BYTES_MAX:
            self._kept_bytes -= len(self._kept.popitem(last=False)[1].resource)


def _result(answer: Answer) -> str:
    if isinstance(answer, Document):
        return "found"
    return "missing" if isinstance(answer, Missing) else "down" if isinstance(answer, TargetDown) else "failed"


def _of_one_place(answer: Answer) -> Answer:
    """Give an answer as what concerns this message alone: another may name another place, which is well."""
    if not isinstance(answer, TargetDown):
        return answer
    return Rejected(answer.reason) if answer.reason.startswith("denied-address") else Retry(answer.reason, answer.after)
