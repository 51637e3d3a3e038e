"""Problems of a configuration, each with its place, what was expected and what was found; all go into one report."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from gateway.config.lines import Path, Position
from gateway.config.sentences import explain
from gateway.errors import ConfigError


class Problem(NamedTuple):
    """One thing the operator must change."""

    position: Position
    path: Path
    message: str
    excerpt: tuple[str, ...] = ()
    """The line that it stands on, and a caret below the place: for a terminal, never for a log."""

    def __str__(self) -> str:
        place = path_text(self.path)
        return f"{self.position}: {place}: {self.message}" if place else f"{self.position}: {self.message}"


class Report:
    """All problems found so far, with the places of the keys that they speak of."""

    def __init__(self, file: str, positions: Mapping[Path, Position], problems: Iterable[Problem] = ()) -> None:
        self._file = file
        self._positions = positions
        self._problems = list(dict.fromkeys(problems))
        self._origins: dict[Path, Path] = {}
        self.warnings: list[Problem] = []
        """Things that work but are probably not meant."""

    def position(self, path: Path) -> Position:
        """Give the place of `path`, else that of the nearest key above it, else the file."""
        for end in range(len(path), 0, -1):
            if path[:end] in self._positions:
                return self._positions[path[:end]]
        return Position(self._file, 0, 0)

    def come_from(self, path: Path, origin: Path) -> None:
        """Tell that `path` was made from what stands at `origin`: problems below it are reported there."""
        self._origins[path] = origin

    def add(self, path: Path, message: str) -> None:
        """Note a problem at `path`."""
        self._problems.append(self._problem(path, message))

    def has(self, path: Path) -> bool:
        """Tell whether a problem at or below `path` is known already."""
        return any(known[: len(path)] == path for known in self.paths)

    def warn(self, path: Path, message: str) -> None:
        """Note a warning at `path`."""
        self.warnings.append(self._problem(path, message))

    def add_problem(self, problem: Problem) -> None:
        """Note a problem of another file, with its own place."""
        self._problems.append(problem)

    def add_invalid(
        self,
        error: ValidationError,
        data: object,
        schema: Mapping[str, Any],
        above: Path = (),
        also_known: Iterable[str] = (),
    ) -> None:
        """Note every problem of a pydantic error.

        `data` is what was validated, `schema` the JSON Schema for it, `above` its path; `also_known` are keys that the
        table at `above` takes besides those of the schema.
        """
        for path, sentence in explain(error, data, schema, also_known):
            self.add((*above, *path), sentence)

    def _problem(self, path: Path, message: str) -> Problem:
        path = self._origin(path)
        return Problem(self.position(path), path, message)

    def _origin(self, path: Path) -> Path:
        for end in range(len(path), 0, -1):
            if path[:end] in self._origins:
                return self._origin((*self._origins[path[:end]], *path[end:]))
        return path

    @property
    def paths(self) -> set[Path]:
        """Where problems are known already."""
        return {problem.path for problem in self._problems}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All problems, in the order of the files' lines, each once."""
        return tuple(sorted(dict.fromkeys(self._problems), key=lambda problem: problem.position))

    def check(self) -> None:
        """Raise ConfigError with every problem, if there is one."""
        if self._problems:
            raise refusal(self.problems)


def refusal(problems: Sequence[Problem]) -> ConfigError:
    """Give the error that tells all of `problems`."""
    excerpts = {str(problem): problem.excerpt for problem in problems if problem.excerpt}
    return ConfigError([str(problem) for problem in problems], excerpts)


def path_text(path: Path) -> str:
    """Write a path as operators read it: `[routes.orders].targets[0]`, `[server].tls.cert`, `include`."""
    sections = ("sources", "routes", "targets", "policies")
    head = 2 if path[:1] and path[0] in sections else 1
    table = ".".join(map(str, path[:head]))
    tail = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path[head:])
    return f"[{table}]{tail}" if len(path) > 1 and isinstance(path[1], str) else f"{table}{tail}"
