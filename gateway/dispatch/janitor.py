"""Chores beside the deliveries: retention in small batches, a look at the clock, one small commit if nothing commits.

The commit is what readiness and the watchdog rest on: "the process is up" would say nothing about the disk.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio

from gateway.errors import StoreBrokenError, StoreError
from gateway.runtime import Runtime
from gateway.store.contract import Keep, Store

RETENTION_EVERY_SECONDS: Final = 60.0
PAUSE_BETWEEN_BATCHES_SECONDS: Final = 0.05
PROBE_AFTER_SECONDS: Final = 4.0
LOOK_EVERY_SECONDS: Final = 1.0
STEP_MS: Final = 5_000
"""How far the wall clock may go back, in one step or several, before what waits is moved along."""

log = structlog.get_logger()


async def retain(store: Store, keep: Callable[[], Keep], runtime: Runtime) -> None:
    """Remove what is older than `keep` says, a batch at a time, until cancelled; unsettled work stays."""
    while True:
        try:
            while await store.retain(keep(), runtime.now_ms()):  # noqa: ASYNC110 - a pause between batches, not a poll
                await trio.sleep(PAUSE_BETWEEN_BATCHES_SECONDS)
        except StoreBrokenError:
            return
        except StoreError as error:
            log.error("retention.failed", problem=str(error))
        await trio.sleep(RETENTION_EVERY_SECONDS)


async def keep_proving(store: Store, runtime: Runtime, proven: Callable[[], None]) -> None:
    """See to it that a durable commit ends every few seconds.

    Call `proven` each second in which the newest is recent.
    """
    while True:
        if runtime.monotonic() - store.health().last_commit > PROBE_AFTER_SECONDS:
            try:
                await store.probe()
            except StoreBrokenError:
                return
            except StoreError as error:
                log.debug("store.probe_failed", problem=str(error))
        if runtime.monotonic() - store.health().last_commit <= PROBE_AFTER_SECONDS * 2:
            proven()
        await trio.sleep(LOOK_EVERY_SECONDS)


async def mind_clock(step_back: Callable[[int], Awaitable[int]], runtime: Runtime) -> None:
    """Call `step_back` with the milliseconds by which the wall clock went back, again each second until it succeeds.

    A step forward asks for nothing: what waits is due early, which is allowed.
    """
    latest = _lead(runtime)
    while True:
        await trio.sleep(LOOK_EVERY_SECONDS)
        lead = _lead(runtime)
        latest = max(latest, lead)
        if latest - lead <= STEP_MS:
            continue
        try:
            moved = await step_back(latest - lead)
        except StoreBrokenError:
            return
        except StoreError as error:
            log.warning("clock.step_postponed", problem=str(error))
        else:
            log.warning("clock.stepped_back", seconds=(latest - lead) // 1000, moved=moved)
            latest = lead


def _lead(runtime: Runtime) -> int:
    """Milliseconds by which the wall clock is ahead of the one that never steps."""
    return runtime.now_ms() - int(runtime.monotonic() * 1000)
