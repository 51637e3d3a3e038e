"""`python -m harness.mutation [GROUP …]`: try the mutants of some groups and print a table of what came of them."""

import argparse
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from math import inf
from types import FrameType

from harness.mutation import report
from harness.mutation.changes import Mutant
from harness.mutation.fork import ENDING
from harness.mutation.groups import GROUPS, Group
from harness.mutation.reached import SECONDS_MAX
from harness.mutation.trial import mutants_of, sample, try_all


def chosen(group: Group, asked: argparse.Namespace) -> Sequence[Mutant]:
    """Give the mutants that were asked for."""
    there = mutants_of(group, asked.only)
    if asked.again:
        before = report.unnoticed_before(group.folder / "results.jsonl")
        there = [each for each in there if report.name_of(each) in before]
    return sample(there, asked.sample, asked.seed)


def judged(results: Sequence[report.Result]) -> tuple[list[report.Result], list[str]]:
    """Take the listed equivalents out of the survivors; tell of those that a test can tell from the code."""
    listed = report.equivalents()
    wrong = [f"listed as equivalent, but killed: {each.mutant}" for each in results if each.held and _why(each, listed)]
    return [
        replace(each, verdict="equivalent") if not each.held and _why(each, listed) else each for each in results
    ], wrong


def _why(result: report.Result, listed: dict[report.Name, str]) -> str | None:
    return listed.get(report.name_of(result.mutant))


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(f"ended by {signal.Signals(number).name}: what was tried is kept, `--go-on` goes on from there")


def main() -> int:
    """Try what was asked for; 1 if a share is too small, or what is listed as equivalent is not."""
    parser = argparse.ArgumentParser(prog="python -m harness.mutation", description=__doc__)
    names = [group.name for group in GROUPS]
    parser.add_argument("groups", nargs="*", default=names, help=f"of {', '.join(names)}; all if none is named")
    parser.add_argument("--only", default="", metavar="WORD", help="modules whose path has it")
    parser.add_argument("--again", action="store_true", help="only those that survived last time, by all tests near")
    parser.add_argument("--go-on", action="store_true", help="without what a run of the same that was ended had tried")
    parser.add_argument("--sample", type=int, default=sys.maxsize, metavar="N", help="so many of each group")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--least", type=float, default=0.0, metavar="SHARE", help="1 if fewer are killed")
    parser.add_argument("--told", action="store_true", help="tell of each mutant on stderr")
    asked = parser.parse_args()
    for each in ENDING:
        signal.signal(each, _end)
    print(report.heading(), flush=True)
    said, short = [], False
    for group in (group for group in GROUPS if group.name in asked.groups):
        seconds = inf if asked.again else SECONDS_MAX
        tried = try_all(group, chosen(group, asked), told=asked.told, go_on=asked.go_on, seconds=seconds)
        results, wrong = judged(tried)
        report.keep(results, group.folder / "results.jsonl")
        print(report.row(group.name, results), flush=True)
        said += [*report.survivors(results), *wrong]
        short = short or bool(wrong) or report.share(results) < asked.least
    print(*said, sep="\n")
    return int(short)


if __name__ == "__main__":
    sys.exit(main())
