"""Runs the harnesses one after the other at release size and prints one Markdown report: what, seed, counts, time.

`make prove` does it; `--size ci` runs them as small as every build does, `--only WORD` those with the word in their
title, `--seed N` repeats a report's choices. It ends with 1 if anything failed. Hours at release size: nothing else
should use the machine meanwhile.
"""

import argparse
import os
import platform
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
SEEDS = (
    "HOOKGATE_KILL_SEED",
    "HOOKGATE_FAULT_SEED",
    "HOOKGATE_CRASH_SEED",
    "HOOKGATE_SHORT_SEED",
    "HOOKGATE_DISK_SEED",
    "HOOKGATE_STOP_SEED",
    "HOOKGATE_ATTEMPT_SEED",
    "HOOKGATE_FORGED_SEED",
    "HOOKGATE_MUTANT_SEED",
    "HOOKGATE_HOSTILE_SEED",
    "HOOKGATE_VALUES_SEED",
    "HOOKGATE_CONFIGS_SEED",
    "HOOKGATE_CLOCK_SEED",
)
DOTS = re.compile(r"^[.sFEx]+(\s+\[\s*\d+%\])?$")
LINES_MAX = 30
"""Of what a failed harness said, from its end."""


@dataclass(frozen=True)
class Harness:
    """One file of tests that prints its figures; `release` sets the sizes of a release run."""

    title: str
    file: str
    release: Mapping[str, str] = field(default_factory=dict)


HARNESSES = (
    Harness("P1 kill -9 under load", "tests/acceptance/test_kill.py", {"HOOKGATE_KILL_CYCLES": "1000"}),
    Harness(
        "P1 kill -9, five kinds of target",
        "tests/acceptance/test_kill_five_targets.py",
        {"HOOKGATE_KILL_FIVE_CYCLES": "100"},
    ),
    Harness("P8 requests and attempts", "tests/acceptance/test_attempts.py", {"HOOKGATE_ATTEMPT_KILLS": "300"}),
    Harness("P9 kill -9, order", "tests/acceptance/test_kill_ordered.py", {"HOOKGATE_KILL_CYCLES": "800"}),
    Harness(
        "P1 states after a power loss", "tests/acceptance/test_crash_states.py", {"HOOKGATE_CRASH_STATES": "500000"}
    ),
    Harness("P2 P18 system calls fail", "tests/acceptance/test_syscall_faults.py", {"HOOKGATE_FAULT_RUNS": "all"}),
    Harness("P2 P18 writes that take a part", "tests/acceptance/test_short_writes.py", {"HOOKGATE_SHORT_RUNS": "1000"}),
    Harness("P15 reloads under load", "tests/acceptance/test_reload.py", {"HOOKGATE_RELOADS": "5000"}),
    Harness("P17 migrations from every schema", "tests/integration/test_store_migrations.py"),
    Harness("P19 a full disk", "tests/acceptance/test_disk_full.py"),
    Harness("P19 a disk filled and freed", "tests/acceptance/test_disk_cycles.py", {"HOOKGATE_DISK_CYCLES": "250"}),
    Harness("P16 stop", "tests/acceptance/test_stop.py"),
    Harness("P16 stop beside stuck peers", "tests/acceptance/test_stuck_peers.py", {"HOOKGATE_STOPS": "500"}),
    Harness(
        "P5 two reference libraries",
        "tests/integration/test_standard_webhooks.py",
        {"HOOKGATE_INTEROP_MESSAGES": "20000"},
    ),
    Harness("P5 forged requests", "tests/providers/test_forged_requests.py", {"HOOKGATE_FORGED": "2000000"}),
    Harness("P9 order in the store", "tests/integration/test_store_order.py", {"HOOKGATE_ORDER_SEEDS": "1000"}),
    Harness("P3 P7 P9 seeded simulation", "tests/simulation/test_simulation.py", {"HOOKGATE_SIM_SEEDS": "20000"}),
    Harness("the simulation finds bugs again", "tests/harness/test_simulation_finds.py", {"HOOKGATE_SIM_AGAIN": "100"}),
    Harness("P12 isolation at the p99", "tests/integration/test_isolation.py"),
    Harness("P13 six hours of outage", "tests/integration/test_dispatch_outage.py"),
    Harness("P21 hostile bytes", "tests/integration/test_listener_fuzz.py"),
    Harness("P21 hostile values", "tests/unit/test_hostile_values.py", {"HOOKGATE_VALUES": "5000000"}),
    Harness("P15 damaged configurations", "tests/docs/test_hostile_config.py", {"HOOKGATE_CONFIGS": "10000"}),
    Harness(
        "P21 hostile connections", "tests/integration/test_hostile_connections.py", {"HOOKGATE_HOSTILE": "5000000"}
    ),
    Harness("P20 a flood of connections", "tests/acceptance/test_flood_of_connections.py", {"HOOKGATE_FLOOD": "1"}),
    Harness("P21 a soak", "tests/acceptance/test_soak.py", {"HOOKGATE_SOAK_MINUTES": "110"}),
    Harness("P21 what is done again and again", "tests/acceptance/test_leaks.py", {"HOOKGATE_LEAKS": "1"}),
    Harness("P3 retention", "tests/integration/test_store_retention.py"),
    Harness("P23 canaries in every option for a secret", "tests/acceptance/test_canaries.py"),
    Harness("P24 denied addresses", "tests/integration/test_ssrf.py"),
    Harness("P25 hostile payloads to programs", "tests/integration/test_target_shell.py"),
    Harness("P27 the clock of the process", "tests/acceptance/test_clock_steps.py", {"HOOKGATE_CLOCK_STEPS": "2000"}),
    Harness("P28 readiness while parts are stuck", "tests/acceptance/test_readiness.py"),
    Harness("mutants are noticed", "tests/acceptance/test_mutants.py", {"HOOKGATE_MUTANTS": "all"}),
    Harness("the harnesses find planted faults", "tests/harness"),
    Harness("what is installed", "tests/acceptance/test_supply_chain.py"),
)


@dataclass(frozen=True)
class Result:
    """What came of one."""

    harness: Harness
    sizes: Mapping[str, str]
    held: bool
    seconds: float
    said: Sequence[str]
    """Its figures; if it failed, the end of all it printed."""


def prove(harness: Harness, seed: int, *, release: bool) -> Result:
    """Run one to its end."""
    sizes = harness.release if release else {}
    environ = {**os.environ, **dict.fromkeys(SEEDS, str(seed)), **sizes}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=7200", harness.file]
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    held = done.returncode == 0
    said = figures(lines) if held else lines[-LINES_MAX:]
    return Result(harness, sizes, held, time.monotonic() - began, said)


def figures(lines: Sequence[str]) -> list[str]:
    """Leave out pytest's own dots."""
    return [line.strip() for line in lines if line.strip() and not DOTS.match(line.strip())]


def row(result: Result) -> str:
    """One line of the report's table."""
    sizes = ", ".join(
        f"{name.removeprefix('HOOKGATE_').lower()} {size}" for name, size in result.harness.release.items()
    )
    told = "<br>".join(line.replace("|", "/") for line in result.said) if result.held else "**failed**, see below"
    return f"| {result.harness.title} | {sizes} | {told} | {result.seconds:.0f} s |"


def heading(seed: int, size: str) -> str:
    """Of what, by what, on what."""
    asked = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    machine = f"{platform.system()} {platform.release()}, {os.cpu_count()} cores"
    return (
        f"# Proof of {asked.stdout.strip() or 'an unnamed tree'}, {when} UTC\n\n"
        f"Seed {seed}, {size} size, Python {platform.python_version()}, {machine}.\n\n"
        "| what | size | found | time |\n|---|---|---|---|"
    )


def main() -> int:
    """Run what was asked for and print the report as it grows."""
    parser = argparse.ArgumentParser(prog="make prove", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", choices=("ci", "release"), default="release")
    parser.add_argument("--only", default="")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    chosen = parser.parse_args()
    wanted = [harness for harness in HARNESSES if chosen.only.lower() in harness.title.lower()]
    print(heading(chosen.seed, chosen.size), flush=True)
    failed = []
    for harness in wanted:
        result = prove(harness, chosen.seed, release=chosen.size == "release")
        print(row(result), flush=True)
        failed += [] if result.held else [result]
    for result in failed:
        print(f"\n## {result.harness.title}\n\n```", *result.said, "```", sep="\n")
    return 1 if failed or not wanted else 0


if __name__ == "__main__":
    sys.exit(main())
