"""The measurements, one function each.

Every run that sends events counts them afterwards: 2xx = events = deliveries, or it fails.
"""

import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apsw
import trio

from harness.daemon import Daemon, cpu_seconds, running
from harness.home import Home, temporary_home
from harness.settings import ORDERS_TOKEN, TRUORA_KEY, Settings
from load import DAEMON_CORE, HERE, BenchmarkError, Tokens, saturate, saturate_plainly, send_at
from payloads import write_truora_tokens
from servers import Server, counted, echo, fast_sink, hypercorn

MEGABYTE: Final = 1_000_000
SETTLE_SECONDS: Final = 120.0
TOKENS_PER_SECOND: Final = 25_000
"""More than any run takes."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Something to compare with, at full speed."""

    rate: float
    cpu_us: float
    """Of one request; a neighbour on the core changes the rate, but hardly this."""


@dataclass(frozen=True, slots=True)
class Ingest:
    """A run at full speed."""

    rate: float
    """Requests a second that were answered 2xx, each durable."""
    cpu_us: float
    """CPU time of the daemon per event, delivery to the file included, in microseconds."""
    rss_mb: float
    """Resident memory at the end."""
    events: int


@dataclass(frozen=True, slots=True)
class Latency:
    """A run at a fixed rate."""

    rate: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_us: float


@dataclass(frozen=True, slots=True)
class EndToEnd:
    """The highest rate to an HTTP target that was held with a flat backlog."""

    rate: float
    held_seconds: float
    p99_ms: float
    backlog: Sequence[int]
    """Deliveries that waited, looked at once a second."""
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Pending:
    """A daemon with many deliveries that wait for a dead target."""

    count: int
    ready_seconds: float
    rss_mb: float
    rss_loaded_mb: float
    """After the ingest run."""
    rate: float
    rate_empty: float
    """The same run without them."""


@dataclass(frozen=True, slots=True)
class Idle:
    """An empty daemon at rest."""

    ready_seconds: float
    rss_mb: float


async def measure_echo(seconds: int) -> Reference:
    """The denominator."""
    async with echo() as server:
        return await _compare(server, seconds)


async def measure_hypercorn(seconds: int) -> Reference:
    """The stock stack."""
    async with hypercorn() as server:
        return await _compare(server, seconds)


async def measure_idle() -> Idle:
    """Start on an empty store and wait a moment."""
    async with _gateway() as (_, daemon):
        await trio.sleep(2)
        return Idle(daemon.ready_seconds, daemon.resident_bytes() / MEGABYTE)


async def measure_ingest(seconds: int, core: Sequence[str] = DAEMON_CORE, *, truora: bool = False) -> Ingest:
    """Durable ingest of distinct, signed requests of 1 kB to a file target."""
    async with _gateway(core=core) as (home, daemon):
        return await _ingest(home, daemon, seconds, truora=truora)


async def measure_latency(rate: float, seconds: float, core: Sequence[str] = DAEMON_CORE) -> Latency:
    """Durable ingest at a fixed rate."""
    async with _gateway(core=core) as (home, daemon):
        before = daemon.cpu_seconds()
        report = await send_at(daemon.port, Tokens(ORDERS_TOKEN, "steady"), rate, seconds)
        await daemon.wait_settled(SETTLE_SECONDS)
        used = daemon.cpu_seconds() - before
        await _stop_and_count(home, daemon, report["taken"], lines=report["taken"])
        _check_all_taken(report)
    return Latency(report["rate"], report["p50_ms"], report["p99_ms"], report["max_ms"], 1e6 * used / report["taken"])


async def measure_end_to_end(guess: float, trial_seconds: float, hold_seconds: float) -> EndToEnd:
    """Search upwards and downwards from `guess` by short trials, then hold the best one."""
    best, rate = 0.0, guess
    for _ in range(5):
        held = await _forward(rate, trial_seconds)
        best = max(best, rate if held else 0.0)
        if held and rate < best * 1.01 and rate != best:
            break
        rate = rate * 1.2 if held else (rate + best) / 2 if best else rate * 0.75
    rate = best or rate
    for _ in range(4):
        if held := await _forward(rate, hold_seconds):
            return held
        rate *= 0.85
    raise BenchmarkError(f"no rate down to {rate:.0f}/s was held with a flat backlog")


async def measure_pending(count: int, seconds: int) -> Pending:
    """Fill a store for a dead target, start on it, and ingest beside the backlog."""
    async with _gateway(dead_target=True) as (home, daemon):
        empty = await _ingest(home, daemon, seconds)
    with temporary_home() as home:
        settings = _settings(home, dead_target=True)
        settings.write()
        fill = [sys.executable, str(HERE / "fill.py"), str(home.database), "--count", str(count), "--target", "crm"]
        await trio.run_process(fill)
        async with running(home, before=tuple(DAEMON_CORE)) as daemon:
            await trio.sleep(2)
            rss = daemon.resident_bytes() / MEGABYTE
            waiting = (await daemon.target("crm"))["pending"]
            if waiting < count - 1:
                raise BenchmarkError(f"{waiting} of {count} deliveries wait")
            full = await _ingest(home, daemon, seconds, old=count)
            return Pending(count, daemon.ready_seconds, rss, full.rss_mb, full.rate, empty.rate)


async def _compare(server: Server, seconds: int) -> Reference:
    with temporary_home() as home:
        before = cpu_seconds(server.pid)
        rate = await saturate_plainly(server.port, seconds, home.folder)
        return Reference(rate, 1e6 * (cpu_seconds(server.pid) - before) / (rate * seconds))


def _settings(home: Home, *, crm: str = "", dead_target: bool = False) -> Settings:
    if dead_target:
        return Settings(home, crm="http://127.0.0.1:9/", orders_targets=["audit"])
    return Settings(home, crm=crm, file=not crm)


@asynccontextmanager
async def _gateway(
    core: Sequence[str] = DAEMON_CORE, *, crm: str = "", dead_target: bool = False
) -> AsyncIterator[tuple[Home, Daemon]]:
    """Run a daemon on an empty store, pinned to `core`."""
    with temporary_home() as home:
        _settings(home, crm=crm, dead_target=dead_target).write()
        async with running(home, before=tuple(core)) as daemon:
            yield home, daemon


async def _ingest(home: Home, daemon: Daemon, seconds: int, *, truora: bool = False, old: int = 0) -> Ingest:
    tokens = Tokens(ORDERS_TOKEN, "fast")
    if truora:
        file = home.folder / "tokens"
        tokens = Tokens(truora=file)
        await trio.to_thread.run_sync(write_truora_tokens, file, "fast", TRUORA_KEY, seconds * TOKENS_PER_SECOND)
    samples: list[tuple[float, int]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_sample, daemon, samples)
        taken = await saturate(daemon.port, tokens, seconds, home.folder)
        nursery.cancel_scope.cancel()
    rss = daemon.resident_bytes() / MEGABYTE
    await daemon.wait_settled(SETTLE_SECONDS, "audit")
    await _stop_and_count(home, daemon, taken, lines=taken, old=old)
    (cpu_first, first), (cpu_last, last) = samples[0], samples[seconds - 2]
    return Ingest(taken / seconds, 1e6 * (cpu_last - cpu_first) / (last - first), rss, taken)


async def _sample(daemon: Daemon, samples: list[tuple[float, int]]) -> None:
    """Note CPU time and requests answered once a second, beginning after one."""
    while True:
        await trio.sleep(1)
        answered = (await daemon.ask("/status"))["ingress"]["answered"]
        samples.append((daemon.cpu_seconds(), answered))


async def _forward(rate: float, seconds: float) -> EndToEnd | None:
    """Send at `rate` to an HTTP target; None if it was not held. Given up as soon as the backlog runs away."""
    async with fast_sink() as sink, _gateway(crm=f"http://127.0.0.1:{sink}/") as (home, daemon):
        backlog: list[int] = []
        before = daemon.cpu_seconds()
        report = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_watch, daemon, backlog, rate, nursery.cancel_scope)
            report = await send_at(daemon.port, Tokens(ORDERS_TOKEN, "through"), rate, seconds)
            nursery.cancel_scope.cancel()
        if report is None:
            return None
        await daemon.wait_settled(SETTLE_SECONDS, "crm")
        used = daemon.cpu_seconds() - before
        distinct = (await counted(sink))["distinct"]
        await _stop_and_count(home, daemon, report["taken"], lines=0)
        if distinct != report["taken"]:
            raise BenchmarkError(f"{report['taken']} events were accepted, {distinct} distinct ones reached the target")
    kept_up = report["taken"] == report["sent"] and report["rate"] > 0.98 * rate
    if not kept_up or not _is_flat(backlog, rate):
        return None
    return EndToEnd(report["rate"], seconds, report["p99_ms"], backlog, 1e6 * used / report["taken"])


async def _watch(daemon: Daemon, backlog: list[int], rate: float, trial: trio.CancelScope) -> None:
    """Note what waits once a second; end the trial when two seconds of events do."""
    while True:
        await trio.sleep(1)
        target = await daemon.target("crm")
        backlog.append(target["pending"] + target["in_flight"])
        if backlog[-1] > 2 * rate:
            trial.cancel()


def _is_flat(backlog: Sequence[int], rate: float) -> bool:
    """True if what waits does not grow: never above a quarter of a second's events at the end of either half."""
    half = len(backlog) // 2
    return bool(backlog) and min(backlog[half:]) <= rate / 4 and min(backlog[-3:]) <= rate / 4


def _check_all_taken(report: dict[str, object]) -> None:
    if report["taken"] != report["sent"]:
        raise BenchmarkError(f"{report['sent']} requests were sent, {report['taken']} taken: {report['statuses']}")


async def _stop_and_count(home: Home, daemon: Daemon, taken: int, *, lines: int, old: int = 0) -> None:
    """Stop, then compare what was answered 2xx with the rows of the store and the lines of the file."""
    if await daemon.stop() != 0:
        raise BenchmarkError(f"the daemon did not stop cleanly:\n{daemon.tail()}")
    events, deliveries = _count_rows(home.database)
    written = _count_lines(home) if lines else 0
    if (events - old, deliveries, written) != (taken, taken, lines):
        raise BenchmarkError(
            f"{taken} requests were answered 2xx, but there are {events - old} events, {deliveries} deliveries made "
            f"and {written} distinct lines in the file (expected {lines})"
        )


def _count_rows(path: Path) -> tuple[int, int]:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        events = connection.execute("SELECT count(*) FROM event").fetchone()
        delivered = connection.execute("SELECT count(*) FROM delivery WHERE state = 2").fetchone()
    finally:
        connection.close()
    return (events or [0])[0], (delivered or [0])[0]


def _count_lines(home: Home) -> int:
    """Count distinct event ids in the file target's file."""
    ids: set[str] = set()
    with (home.files / "audit.jsonl").open("rb") as file:
        ids.update(json.loads(line)["id"] for line in file)
    return len(ids)
