"""The whole daemon under everything that a seed chooses to happen to it, three simulated days at a time.

`HOOKGATE_SIM_SEEDS` says how many seeds, from 1 on, or which: "151-300".
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.simulation.run import simulate, simulate_all

FIRST, _, LAST = os.environ.get("HOOKGATE_SIM_SEEDS", "100").rpartition("-")
SEEDS = range(int(FIRST or "1"), int(LAST) + 1)
TOLD_MAX = 3
"""Of the seeds that failed, so many are told with their traces."""
TESTS = Path(__file__).parents[1]


@pytest.mark.timeout(0)
def test_P1_P3_P4_P7_P8_P9_P11_P13_P14_P27_hold_whatever_a_seed_chooses(tell):
    """Kills, failed commits, full disks, clocks that step, reloads, operators, and targets in all their moods."""
    began, steps, failed = time.monotonic(), 0, []
    for found in simulate_all(SEEDS):
        steps += found.steps
        failed += [found] if found.failures else []
    took = time.monotonic() - began
    which = f"seeds {SEEDS[0]} to {SEEDS[-1]}, each of 200 events and 3 days"
    tell(f"{which}: {len(failed)} failed; {steps} steps, {took:.0f} s")
    assert not failed, "\n".join(
        [f"failed: {[each.seed for each in failed]}", *(f"seed {each.seed}:\n{each}" for each in failed[:TOLD_MAX])]
    )


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_same_seed_is_the_same_run_in_another_process_and_order_of_hashes(hash_seed):
    environ = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-m", "harness.simulation", "4"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert f"trace {simulate(4).digest}" in done.stdout
