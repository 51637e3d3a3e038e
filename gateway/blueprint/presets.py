"""Presets: what is known about a provider, as data. The operator's own win over those of the package."""

import json
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path as File
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, JsonValue, ValidationError, model_validator

from gateway.config.documents import UnreadableError, read_document
from gateway.config.lines import Path
from gateway.config.load import Loaded
from gateway.config.problems import Report
from gateway.config.sentences import did_you_mean
from gateway.config.table import Table
from gateway.provider_api.fetch_options import check_resource_url

COMBINED: Final = ("all_of", "any_of")
"""Keys of a `verify` table that holds several."""
BUILT_IN: Final = File(str(files("gateway"))) / "presets"


class PresetAck(Table):
    """The answer that the provider wants."""

    status: Annotated[int, Field(ge=200, le=299)] = 200
    """Status code of an accepted request."""
    body: str = ""
    """Body of that answer."""
    content_type: str = "text/plain"
    """Its type."""
    deadline: str = ""
    """Within which the provider wants the answer, and how sure that is; for people."""


class PresetHandshake(Table):
    """A request by which the provider asks whether this address wants its webhooks; no event comes of it."""

    name: str
    """For counters, log and people."""
    methods: tuple[Literal["GET", "HEAD", "OPTIONS", "POST"], ...] = ("POST",)
    """Methods of the question."""
    match: dict[str, JsonValue] = Field(default={})
    """What the question looks like, in the language of routes; everything of those methods unless written."""
    verified: bool = True
    """False: answered without verification, since the provider does not sign it."""
    token: str = ""
    """Selector of the text that must equal the secret in `[sources.NAME] handshake`; else 403."""
    visit: str = ""
    """Selector of an https address that is fetched before the answer; only of what passed verification."""
    visit_hosts: tuple[str, ...] = ()
    """The only hosts that it may be of; a `*` stands for one label."""
    learn: str = ""
    """Selector of the secret that the provider says here; credentials with `learned = true` keep it while the operator
    lets them."""
    status: Annotated[int, Field(ge=200, le=299)] = 200
    """Status of the answer."""
    content_type: Literal["", "text/plain", "application/json", "application/xml", "text/xml"] = ""
    """Type of the body; `application/json` with `json`, else `text/plain`."""
    headers: dict[str, str] = Field(default={})
    """Headers of the answer, as templates."""
    body: str = ""
    """Body as a template, such as `{query.challenge}`."""
    json_: JsonValue = Field(default=None, alias="json")
    """Body as a document whose texts are templates; `{ hmac = "{query.crc_token}", encoding = "base64" }` is computed
    with the secret of the first credential (its SHA-1 with `key = "sha1"`), by `algorithm`, with `prefix` before it, in
    which `{verify.name}` stands for an option of the verification. Such a table alone is the whole body, as text."""

    @model_validator(mode="after")
    def _one_body(self) -> "PresetHandshake":
        if self.body and self.json_ is not None:
            raise ValueError("body and json cannot stand together: write one of them")
        if "POST" in self.methods and not self.verified and not self.match:
            raise ValueError("an unverified POST needs match: else no event would ever be taken")
        if self.visit and (not self.verified or not self.visit_hosts):
            raise ValueError("visit needs verified = true and visit_hosts: a stranger must not send us anywhere")
        if self.learn and (self.verified or self.methods != ("POST",)):
            raise ValueError("learn is for a POST with verified = false: before the secret is known nothing is proven")
        return self


class PresetFetch(Table):
    """A resource of the provider's API that says more than the webhook; a target fetches it by its `recipe`."""

    url: Annotated[str, AfterValidator(check_resource_url)]
    """Where it is; `{body.id}` and its like stand for values of the payload."""
    events: tuple[str, ...] = ("*",)
    """Types of events that have it."""
    headers: dict[str, str] = Field(default={})
    """Headers that the provider wants besides the credentials."""
    verified: Literal["sdk", "docs", "secondary", "unconfirmed"] = "unconfirmed"
    """What it was proven against."""


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
    """The body, or the claims of a body that is a token; a text is sent as it is."""


class Preset(Table):
    """One provider."""

    title: str
    """The provider's name as people write it."""
    sources: tuple[str, ...] = ()
    """Where the facts come from."""
    verified: Literal["sdk", "docs", "secondary", "unconfirmed"] = "unconfirmed"
    """What they were proven against: the provider's own code, its documentation, somebody else, nothing."""
    proven_by: tuple[str, ...] = ()
    """What tests of ours hold the preset against: "PyPI name" and "npm name" for packages, "vectors" for values that
    the provider prints."""
    secret_help: str = ""
    """Where the provider shows the secret."""
    types: tuple[str, ...] = ()
    """All types it sends, if they are known: globs of routes are compared with them."""
    verify: dict[str, JsonValue] = Field(default={})
    """Scheme and options."""
    identify: dict[str, JsonValue] = Field(default={})
    """The identify rule."""
    source: dict[str, JsonValue] = Field(default={})
    """What a source of this provider must write beside its secret, as an example: a public URL, a user name."""
    ack: PresetAck = PresetAck()
    """The answer."""
    handshake: tuple[PresetHandshake, ...] = ()
    """Questions that are answered, the first that fits."""
    retry: PresetRetry | None = None
    """The provider's retries."""
    fetch: dict[str, PresetFetch] = Field(default={})
    """Resources to fetch back, by name."""
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
        found = {file.stem for file in BUILT_IN.glob("*.toml")}
        with suppress(OSError):  # no folder, or a path that can be none
            found.update(file.stem for file in self._folder.glob("*.toml"))
        return sorted(found)

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
        file: File = BUILT_IN / f"{provider}.toml"
        with suppress(OSError):  # see `names`
            own_file = self._folder / f"{provider}.toml"
            file = own_file if own_file.exists() else file
        return _Found(read_preset(file, self._report))


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
    """Lay options over each other, key by key; a layer with another scheme, or a combination, begins anew."""
    merged: dict[str, Any] = {}
    for layer in layers:
        combines = any(word in layer for word in COMBINED)
        if combines or ("scheme" in layer and layer["scheme"] != merged.get("scheme")):
            merged = {}
        merged.update(layer)
    return merged
