"""A target's `fetch`: its options checked, its recipe found in a preset, the sources and types that need it."""

from gateway.blueprint.kinds import checked_options
from gateway.blueprint.presets import PresetFetch, Presets
from gateway.config import model_targets as model
from gateway.config.lines import Path
from gateway.config.model import Config
from gateway.config.problems import Report
from gateway.config.references import References
from gateway.config.sentences import did_you_mean
from gateway.core.pattern import Pattern
from gateway.plugin import SendForm
from gateway.provider_api.fetch_options import FetchOptions
from gateway.provider_api.resource import Resource, make_resource


class FetchBuilder:
    """Builds what targets fetch; everything wrong is in the report."""

    def __init__(self, config: Config, presets: Presets, report: Report) -> None:
        self._config = config
        self._presets = presets
        self._report = report

    def build(self, name: str, target: model.Target, default_send: SendForm, references: References) -> Resource | None:
        """Give what a target fetches; None if nothing, or if it does not fit, which is reported."""
        if target.fetch is None:
            return None
        path: Path = ("targets", name, "fetch")
        blind = (target.send or default_send) in ("payload", "request", "empty")
        if blind and target.type in ("http", "file", "shell"):  # others have templates, or a message with `fetched`
            text = 'nobody would see it: write send = "envelope" or a template, which hold it as fetched'
            self._report.add(path, text)
        options = checked_options(FetchOptions, dict(target.fetch), path, (), self._report, references)
        if not isinstance(options, FetchOptions):
            return None
        provider, _, recipe_name = (options.recipe or "").partition(".")
        recipe = self._recipe(provider, recipe_name, (*path, "recipe")) if provider else None
        if provider and recipe is None:
            return None
        sources = self._sources(options, provider)
        if not sources:
            self._report.warn(path, "no source sends events that need it")
        url = recipe.url if recipe else options.url
        events = options.event or (recipe.events if recipe else ("*",))
        try:
            return make_resource(options, url, events, sources, recipe.headers if recipe else {})
        except ValueError as error:
            self._report.add(path, str(error))
            return None

    def _recipe(self, provider: str, name: str, path: Path) -> PresetFetch | None:
        preset = self._presets.find(provider, path)
        if preset is None:
            return None
        found = preset.fetch.get(name)
        if found is None:
            known = f"; it has {', '.join(sorted(preset.fetch))}" if preset.fetch else "; it has none: write url"
            self._report.add(path, f'{provider} has no recipe "{name}"{did_you_mean(name, preset.fetch) or known}')
        return found

    def _sources(self, options: FetchOptions, provider: str) -> frozenset[str]:
        meant = Pattern(options.source)
        return frozenset(
            name
            for name, source in self._config.sources.items()
            if meant.matches(name) and (not provider or source.provider == provider)
        )
