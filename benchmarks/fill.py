"""Fills a store with deliveries that wait, by the store's own contract, while no daemon runs.

Each is a Truework order of 1 kB, accepted long ago and due now, for one target. It stands for what a dead
target leaves behind; going through the daemon would take much longer.
"""

import argparse
from hashlib import blake2b
from pathlib import Path

import trio

from gateway.core.model import Event
from gateway.runtime import Runtime
from gateway.store.contract import Acceptance, NewDelivery, NewEvent, Store
from gateway.store.settings import StoreSettings
from gateway.store.sqlite import open_sqlite
from payloads import NUMBER, truework_body

HEAD = b"POST /hooks/truework\n127.0.0.1\ncontent-type: application/json"
TASKS = 512
"""More than one group commit holds, so that each is full."""
PERIOD_MS = 10
"""Time between two of them: a million cover some three hours."""


def acceptance(
    number: int, since: int, parts: tuple[bytes, bytes], target: str, key: bytes | None = None
) -> Acceptance:
    """Make the `number`th request; `key` orders it."""
    body = parts[0] + NUMBER % number + parts[1]
    digest = blake2b(body, digest_size=16).digest()
    at = since + number * PERIOD_MS
    event = Event("truework", "orders", "order.completed", "2023-10-30", digest, at, None, digest, None, None)
    return Acceptance(HEAD, body, at, (NewEvent(event, None, (NewDelivery("orders", target, False, key=key),)),))


async def fill(store: Store, count: int, since: int, target: str) -> None:
    """Accept `count` requests, many at once."""
    numbers = iter(range(count))
    parts = truework_body("old")

    async def accept_some() -> None:
        for number in numbers:
            await store.accept(acceptance(number, since, parts, target))

    async with trio.open_nursery() as nursery:
        for _ in range(TASKS):
            nursery.start_soon(accept_some)


async def main(path: Path, count: int, target: str) -> None:
    """Open the store at `path`, fill it, close it."""
    runtime = Runtime()
    settings = StoreSettings(low_water_bytes=0, queue_wait_seconds=60.0)
    async with open_sqlite(path, runtime, settings) as store:
        await fill(store, count, runtime.now_ms() - count * PERIOD_MS, target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--target", required=True)
    chosen = parser.parse_args()
    trio.run(main, chosen.path, chosen.count, chosen.target)
