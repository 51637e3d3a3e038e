"""Reads the configuration file with all that it includes, and checks its shape.

What cannot be read at all ends here, with every problem of every file. What can be read is validated table by table: a
broken table is left out and remembered, so that the blueprint finds the problems of the others and all go into one
report. Starts nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path as File
from typing import Any, Final

from pydantic import ValidationError

from gateway.config.documents import Document, read_documents
from gateway.config.lines import Path, Position
from gateway.config.model import Config
from gateway.config.places import Places, find_places
from gateway.config.problems import Problem, Report
from gateway.config.sentences import real_path

NAMED: Final = ("sources", "routes", "targets", "policies")
"""Sections whose tables have names; files may share one as long as the names differ."""
_OPTIONAL: Final = ("server", "admin", "log", "store", "secrets", "presets")
"""Sections in which every key has a default, so that one that is wrong can be left out alone."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration as it stands in its files. `config` lacks the tables named in `broken`."""

    config: Config
    data: Mapping[str, Any]
    """What `config` was made of, as written."""
    file: File
    """The file that includes all others."""
    files: tuple[File, ...]
    places: Places
    positions: Mapping[Path, Position]
    problems: tuple[Problem, ...]
    """What is already known to be wrong; `gateway.blueprint.build` reports it with its own findings."""
    broken: frozenset[Path]
    """Paths of the tables that were left out: whoever misses them should not complain a second time."""
    digest: str
    """Of the files' bytes, in order."""

    def report(self) -> Report:
        """Give a report that begins with the problems found so far."""
        return Report(str(self.file), self.positions, self.problems)


def load(file: File, environ: Mapping[str, str]) -> Loaded:
    """Read `file` and what it includes. Raises ConfigError if a file cannot be read or is no TOML."""
    documents = read_documents(file)
    data, positions, twice = merge(documents)
    report = Report(str(file), positions)
    for path, message in twice:
        report.add(path, message)
    config, broken = validate(data, report)
    digest = sha256(b"\0".join(document.content for document in documents)).hexdigest()[:16]
    return Loaded(
        config=config,
        data=data,
        file=file,
        files=tuple(document.file for document in documents),
        places=find_places(file, environ),
        positions=positions,
        problems=report.problems,
        broken=broken,
        digest=digest,
    )


def merge(
    documents: Sequence[Document],
) -> tuple[dict[str, Any], dict[Path, Position], list[tuple[Path, str]]]:
    """Put documents together by table names; gives the data, all places, and what stands in two files."""
    whole: dict[str, Any] = {}
    positions: dict[Path, Position] = {}
    twice: list[tuple[Path, str]] = []
    for document in documents:
        for key, place in document.positions.items():
            positions.setdefault(key, place)
        for path, value in _tables(document.data):
            holder = whole if len(path) == 1 else whole.setdefault(path[0], {})
            if path[-1] in holder:
                second = document.positions.get(path) or document.file
                twice.append((path, f"stands in two files, the second time at {second}: keep one"))
            else:
                holder[path[-1]] = value
    return whole, positions, twice


def _tables(data: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    tables: list[tuple[Any, Any]] = []
    for key, value in data.items():
        if key in NAMED and isinstance(value, dict):
            tables += [((key, name), table) for name, table in value.items()]
        else:
            tables.append(((key,), value))
    return tables


def validate(data: dict[str, Any], report: Report) -> tuple[Config, frozenset[Path]]:
    """Type `data`; what is wrong goes into `report`, and the tables it is in are left out of the result."""
    broken: set[Path] = set()
    while True:
        try:
            # As JSON, because strict validation of Python values would refuse a list for a tuple.
            config = Config.model_validate_json(json.dumps(data, default=str), strict=True)
        except ValidationError as error:
            report.add_invalid(error, data, config_schema())
            broken.update(_leave_out(data, error))
        else:
            return config, frozenset(broken)


def _leave_out(data: dict[str, Any], error: ValidationError) -> set[Path]:
    """Take what is wrong out of `data`, as little as possible; give the paths of the tables that are gone."""
    unknown: set[Path] = set()
    gone: set[Path] = set()
    for detail in error.errors(include_url=False):
        path = real_path(detail["loc"], data)
        if detail["type"] == "extra_forbidden":
            unknown.add(path)
        else:
            gone.add(path[:2] if len(path) > 1 and path[0] in (*NAMED, *_OPTIONAL) else path[:1])
    for path in [*unknown, *gone]:
        holder: Any = data
        for part in path[:-1]:
            holder = holder[part]
        del holder[path[-1]]
    return gone


@cache
def config_schema() -> dict[str, Any]:
    """Give the JSON Schema of the configuration without the options of plugins."""
    return Config.model_json_schema()
