"""Fifty ordered heads in backoff with a million deliveries behind them: what a claim, a record and an accept cost.

Fills a new store by its own contract, fails the head of every key once, then times each verb a few hundred times, as
its caller sees it: with the hand-over to the writer thread and the commit.
"""

import argparse
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import trio

from fill import TASKS, acceptance
from gateway.core.model import State
from gateway.runtime import Runtime
from gateway.store.contract import AttemptRow, Claim, Ordering, Record, Store, Taken
from gateway.store.settings import StoreSettings
from gateway.store.sqlite import open_sqlite
from payloads import truework_body

TARGET = "dead"
PLENTY = 1 << 40
HOUR_MS = 3_600_000
Undo: TypeAlias = Callable[[Any], Awaitable[None]]


async def fill(store: Store, count: int, keys: int, since: int) -> None:
    """Accept `count` requests, each of one of `keys` keys."""
    numbers = iter(range(count))
    parts = truework_body("old")

    async def accept_some() -> None:
        for number in numbers:
            await store.accept(acceptance(number, since, parts, TARGET, bytes([number % keys]) * 16))

    async with trio.open_nursery() as nursery:
        for _ in range(TASKS):
            nursery.start_soon(accept_some)


async def record(store: Store, records: Sequence[Record]) -> None:
    """Write records and wait until they are durable."""
    done = trio.Event()

    def settled(_taken: Sequence[Taken]) -> None:
        done.set()

    store.record(records, settled)
    await done.wait()


def ended(claim: Claim, now: int, due: int | None) -> Record:
    """Make the record of a try that failed until `due`, or was delivered."""
    it = claim.delivery
    row = AttemptRow(now, 5, "retry" if due else "delivered", "503" if due else "200")
    state: State = "pending" if due else "delivered"
    return Record(it.event_id, it.n, it.claims, state, due, it.attempts + 1, row, None, it.target)


async def times(count: int, act: Callable[[], Awaitable[object]], undo: Undo | None = None) -> str:
    """Carry `act` out `count` times, `undo` after each; give what `act` alone took, in words."""
    runtime, took = Runtime(), []
    for _ in range(count):
        began = runtime.monotonic()
        found = await act()
        took.append((runtime.monotonic() - began) * 1000)
        if undo is not None:
            await undo(found)
    took.sort()
    return f"median {took[count // 2]:.2f} ms, p99 {took[count * 99 // 100]:.2f} ms, longest {took[-1]:.2f} ms"


async def main(path: Path, count: int, keys: int) -> None:
    """Fill, fail, measure, print."""
    runtime = Runtime()
    settings = StoreSettings(low_water_bytes=0, queue_wait_seconds=60.0)
    async with open_sqlite(path, runtime, settings) as store:
        await store.set_ordering(TARGET, Ordering("benchmark"), lambda _: None)
        began = runtime.monotonic()
        await fill(store, count, keys, runtime.now_ms() - count)
        print(f"filled: {count} of {keys} keys in {runtime.monotonic() - began:.1f} s", flush=True)
        claims = await store.claim(TARGET, 1000, PLENTY, runtime.now_ms())
        later = runtime.now_ms() + HOUR_MS
        await record(store, [ended(claim, runtime.now_ms(), later) for claim in claims])
        print(f"{store.backlog(TARGET)}, {len(claims)} heads back off")
        print("claim, nothing due:", await times(300, lambda: store.claim(TARGET, 256, PLENTY, runtime.now_ms())))
        claim = partial(store.claim, TARGET, 1000, PLENTY, later)
        print("claim of all heads:", await times(100, claim, partial(_back_off, store, later)))
        print("claim and deliver one of each key:", await times(100, partial(_deliver, store, later)))
        print("accept behind them:", await times(200, partial(_accept, store, iter(range(count, 2 * count)), keys)))
    began = runtime.monotonic()
    async with open_sqlite(path, runtime, settings) as store:
        print(f"opened again in {runtime.monotonic() - began:.2f} s: {store.backlog(TARGET)}")


async def _back_off(store: Store, later: int, claims: Sequence[Claim]) -> None:
    await record(store, [ended(claim, later, later) for claim in claims])


async def _deliver(store: Store, later: int) -> None:
    claims = await store.claim(TARGET, 1000, PLENTY, later)
    await record(store, [ended(claim, later, None) for claim in claims])


async def _accept(store: Store, numbers: Iterator[int], keys: int) -> None:
    number = next(numbers)
    await store.accept(acceptance(number, 0, truework_body("old"), TARGET, bytes([number % keys]) * 16))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--keys", type=int, default=50)
    chosen = parser.parse_args()
    trio.run(main, chosen.path, chosen.count, chosen.keys)
