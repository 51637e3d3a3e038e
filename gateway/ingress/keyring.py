"""The documents with providers' keys: fetched once, kept, renewed behind the requests' backs.

Verification only looks into it. A stranger may name any key he likes, so what he can make us fetch is bounded: one
fetch of a document at a time, pauses between two, few new documents of one host in a minute, few documents in all.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import structlog
import trio

from gateway.core.published import KeyRef, NeedsKey, Published
from gateway.errors import KeyUnavailableError
from gateway.runtime import Runtime

FRESH_SECONDS: Final = 3600.0
"""An older document is renewed while it is still used."""
KEPT_SECONDS: Final = 86_400.0
"""A document that could not be renewed for so long is used no more: a provider may have withdrawn its keys."""
RENEW_SECONDS: Final = 60.0
"""Between two fetches of one document, however many unknown keys are asked for."""
FAILED_SECONDS: Final = 10.0
"""The same after a failure."""
WAIT_SECONDS: Final = 5.0
"""How long a sender waits for a document before it gets 503."""
DOCUMENTS_MAX: Final = 256
NEW_PER_MINUTE: Final = 20
"""Documents of one host that were never fetched before."""
HOSTS_MAX: Final = 256
"""From there on, hosts whose minute is over are forgotten; documents, and so hosts in use, are bounded."""

Fetch: TypeAlias = Callable[[KeyRef], Awaitable[bytes]]
"""Gives the document; raises KeyUnavailableError."""

log = structlog.get_logger()


class _Entry:
    """One document, or the attempt to get it."""

    def __init__(self) -> None:
        self.published: Published | None = None
        self.fetched_at = 0.0
        self.tried_at = float("-inf")
        self.why = ""
        self.under_way: trio.Event | None = None


class KeyRing:
    """Implements `core.published.Keys`; one per daemon, so that a reload keeps what is known."""

    def __init__(self, fetch: Fetch, runtime: Runtime) -> None:
        self._fetch = fetch
        self._runtime = runtime
        self._entries: dict[KeyRef, _Entry] = {}
        self._minutes: dict[str, tuple[float, int]] = {}
        """By host, when its minute began, and how many new documents were fetched in it."""
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Fetch what is asked for until cancelled."""
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            await trio.sleep_forever()

    def get(self, ref: KeyRef) -> Published | None:
        """Give the document of `ref` if it is at hand and not too old; an old one is renewed meanwhile."""
        entry = self._entries.get(ref)
        if entry is None or entry.published is None:
            return None
        now = self._runtime.monotonic()
        age = now - entry.fetched_at
        if age > FRESH_SECONDS and entry.under_way is None and now - entry.tried_at >= RENEW_SECONDS:
            self._start(ref, entry)
        return entry.published if age <= KEPT_SECONDS else None

    async def fetch(self, need: NeedsKey) -> bytes:
        """Give a document that was not at hand, or (if `need.newer`) is newer than that. Raises KeyUnavailableError.

        Whoever waits may be cancelled: the fetch goes on for the others.
        """
        entry = self._entries.get(need.ref) or self._new(need.ref)
        if entry.under_way is not None and entry.published is not None:
            await _wait(entry.under_way)  # begun before this request came: it may lack the key that is wanted
        if entry.under_way is None:
            self._start(need.ref, entry)
        if entry.under_way is not None:
            await _wait(entry.under_way)
        if entry.why or entry.published is None:
            raise KeyUnavailableError(entry.why, FAILED_SECONDS)
        return entry.published.document

    def _new(self, ref: KeyRef) -> _Entry:
        self._make_room()
        entry = self._entries[ref] = _Entry()
        return entry

    def _make_room(self) -> None:
        """Forget the document that was asked for the longest ago, those that never came first."""
        if len(self._entries) < DOCUMENTS_MAX:
            return
        idle = [ref for ref, entry in self._entries.items() if entry.under_way is None]
        if not idle:
            raise KeyUnavailableError("too many keys are being fetched", RENEW_SECONDS)
        empty = [ref for ref in idle if self._entries[ref].published is None]
        del self._entries[min(empty or idle, key=lambda ref: self._entries[ref].tried_at)]

    def _start(self, ref: KeyRef, entry: _Entry) -> None:
        """Begin to fetch a document. Raises KeyUnavailableError if it, or others of its host, were tried lately."""
        now = self._runtime.monotonic()
        pause = entry.tried_at + (FAILED_SECONDS if entry.why else RENEW_SECONDS) - now
        if pause > 0:
            raise KeyUnavailableError(entry.why or "it was fetched just now, without the key asked for", pause)
        if self._nursery is None:
            raise KeyUnavailableError("the gateway is starting", FAILED_SECONDS)
        if entry.published is None:
            self._count(urlsplit(ref.url).netloc, now)
        entry.under_way, entry.tried_at = trio.Event(), now
        self._nursery.start_soon(self._renew, ref, entry, entry.under_way)

    def _count(self, host: str, now: float) -> None:
        begun, count = self._minutes.get(host, (now, 0))
        if now - begun >= 60:
            begun, count = now, 0
        if count >= NEW_PER_MINUTE:
            raise KeyUnavailableError(f"{host} was asked for {count} new keys within a minute", 60 - (now - begun))
        if len(self._minutes) >= HOSTS_MAX:
            self._minutes = {each: minute for each, minute in self._minutes.items() if now - minute[0] < 60}
        self._minutes[host] = (begun, count + 1)

    async def _renew(self, ref: KeyRef, entry: _Entry, done: trio.Event) -> None:
        try:
            entry.published = Published(await self._fetch(ref))
            entry.fetched_at, entry.why = self._runtime.monotonic(), ""
            log.info("key.fetched", url=ref.url)
        except KeyUnavailableError as error:
            entry.why = str(error)
            log.warning("key.unavailable", url=ref.url, problem=entry.why)
        finally:
            entry.under_way = None
            done.set()


async def _wait(under_way: trio.Event) -> None:
    with trio.move_on_after(WAIT_SECONDS):
        await under_way.wait()
        return
    raise KeyUnavailableError(f"the provider has not given it within {WAIT_SECONDS:g} s", WAIT_SECONDS)


class KeysOfRequest:
    """The ring as one request sees it: what was fetched for it counts as fresh."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._fetched: dict[KeyRef, Published] = {}

    def get(self, ref: KeyRef) -> Published | None:
        """Give what was fetched for this request, else what the ring has."""
        return self._fetched.get(ref) or self._ring.get(ref)

    async def fetch(self, need: NeedsKey) -> None:
        """Have what verification needs. Raises KeyUnavailableError."""
        self._fetched[need.ref] = Published(await self._ring.fetch(need), fresh=True)
