"""The whole daemon under everything that a seed chooses to happen to it, three simulated days at a time."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.simulation.run import simulate, simulate_all

SEEDS = int(os.environ.get("HOOKGATE_SIM_SEEDS", "100"))
FIRST = int(os.environ.get("HOOKGATE_SIM_SEED", "0"))
"""One seed to run alone; 0: as many as `SEEDS` says, from 1 on."""
TESTS = Path(__file__).parents[1]


@pytest.mark.timeout(0)
def test_P1_P3_P4_P7_P8_P9_P11_P13_P14_P27_hold_whatever_a_seed_chooses(tell):
    """Kills, failed commits, full disks, clocks that step, reloads, operators, and targets in all their moods."""
    seeds = [FIRST] if FIRST else range(1, SEEDS + 1)
    began, steps = time.monotonic(), 0
    for found in simulate_all(seeds):
        assert not found.failures, f"seed {found.seed}:\n{found}"
        steps += found.steps
    took = time.monotonic() - began
    tell(f"{len(seeds)} seeds of 200 events and 3 days: 0 violations; {steps} steps, {took:.0f} s")


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_same_seed_is_the_same_run_in_another_process_and_order_of_hashes(hash_seed):
    environ = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-m", "harness.simulation", "4"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert f"trace {simulate(4).digest}" in done.stdout
