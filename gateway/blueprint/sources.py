"""Sources: presets and overrides merged, identify rules and handshakes compiled."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.blueprint.credentials import CredentialBuilder, as_written, digest
from gateway.blueprint.kinds import Kinds
from gateway.blueprint.presets import Preset, Presets, merge_verify
from gateway.blueprint.signable import signable
from gateway.blueprint.values import OWN_SOURCE, Source
from gateway.config import model_sources as model
from gateway.config.lines import Path
from gateway.config.model import Config
from gateway.config.places import Places
from gateway.config.problems import Report
from gateway.config.secrets import Secret
from gateway.core.handshake import Handshake
from gateway.core.handshake_table import compile_handshake
from gateway.core.identify import IdentifyRule, compile_identify
from gateway.core.problems import ProblemsError
from gateway.core.routing import Pattern
from gateway.plugin import VerifierKind
from gateway.plugin_host.catalogue import Catalogue

EVERYTHING = Pattern(["*"])


class SourceBuilder:
    """Builds the sources of one configuration, given in its long form."""

    def __init__(self, config: Config, places: Places, presets: Presets, catalogue: Catalogue, report: Report) -> None:
        self._config = config
        self._presets = presets
        self._report = report
        kinds: Kinds[VerifierKind[Any]] = Kinds("verifiers", "scheme", catalogue, report)
        self._credentials = CredentialBuilder(kinds, places, places.config / config.secrets.folder, report)

    def build(self) -> dict[str, Source]:
        """Give the sound sources by name; everything wrong with the others is in the report."""
        built = (self._source(name, source) for name, source in self._config.sources.items())
        sources = {source.name: source for source in built if source is not None}
        self._check_paths()
        return sources

    def _source(self, name: str, source: model.Source) -> Source | None:
        path: Path = ("sources", name)
        if name == OWN_SOURCE:
            self._report.add(path, f'"{OWN_SOURCE}" is the gateway\'s own source: choose another name')
            return None
        self._check_former_name(name, source)
        preset = self._presets.find(source.provider, (*path, "provider"))
        if preset is None:
            return None
        rule = _rule(source, preset)
        if all(poller.source != name for poller in self._config.pollers.values()):
            rule.pop("occurrence", None)  # nobody would look for it, and it costs every event a second key
        identify = self._identify(path, source, rule)
        credentials = tuple(self._credentials.build(path, source, preset))
        if identify is None:
            return None
        handshakes = tuple(self._handshakes(path, source, preset))
        self._check_signable(path, source, preset, handshakes)
        limits = self._config.server.limits
        if source.body is not None and source.body > limits.body_memory:
            self._report.add((*path, "body"), "is more than [server] limits.body_memory: raise that, or lower this")
        body = preset.ack.body if source.ack.body is None else source.ack.body
        return Source(
            name=name,
            path=path_of(name, source),
            provider=source.provider,
            credentials=credentials,
            identify=identify,
            versions=Pattern(source.version),
            on_conflict=source.on_conflict,
            unmatched=source.unmatched,
            body_max=source.body or limits.body,
            ack_status=source.ack.status or preset.ack.status,
            ack_body=body.encode(),
            formerly=source.formerly,
            fingerprint=digest(source.model_dump_json(exclude={"credentials"}), preset.model_dump_json()).hex(),
            rule=rule,
            handshakes=handshakes,
            methods=frozenset({"POST"}).union(*(each.methods for each in handshakes)),
            ack_type=preset.ack.content_type,
        )

    def _check_former_name(self, name: str, source: model.Source) -> None:
        if source.formerly in self._config.sources:
            self._report.add(
                ("sources", name, "formerly"), f'"{source.formerly}" is still a source: remove that one, or this key'
            )

    def _check_paths(self) -> None:
        taken: dict[str, str] = {}
        for name, source in self._config.sources.items():
            other = taken.setdefault(path_of(name, source), name)
            if other != name:
                place = self._report.position(("sources", other))
                self._report.add(
                    ("sources", name, "path"),
                    f'"{path_of(name, source)}" is the path of [sources.{other}] at {place} too: give each its own',
                )

    def _identify(self, path: Path, source: model.Source, spec: Mapping[str, Any]) -> IdentifyRule | None:
        try:
            return compile_identify(spec)
        except ProblemsError as error:
            for problem in error.problems:
                at = ("dedup",) if source.dedup is not None and problem.path[:1] == ("key",) else ("identify",)
                self._report.add((*path, *at, *problem.path), problem.text)
            return None

    def _handshakes(self, path: Path, source: model.Source, preset: Preset) -> Iterator[Handshake]:
        secret, key = Secret(b""), Secret(b"")
        if source.handshake is not None:
            secret = self._credentials.read(source.handshake.secret, (*path, "handshake", "secret")) or secret
        elif any(each.token for each in preset.handshake):
            self._report.warn(
                path, "the provider asks for a token at set-up: write handshake = { secret = … }, or it gets 403"
            )
        first = next(iter(source.credentials.values()), None)
        if preset.handshake and first is not None and first.secret is not None:
            key = self._credentials.read(first.secret, (*path, "credentials")) or key
        options = merge_verify(dict(preset.verify), as_written(source.verify))
        for each in preset.handshake:
            try:
                spec = each.model_dump(by_alias=True)
                yield compile_handshake(spec, secret=secret.reveal(), key=key.reveal(), options=options)
            except ProblemsError as error:
                for problem in error.problems:
                    self._report.add(path, f"preset {source.provider}, handshake {each.name}: {problem}")

    def _check_signable(
        self, path: Path, source: model.Source, preset: Preset, handshakes: tuple[Handshake, ...]
    ) -> None:
        signing = next((each.name for each in handshakes if each.signs_for_strangers), None)
        if signing is None:
            return
        for name, credential in source.credentials.items():
            options = merge_verify(dict(preset.verify), as_written(source.verify), as_written(credential.verify))
            for scheme in signable(options):
                self._report.add(
                    (*path, "credentials", name),
                    f"the handshake {signing} signs a token for whoever asks, and scheme {scheme} as written could take"
                    " that for the signature of an event: expected {body} or {url} in its template",
                )


def _rule(source: model.Source, preset: Preset) -> dict[str, Any]:
    """Give the identify rule of a source: the preset's with what the operator wrote."""
    spec = {**preset.identify, **source.identify.model_dump(exclude_unset=True)}
    if "id" in source.identify.model_fields_set:
        spec.pop("key", None)
    elif "key" in source.identify.model_fields_set:
        spec.pop("id", None)
    if source.dedup is not None:
        spec.pop("id", None)
        spec["key"] = source.dedup.key
    return spec


def path_of(name: str, source: model.Source) -> str:
    """Give the path that a source's provider posts to."""
    return source.path or f"/hooks/{name}"


def own_source() -> Source:
    """Make the built-in source of the gateway's own events."""
    return Source(
        name=OWN_SOURCE,
        path="",
        provider="",
        credentials=(),
        identify=compile_identify({"type": "body.type"}),
        versions=EVERYTHING,
        on_conflict="accept",
        unmatched="ignore",
        body_max=0,
        ack_status=200,
        ack_body=b"",
    )
