"""`make bench`: measures the gateway against the bare echo on this machine, prints one Markdown report.

The daemon has core 0, everything that loads it has core 1. The report ends with the goals and whether they were met; a
run whose events do not add up (2xx = events = deliveries) ends the benchmark with an error. docs/benchmarks.md explains
how to read it.
"""

import argparse
import os
import platform
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

import trio

from load import BOTH_CORES, BenchmarkError
from measure import (
    EndToEnd,
    Idle,
    Ingest,
    Latency,
    Pending,
    Reference,
    measure_echo,
    measure_end_to_end,
    measure_hypercorn,
    measure_idle,
    measure_ingest,
    measure_latency,
    measure_pending,
)
from servers import busy_cores
from verify import verify_costs

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each part takes, in seconds."""

    reference: int
    ingest: int
    side: int
    latency: float
    trial: float
    hold: float
    pending: int
    """Deliveries, not seconds."""


FULL: Final = Plan(reference=5, ingest=10, side=6, latency=10, trial=4, hold=30, pending=1_000_000)
QUICK: Final = Plan(reference=2, ingest=4, side=3, latency=3, trial=2, hold=5, pending=50_000)


@dataclass(frozen=True, slots=True)
class Results:
    """All that was measured."""

    plan: Plan
    echo: Reference
    """The faster of two runs, before and after the ingest runs: a neighbour must not flatter us."""
    hypercorn: Reference
    idle: Idle
    truework: Ingest
    truora: Ingest
    latency: Latency
    two_cores: Ingest
    busy: Ingest
    busy_latency: Latency
    end_to_end: EndToEnd
    pending: Pending
    verify: dict[str, float]
    seconds: float


async def measure_all(plan: Plan) -> Results:
    """Run every part, one after the other."""
    began = time.monotonic()
    echo = await _say("echo", lambda: measure_echo(plan.reference))
    hypercorn = await _say("hypercorn", lambda: measure_hypercorn(plan.reference))
    idle = await _say("idle", measure_idle)
    truework = await _say("ingest, Truework", lambda: measure_ingest(plan.ingest))
    truora = await _say("ingest, Truora", lambda: measure_ingest(plan.side, truora=True))
    again = await _say("echo again", lambda: measure_echo(plan.reference))
    echo = max(echo, again, key=lambda run: run.rate)
    latency = await _say("latency at half load", lambda: measure_latency(truework.rate / 2, plan.latency))
    two_cores = await _say("ingest, both cores", lambda: measure_ingest(plan.side, BOTH_CORES))
    async with busy_cores():
        busy = await _say("ingest beside busy loops", lambda: measure_ingest(plan.side, BOTH_CORES))
        rate = busy.rate / 2
        busy_latency = await _say("latency beside busy loops", lambda: measure_latency(rate, plan.latency, BOTH_CORES))
    guess = truework.rate * 0.45
    through = await _say("end to end", lambda: measure_end_to_end(guess, plan.trial, plan.hold))
    pending = await _say("a large backlog", lambda: measure_pending(plan.pending, plan.side))
    verify = verify_costs()
    seconds = time.monotonic() - began
    return Results(
        plan,
        echo,
        hypercorn,
        idle,
        truework,
        truora,
        latency,
        two_cores,
        busy,
        busy_latency,
        through,
        pending,
        verify,
        seconds,
    )


async def _say(what: str, measure: Callable[[], Awaitable[T]]) -> T:
    began = time.monotonic()
    print(f"measuring {what} …", end=" ", file=sys.stderr, flush=True)
    found = await measure()
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return found


def report(found: Results) -> str:
    """Write the report."""
    share = _share(found.echo.rate)
    head = [
        f"## Benchmark of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "",
        f"{_machine()}; daemon on core 0, load on core 1; {found.seconds:.0f} s in all.",
        "",
        "| what | rate per second | of the echo | p50 / p99 / max ms | CPU µs per event | RSS MB |",
        "|---|---|---|---|---|---|",
        _reference_row("bare echo (the denominator)", found.echo, share),
        _reference_row("hypercorn's trio worker, trivial app", found.hypercorn, share),
        _ingest_row("durable ingest, Truework, to a file", found.truework, share),
        _ingest_row("durable ingest, Truora, to a file", found.truora, share),
        _latency_row("the same (Truework) at half load", found.latency, share),
        _ingest_row("both cores for the daemon, its loop saturated", found.two_cores, share),
        _ingest_row("the same beside a busy loop on each core", found.busy, share),
        _latency_row("the same at half load", found.busy_latency, share),
        _end_row(found.end_to_end, share),
        _pending_row(found.pending, share),
        f"| idle, empty store | | | ready after {found.idle.ready_seconds:.2f} s | | {found.idle.rss_mb:.0f} |",
        "",
        "Each run counted afterwards: distinct 2xx = events in the store = deliveries made (= lines of the file).",
        "",
    ]
    return "\n".join([*head, *_verify(found), "", *_goals(found)])


def _verify(found: Results) -> list[str]:
    rows = [f"| {name} | {cost:.1f} | {cost / found.echo.cpu_us:.2f} |" for name, cost in found.verify.items()]
    return ["| verify, 1 kB | CPU µs | requests to the echo in that time |", "|---|---|---|", *rows]


def _goals(found: Results) -> list[str]:
    pending, idle = found.pending, found.idle
    goals = [
        ("durable ingest ≥ 0.20 of the echo", found.truework.rate / found.echo.rate, 0.20, ".3f", True),
        ("durable ingest ≥ 5 times hypercorn", found.truework.rate / found.hypercorn.rate, 5, ".1f", True),
        ("p99 at half load ≤ 20 ms", found.latency.p99_ms, 20, ".1f", False),
        ("end to end ≥ 0.10 of the echo", found.end_to_end.rate / found.echo.rate, 0.10, ".3f", True),
        (f"{pending.count:,} pending: RSS ≤ 200 MB", max(pending.rss_mb, pending.rss_loaded_mb), 200, ".0f", False),
        (f"{pending.count:,} pending: ready ≤ 3 s", pending.ready_seconds, 3, ".2f", False),
        (f"{pending.count:,} pending: ingest ≥ 0.8 of empty", pending.rate / pending.rate_empty, 0.8, ".2f", True),
        ("idle RSS ≤ 80 MB", idle.rss_mb, 80, ".0f", False),
        ("ready ≤ 1 s when empty", idle.ready_seconds, 1, ".2f", False),
    ]
    rows = [
        f"| {goal} | {value:{form}} | {'yes' if (value >= bound if up else value <= bound) else '**no**'} |"
        for goal, value, bound, form, up in goals
    ]
    return ["| goal | measured | met |", "|---|---|---|", *rows]


def _share(echo: float) -> Callable[[float], str]:
    return lambda rate: f"{rate / echo:.3f}"


def _reference_row(what: str, run: Reference, share: Callable[[float], str]) -> str:
    return f"| {what} | {run.rate:,.0f} | {share(run.rate)} | | {run.cpu_us:.0f} | |"


def _ingest_row(what: str, run: Ingest, share: Callable[[float], str]) -> str:
    return f"| {what} | {run.rate:,.0f} | {share(run.rate)} | | {run.cpu_us:.0f} | {run.rss_mb:.0f} |"


def _latency_row(what: str, run: Latency, share: Callable[[float], str]) -> str:
    times = f"{run.p50_ms:.1f} / {run.p99_ms:.1f} / {run.max_ms:.1f}"
    return f"| {what} | {run.rate:,.0f} | {share(run.rate)} | {times} | {run.cpu_us:.0f} | |"


def _end_row(run: EndToEnd, share: Callable[[float], str]) -> str:
    what = f"end to end to an HTTP target, held {run.held_seconds:.0f} s, at most {max(run.backlog)} waiting"
    return f"| {what} | {run.rate:,.0f} | {share(run.rate)} | p99 {run.p99_ms:.1f} | {run.cpu_us:.0f} | |"


def _pending_row(run: Pending, share: Callable[[float], str]) -> str:
    what = f"durable ingest beside {run.count:,} pending ({run.rate_empty:,.0f}/s without them)"
    ready = f"ready after {run.ready_seconds:.2f} s"
    rss = f"{run.rss_mb:.0f}, loaded {run.rss_loaded_mb:.0f}"
    return f"| {what} | {run.rate:,.0f} | {share(run.rate)} | {ready} | | {rss} |"


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")
    return f"{os.cpu_count()} cores of {model}, Python {platform.python_version()}, Linux {platform.release()}"


def main() -> None:
    """Measure and print; exit code 1 if a run's events did not add up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute instead of five; the figures are rough")
    plan = QUICK if parser.parse_args().quick else FULL
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is not installed: apt-get install wrk util-linux")
    if (os.cpu_count() or 1) < 2:
        sys.exit("the benchmark needs two cores, one for the daemon and one for the load")
    os.sched_setaffinity(0, {1})
    try:
        print(report(trio.run(measure_all, plan)))
    except* BenchmarkError as failures:
        sys.exit("\n".join(f"the run failed: {error}" for error in _flatten(failures)))


def _flatten(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    return [
        each
        for error in group.exceptions
        for each in (_flatten(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]


if __name__ == "__main__":
    main()
