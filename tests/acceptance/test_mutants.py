"""Small changes of the modules that the promises hang on, one at a time: some test near each must notice.

A share of the guard's in every build, always the same; `HOOKGATE_MUTANTS` says how many of each group: "all", or a
number of them, drawn by `HOOKGATE_MUTANT_SEED`.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.mutation.groups import GROUPS

ROOT = Path(__file__).parents[2]
COUNT = os.environ.get("HOOKGATE_MUTANTS")
SEED = os.environ.get("HOOKGATE_MUTANT_SEED", "7")
LEAST = 0.9
IN_EVERY_BUILD = ("ssrf", "40")


@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("group", [each.name for each in GROUPS] if COUNT else [IN_EVERY_BUILD[0]])
def test_of_ten_changes_of_a_module_nine_are_noticed(group, tell):
    count = COUNT or IN_EVERY_BUILD[1]
    size = [] if count == "all" else [f"--sample={count}", f"--seed={SEED if COUNT else 7}"]
    command = [sys.executable, "-m", "harness.mutation", group, f"--least={LEAST}", *size]
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = re.findall(rf"^\| {group} \| (.*) \|$", done.stdout, re.MULTILINE)
    made, killed, share, left, equivalent = (cell.strip() for cell in row.split("|"))
    tell(f"{group}: {killed} of {made} noticed ({share}), {left} not, {equivalent} the same in effect")
