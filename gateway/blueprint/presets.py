"""Presets: what is known about a provider, as data. The operator's own win over those of the package."""

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path as File
from typing import Annotated, Any, Final, Literal

from pydantic import Field, JsonValue, ValidationError

from gateway.config.documents import UnreadableError, read_document
from gateway.config.lines import Path
from gateway.config.load import Loaded
from gateway.config.problems import Report
from gateway.config.sentences import did_you_mean
from gateway.config.table import Table

BUILT_IN: Final = File(str(files("gateway"))) / "presets"


class PresetAck(Table):
    """The answer that the provider wants."""

    status: Annotated[int, Field(ge=200, le=299)] = 200
    """Status code of an accepted request."""
    body: str = ""
    """Body of that answer."""


class PresetRetry(Table):
    """What the provider does when it gets no 2xx."""

    note: str
    """For people."""


class Sample(Table):
    """A message as the provider would send it; `{uuid}`, `{n}`, `{now}`, `{now_iso}` are filled in."""

    name: str
    """How `hookgate send` calls it."""
    type: str
    """The event type that it is identified as."""
    version: str = ""
    """The version that it is identified as."""
    headers: dict[str, str] = Field(default={})
    """Headers besides those of the verification."""
    body: JsonValue
    """The body, or the claims of a body that is a token."""


class Preset(Table):
    """One provider."""

    title: str
    """The provider's name as people write it."""
    sources: tuple[str, ...] = ()
    """Where the facts come from."""
    verified: Literal["live", "docs", "secondary", "memory", "unconfirmed"] = "unconfirmed"
    """How sure they are."""
    secret_help: str = ""
    """Where the provider shows the secret."""
    types: tuple[str, ...] = ()
    """All types it sends, if they are known: globs of routes are compared with them."""
    verify: dict[str, JsonValue] = Field(default={})
    """Scheme and options."""
    identify: dict[str, JsonValue] = Field(default={})
    """The identify rule."""
    ack: PresetAck = PresetAck()
    """The answer."""
    retry: PresetRetry | None = None
    """The provider's retries."""
    samples: tuple[Sample, ...] = ()
    """Messages for `hookgate send` and tests."""


@dataclass(frozen=True, slots=True)
class _Found:
    preset: Preset | None
    """None if its file is broken, which has been reported."""


class Presets:
    """The presets that a configuration may name; each is read once."""

    def __init__(self, loaded: Loaded, report: Report) -> None:
        self._folder = loaded.places.config / loaded.config.presets.folder
        self._report = report
        self._read: dict[str, _Found] = {}

    def names(self) -> list[str]:
        """Name every preset there is."""
        return sorted({file.stem for folder in (BUILT_IN, self._folder) for file in folder.glob("*.toml")})

    def find(self, provider: str, path: Path) -> Preset | None:
        """Give the preset of `provider`, named at `path`; None if there is no sound one, which is then reported."""
        if provider not in self._read:
            self._read[provider] = self._look_up(provider, path)
        return self._read[provider].preset

    def _look_up(self, provider: str, path: Path) -> _Found:
        names = self.names()
        if provider not in names:
            own = f'for another write provider = "generic", or a preset {self._folder / provider}.toml'
            hint = did_you_mean(provider, names) or f"; known are {', '.join(names)}; {own}"
            self._report.add(path, f'unknown provider "{provider}"{hint}')
            return _Found(None)
        own_file = self._folder / f"{provider}.toml"
        return _Found(read_preset(own_file if own_file.exists() else BUILT_IN / f"{provider}.toml", self._report))


def read_preset(file: File, report: Report) -> Preset | None:
    """Read one preset file; None if it is broken, with its problems in `report`."""
    try:
        document = read_document(file)
    except UnreadableError as error:
        report.add_problem(error.problem)
        return None
    own_report = Report(str(file), document.positions)
    try:
        preset = Preset.model_validate_json(json.dumps(document.data, default=str), strict=True)
    except ValidationError as error:
        own_report.add_invalid(error, document.data, Preset.model_json_schema())
        for problem in own_report.problems:
            report.add_problem(problem)
        return None
    return preset


def merge_verify(*layers: dict[str, Any]) -> dict[str, Any]:
    """Lay options over each other, key by key; a layer with another scheme begins anew."""
    merged: dict[str, Any] = {}
    for layer in layers:
        if layer.get("scheme", merged.get("scheme")) != merged.get("scheme"):
            merged = {}
        merged.update(layer)
    return merged
