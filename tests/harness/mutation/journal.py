"""What came of each mutant, written down at once: whatever ends the tool takes nothing along, and it can go on."""

import json
from pathlib import Path
from typing import Any, TypeAlias

Code: TypeAlias = int | None
"""As `fork` has them; None: not tried so."""


class Journal:
    """A line when a try begins, and one when it has ended; mutants go by their places among those that were chosen.

    `mark` stands for all that the results hang on: with `go_on`, what was written under the same one counts.
    """

    def __init__(self, path: Path, mark: str, *, go_on: bool) -> None:
        self._path = path
        if not (go_on and path.exists() and path.read_text().partition("\n")[0] == mark):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{mark}\n")

    def begin(self, number: int) -> None:
        """This one is tried from now on."""
        self._append([number])

    def end(self, number: int, code: Code) -> None:
        """This came of it."""
        self._append([number, code])

    def codes(self) -> dict[int, Code]:
        """Give what came of those that have ended."""
        return {row[0]: row[1] for row in self._rows() if len(row) > 1}

    def under_way(self) -> int | None:
        """Give the one whose try was begun and has not ended."""
        rows = self._rows()
        return rows[-1][0] if rows and len(rows[-1]) == 1 else None

    def _append(self, row: list[Any]) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def _rows(self) -> list[list[Any]]:
        return [json.loads(line) for line in self._path.read_text().splitlines()[1:]]
