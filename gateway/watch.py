"""Looks from time to time at what nobody tells by itself: refusals, unused credentials, days on which something ends.

It reads counters, notes and files, and tells the announcer; how often a subject is told is the announcer's matter.
"""

from collections.abc import Callable
from typing import Final

import structlog
import trio

from gateway.announce import Announcer
from gateway.blueprint import Blueprint
from gateway.config.model_routes import Alerts
from gateway.core.disuse import DAY_MS, NOTE, Disuse
from gateway.core.moments import write_moment
from gateway.core.refusing import LOOKS, RefusalWatch, RefusingRule, Seen
from gateway.errors import StoreError
from gateway.expiry import find_ends
from gateway.metrics import Counters
from gateway.runtime import Runtime
from gateway.store.contract import Store

LOOK_EVERY_SECONDS: Final = 600.0
"""How often credentials and days are looked at; a crash forgets no more of a credential's uses."""
DEFAULTS: Final = Alerts(targets=("nobody",))
"""What counts without `[alerts]`: what is found then goes to the log."""

log = structlog.get_logger()


class Watch:
    """Watches one daemon."""

    def __init__(
        self, blueprint: Callable[[], Blueprint], counters: Counters, announcer: Announcer, runtime: Runtime
    ) -> None:
        """Prepare; `blueprint` gives the one that is live."""
        self._blueprint = blueprint
        self._counters = counters
        self._announcer = announcer
        self._runtime = runtime
        self._refusals = RefusalWatch()

    async def run(self, store: Store) -> None:
        """Look until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_refusals)
            nursery.start_soon(self._watch_credentials, store)
            nursery.start_soon(self._watch_days)

    @property
    def _alerts(self) -> Alerts:
        return self._blueprint().config.alerts or DEFAULTS

    async def _watch_refusals(self) -> None:
        while True:
            self.look_at_refusals()
            await trio.sleep(self._alerts.refusing.within / LOOKS)

    async def _watch_credentials(self, store: Store) -> None:
        disuse: Disuse | None = None
        while True:
            try:
                disuse = disuse or Disuse(await store.notes(NOTE))
                self.look_at_credentials(disuse)
                if changes := disuse.changes():
                    await store.keep_notes(changes)
                    disuse.wrote(changes)
            except StoreError as error:
                log.debug("store.postponed", target="", problem=str(error))
            await trio.sleep(LOOK_EVERY_SECONDS)

    async def _watch_days(self) -> None:
        while True:
            await self.look_at_days()
            await trio.sleep(LOOK_EVERY_SECONDS)

    def look_at_refusals(self) -> None:
        """Tell of sources that refuse too much."""
        rule = self._alerts.refusing
        within_ms = int(rule.within * 1000)
        counts = {
            name: Seen(
                seen.refused, seen.answered, {each.name: seen.used.get(each.name, 0) for each in source.credentials}
            )
            for name, source in self._blueprint().sources.items()
            if (seen := self._counters.sources.get(name)) is not None
        }
        chosen = RefusingRule(rule.share, within_ms, rule.at_least)
        for found in self._refusals.look(counts, chosen, self._runtime.now_ms()):
            names = ", ".join(found.credentials)
            data = {**found._asdict(), "credentials": names, "seconds": within_ms // 1000}
            self._announcer.tell("source.refusing", found.source, data)

    def look_at_credentials(self, disuse: Disuse) -> None:
        """Tell of credentials that nobody uses any more."""
        now = self._runtime.now_ms()
        counters = self._counters.sources
        used = {
            (name, credential.name): counters[name].used.get(credential.name, 0) if name in counters else 0
            for name, source in self._blueprint().sources.items()
            for credential in source.credentials
        }
        disuse.look(used, now)
        for source, credential, last_used, days in disuse.unused(int(self._alerts.unused * 1000), now):
            moment = "" if last_used is None else write_moment(last_used)
            data = {"source": source, "credential": credential, "last_used": moment, "days": days}
            self._announcer.tell("credential.unused", f"{source} {credential}", data)

    async def look_at_days(self) -> None:
        """Tell of certificates and secrets that end soon, or have ended."""
        blueprint = self._blueprint()
        ends = await self._runtime.in_file_thread(lambda: find_ends(blueprint))
        now = self._runtime.now_ms()
        for end in ends:
            if end.at - now <= self._alerts.expiry * 1000:
                thing = end.kind.partition(".")[0]
                day, days = write_moment(end.at)[:10], (end.at - now) // DAY_MS
                data = {thing: end.name, "used_by": end.used_by, "expires": day, "days": days}
                self._announcer.tell(end.kind, f"{end.name} ({end.used_by})", data)
