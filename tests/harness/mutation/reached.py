"""Which test runs which line of a group's modules, how long it takes: kept from one run to the next.

What is known of a file of tests holds until that file, a helper of the tests or any module of the gateway changes.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.mutation.changes import Mutant
from harness.mutation.groups import Group

SECONDS_MAX = 15.0
"""Of tests, for one mutant: the fastest go first, the slowest of many are left out."""


@dataclass
class Reached:
    """What one file's tests run."""

    mark: str
    seconds: dict[str, float] = field(default_factory=dict)
    """Of each test that passes."""
    lines: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    """Of each test the lines by module, as they ran after the import."""


class Map:
    """All that is known of a group's tests, of which a mutant is tried by some: so many `seconds` of them."""

    def __init__(self, group: Group, seconds: float = SECONDS_MAX) -> None:
        self._group = group
        self._seconds = seconds
        self._path = group.folder / "reached.json"
        self._base = _digest(
            path for top in ("gateway", "tests") for path in (group.root / top).rglob("*") if _is_common(path)
        )
        known = json.loads(self._path.read_text()) if self._path.exists() else {}
        self.files = {
            test: Reached(**known[test]) if known.get(test, {}).get("mark") == self._mark(test) else Reached("")
            for test in group.test_paths()
        }

    def mark(self, more: Iterable[str]) -> str:
        """Stand for the modules, the tests and `more`: another one if any of them is another."""
        return hashlib.sha256("\n".join([*map(self._mark, self.files), *more]).encode()).hexdigest()[:16]

    def unknown(self) -> list[str]:
        """Give the files of which nothing is known, or nothing any more."""
        return [test for test, reached in self.files.items() if not reached.mark]

    def learn(self, learned: dict[str, dict[str, Any]]) -> None:
        """Keep what a run of them showed."""
        for test, found in learned.items():
            self.files[test] = Reached(self._mark(test), **found)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps({test: vars(reached) for test, reached in self.files.items()}))

    def tests_of(self, mutant: Mutant) -> dict[str, float]:
        """Give the tests that run the mutant's lines, fastest first; if none does, those that use its module.

        A module that has values only runs nothing after its import: whoever looks at them may be any test.
        """
        low, high = mutant.lines if mutant.inside else (0, 0)
        near = {
            test: seconds
            for test, seconds, lines in self._of(mutant.path)
            if any(low <= line <= high for line in lines)
        }
        return _affordable(near or self._using(mutant.path) or self._all(), self._seconds)

    def _all(self) -> dict[str, float]:
        return {test: seconds for reached in self.files.values() for test, seconds in reached.seconds.items()}

    def _using(self, path: str) -> dict[str, float]:
        """Give the tests that run lines of the module, and those beside them that run none: they look at figures."""
        using = {test: seconds for test, seconds, _ in self._of(path)}
        for reached in self.files.values():
            if any(test in using for test in reached.seconds):
                using |= {test: seconds for test, seconds in reached.seconds.items() if test not in reached.lines}
        return using

    def _of(self, path: str) -> Iterator[tuple[str, float, list[int]]]:
        for reached in self.files.values():
            for test, seconds in reached.seconds.items():
                if lines := reached.lines.get(test, {}).get(path):
                    yield test, seconds, lines

    def _mark(self, test: str) -> str:
        return self._base + _digest([self._group.root / test])


def _affordable(tests: dict[str, float], seconds_max: float) -> dict[str, float]:
    chosen: dict[str, float] = {}
    spent = 0.0
    for test, seconds in sorted(tests.items(), key=lambda pair: (pair[1], pair[0])):
        spent += seconds
        if chosen and spent > seconds_max:
            break
        chosen[test] = seconds
    return chosen


def _is_common(path: Path) -> bool:
    apart = path.name.startswith("test_") or {"mutation", "docs", "acceptance"} & set(path.parts)
    return path.suffix in (".py", ".toml", ".json", ".sql") and not apart


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
