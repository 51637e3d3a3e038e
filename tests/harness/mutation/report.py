"""What came of a group's mutants, as rows of a table and a list of those that no test noticed."""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from harness.mutation.changes import Mutant

Verdict: TypeAlias = Literal["killed", "timeout", "survived", "unreached", "equivalent"]
EQUIVALENT: Final = Path(__file__).with_name("equivalent.toml")


@dataclass(frozen=True)
class Result:
    """One mutant and what came of it."""

    mutant: Mutant
    verdict: Verdict

    @property
    def held(self) -> bool:
        """True if a test noticed, also by running for ever."""
        return self.verdict in ("killed", "timeout")


Name: TypeAlias = tuple[str, str, str, str]


def name_of(mutant: Mutant) -> Name:
    """Give path, place, change and line: what stays the same while lines are added above."""
    return mutant.path, mutant.place, mutant.change, mutant.line


def equivalents(path: Path = EQUIVALENT) -> dict[Name, str]:
    """Read which mutants behave as the code does, and why."""
    listed = tomllib.loads(path.read_text()).get("mutant", [])
    return {(each["path"], each["place"], each["change"], each["line"]): each["why"] for each in listed}


def heading() -> str:
    """Begin the table."""
    return "| group | mutants | killed | share | not killed | equivalent |\n|---|---|---|---|---|---|"


def row(name: str, results: Sequence[Result]) -> str:
    """Give one row; the share is of those that are not equivalent."""
    killed = sum(result.held for result in results)
    equivalent = sum(result.verdict == "equivalent" for result in results)
    left = len(results) - killed - equivalent
    return f"| {name} | {len(results)} | {killed} | {share(results):.1%} | {left} | {equivalent} |"


def share(results: Sequence[Result]) -> float:
    """Give the part that was killed of those that could be."""
    possible = [result for result in results if result.verdict != "equivalent"]
    return sum(result.held for result in possible) / len(possible) if possible else 1.0


def survivors(results: Sequence[Result]) -> list[str]:
    """Give a line for each that no test noticed."""
    return [
        f"{result.verdict:9} {result.mutant}    [{result.mutant.line}]"
        for result in results
        if result.verdict in ("survived", "unreached")
    ]


def keep(results: Sequence[Result], path: Path) -> None:
    """Write them down for the next run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps([asdict(each.mutant), each.verdict]) + "\n" for each in results))


def unnoticed_before(path: Path) -> set[Name]:
    """Give path, place, change and line of those that survived last time."""
    if not path.exists():
        return set()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {
        (mutant["path"], mutant["place"], mutant["change"], mutant["line"])
        for mutant, verdict in rows
        if verdict in ("survived", "unreached")
    }
