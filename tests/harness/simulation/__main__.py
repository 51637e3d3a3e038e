"""`python -m harness.simulation SEED [COUNT]`: run one seed and tell all that happened, or many and tell which fail."""

import sys
import time

from harness.simulation.run import simulate


def main():
    first, count = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    began = time.monotonic()
    failed = 0
    for seed in range(first, first + count):
        found = simulate(seed)
        if found.failures:
            failed += 1
            print(f"seed {seed}:\n{found}\n", flush=True)
        elif count == 1:
            print(*found.lines, sep="\n")
            print(f"seed {seed}: all held; {found.steps} steps, trace {found.digest}")
    print(f"{count} seeds, {failed} failed, {time.monotonic() - began:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
