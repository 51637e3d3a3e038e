"""Chores beside deliveries: retention and expiry in small batches, a look at the clock, a commit if nothing commits.

The commit is what readiness and the watchdog rest on: "the process is up" would say nothing about the disk.
"""

from collections.abc import Callable
from typing import Final, Protocol

import structlog
import trio

from gateway.dispatch.clock import STEP_MS, DueClock
from gateway.errors import StoreBrokenError, StoreError
from gateway.runtime import Runtime
from gateway.store.contract import Keep, Store

RETENTION_EVERY_SECONDS: Final = 60.0
PAUSE_BETWEEN_BATCHES_SECONDS: Final = 0.05
PROBE_AFTER_SECONDS: Final = 4.0
LOOK_EVERY_SECONDS: Final = 1.0
SINCE_MARGIN_MS: Final = 1_000
"""How much longer ago than the last look a step may have come, by what was written meanwhile."""

log = structlog.get_logger()


async def retain(store: Store, keep: Callable[[], Keep], runtime: Runtime) -> None:
    """Remove what is older than `keep` says, a batch at a time, until cancelled; unsettled work stays.

    A round removes what was old enough as it began: under load there would always be something more, and no end.
    """
    while True:
        now = runtime.now_ms()
        try:
            while await store.retain(keep(), now):  # noqa: ASYNC110 - a pause between batches, not a poll
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


async def answer_late(store: Store) -> None:
    """Let senders whose commit is stuck in a slow or dead disk have their 503, until cancelled."""
    while True:
        store.answer_late()
        await trio.sleep(LOOK_EVERY_SECONDS)


async def expire(store: Store, clock: DueClock, expired: Callable[[str, int], None]) -> None:
    """Cancel what is of no use any more, a batch at a time, wherever it waits; until cancelled.

    `expired` is called with a target and how many of its deliveries were cancelled.
    """
    while True:
        try:
            while told := await store.expire(clock.now_ms()):
                for target, count in told.items():
                    expired(target, count)
                await trio.sleep(PAUSE_BETWEEN_BATCHES_SECONDS)
        except StoreBrokenError:
            return
        except StoreError as error:
            log.debug("store.postponed", problem=str(error))
        await trio.sleep(LOOK_EVERY_SECONDS)


class Mover(Protocol):
    """Who moves what waits when the wall clock steps; both may be asked again and raise StoreError."""

    async def step_back(self, by_ms: int) -> int:
        """The clock went back by `by_ms`; give how many deliveries were moved."""
        ...

    async def step_forward(self, by_ms: int, since_ms: int) -> int:
        """The clock went forward by `by_ms`, at most `since_ms` ago; give how many deliveries were moved."""
        ...


async def mind_clock(mover: Mover, clock: DueClock, runtime: Runtime) -> None:
    """Have what waits moved along when the wall clock steps, again each second until it succeeds.

    A clock that creeps forward, less than `STEP_MS` from one look to the next, is followed.
    """
    looked = runtime.monotonic()
    while True:
        await trio.sleep(LOOK_EVERY_SECONDS)
        lead = clock.lead()
        by_ms = clock.stepped(lead)
        if abs(by_ms) <= STEP_MS:
            if by_ms > 0:
                clock.agree(lead)
            looked = runtime.monotonic()
            continue
        since_ms = int((runtime.monotonic() - looked) * 1000) + SINCE_MARGIN_MS
        try:
            moved = await (mover.step_back(-by_ms) if by_ms < 0 else mover.step_forward(by_ms, since_ms))
        except StoreBrokenError:
            return
        except StoreError as error:
            log.warning("clock.step_postponed", problem=str(error))
            continue
        clock.agree(lead)
        looked = runtime.monotonic()
        if by_ms < 0:
            log.warning("clock.stepped_back", seconds=-by_ms // 1000, moved=moved)
        else:
            log.warning("clock.stepped_forward", seconds=by_ms // 1000, moved=moved)
