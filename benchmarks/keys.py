"""What de-dup costs when many keys are known: an accept beside them against one on an empty store, and bytes a key.

`PYTHONPATH=tests python benchmarks/keys.py --count 5000000` prints one line of JSON. Both stores are open at once and
take turns, so that what else the machine does falls on both; CPU time is compared, since a neighbour takes the other.
"""

import argparse
import json
import secrets
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

import apsw
import trio

from fill import acceptance
from gateway.runtime import Runtime
from gateway.store.codes import NameKind
from gateway.store.contract import Store
from gateway.store.key_filter import KeyFilter
from gateway.store.keys import GENERATIONS, KeyClaim, KeyGenerations
from gateway.store.names import Numbers
from gateway.store.settings import StoreSettings
from gateway.store.sqlite import open_sqlite
from payloads import truework_body

SETTINGS = StoreSettings(low_water_bytes=0, queue_wait_seconds=60.0)
BATCH = 4096
TURNS = 15
EVENTS = 1024
"""Accepted in each turn, `TASKS` at a time."""
TASKS = 64
FILTER_SECONDS = 600.0
UNFILTERED = "SELECT count(*) FROM generation WHERE sealed > 0 AND filter IS NULL"


class Hurried(Runtime):
    """A clock that is set forward, so that generations fill as they would over a week."""

    ahead = 0.0

    def monotonic(self) -> float:
        """Seconds, with what was added."""
        return super().monotonic() + self.ahead


def fill_keys(path: Path, count: int) -> None:
    """Write `count` keys, spread over as many generations as a window has."""
    runtime = Hurried()
    with closing(apsw.Connection(str(path))) as connection:
        connection.pragma("synchronous", "off")
        cursor = connection.cursor()
        window = SETTINGS.dedup_window_ms
        keys = KeyGenerations(cursor, Numbers(cursor, NameKind.SOURCE), runtime, window, KeyFilter())
        pause = window / 1000 * (GENERATIONS - 1) / GENERATIONS / (count / BATCH)
        for first in range(0, count, BATCH):
            with connection:
                claims = [
                    KeyClaim("truework", secrets.token_bytes(16), secrets.token_bytes(16), first + number)
                    for number in range(min(BATCH, count - first))
                ]
                keys.claim_keys(claims)
                keys.committed()
            runtime.ahead += pause
        keys.save_clock()
        connection.pragma("wal_checkpoint", "truncate")


async def accept_some(store: Store, tag: str) -> float:
    """Accept distinct events, many at once; give the CPU microseconds of each."""
    parts, now = truework_body(tag), time.time_ns() // 1_000_000
    numbers = iter(range(EVENTS))

    async def accept() -> None:
        for number in numbers:
            await store.accept(acceptance(number, now, parts, "crm"))

    before = time.process_time()
    async with trio.open_nursery() as nursery:
        for _ in range(TASKS):
            nursery.start_soon(accept)
    return (time.process_time() - before) / EVENTS * 1e6


async def wait_filtered(path: Path) -> None:
    """Wait until every sealed generation has its filter on disk."""
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        with trio.fail_after(FILTER_SECONDS):
            while connection.execute(UNFILTERED).get:  # noqa: ASYNC110 - another thread fills them, and tells nobody
                await trio.sleep(0.5)


async def measure(folder: Path, count: int) -> dict[str, float]:
    """Fill one store, leave the other empty, and let them take turns."""
    runtime = Runtime()
    paths = {"empty": folder / "empty.db", "full": folder / "full.db"}
    for path in paths.values():
        async with open_sqlite(path, runtime, SETTINGS):
            pass
    small = paths["full"].stat().st_size
    fill_keys(paths["full"], count)
    size = paths["full"].stat().st_size - small
    costs: dict[str, list[float]] = {name: [] for name in paths}
    async with (
        open_sqlite(paths["empty"], runtime, SETTINGS) as empty,
        open_sqlite(paths["full"], runtime, SETTINGS) as full,
    ):
        await wait_filtered(paths["full"])
        for turn in range(TURNS + 2):
            for name, store in (("empty", empty), ("full", full)):
                cost = await accept_some(store, f"{name}{turn}")
                costs[name] += [cost] if turn > 1 else []
    ratios = [one / other for one, other in zip(costs["full"], costs["empty"], strict=True)]
    return {
        "keys": count,
        "bytes_a_key": round(size / count, 1),
        "empty_us": round(statistics.median(costs["empty"]), 1),
        "full_us": round(statistics.median(costs["full"]), 1),
        "ratio": round(statistics.median(ratios), 3),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5_000_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        print(json.dumps(trio.run(measure, Path(temporary), chosen.count)))
