"""Branch coverage of the modules that are held to their mutants: 100 %, by the tests near them.

`make cover` runs those tests and ends with 1 if a line or a branch was not taken; `COVER="verify ssrf"` looks at some
groups alone. What is there for the type checker alone (`assert_never`, `TYPE_CHECKING`, the bodies of protocols) is no
branch; nothing else is left out.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence

from harness.mutation.groups import GROUPS, ROOT, Group


def commands(groups: Sequence[Group], data: str) -> tuple[list[str], list[str]]:
    """Give the command that runs the tests, and the one that reports and fails."""
    modules = ",".join(path for group in groups for path in group.module_paths())
    tests = sorted({path for group in groups for path in group.test_paths()})
    coverage = [sys.executable, "-m", "coverage"]
    run = [*coverage, "run", f"--data-file={data}", f"--include={modules}", "-m", "pytest", *tests]
    return run, [*coverage, "report", f"--data-file={data}", "--fail-under=100", "--show-missing", "--skip-covered"]


def main() -> int:
    """Run both; 1 if a test fails or a branch is not taken."""
    parser = argparse.ArgumentParser(prog="make cover", description=(__doc__ or "").partition("\n")[0])
    names = [group.name for group in GROUPS]
    parser.add_argument("groups", nargs="*", default=names, help=f"of {', '.join(names)}; all if none is named")
    asked = parser.parse_args()
    run, report = commands([group for group in GROUPS if group.name in asked.groups], ".coverage.branches")
    for command in (run, report):
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
