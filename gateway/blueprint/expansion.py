"""Self-contained routes, expanded: each stands for a source of its provider's name, a credential, and a plain route.

Works on the tables as written, so that `hookgate check --expand` can print the result; problems of what was made are
reported at the route it was made of.
"""

from copy import deepcopy
from typing import Any

from gateway.blueprint.presets import Preset, Presets, merge_verify
from gateway.config.lines import Path
from gateway.config.load import Loaded
from gateway.config.model_routes import Route
from gateway.config.problems import Report


class Expansion:
    """Expands the routes of one configuration, in the order of writing."""

    def __init__(self, loaded: Loaded, presets: Presets, report: Report) -> None:
        self.data: dict[str, Any] = deepcopy(dict(loaded.data))
        """The tables in their long form."""
        self._loaded = loaded
        self._presets = presets
        self._report = report
        self._made_by: dict[str, str] = {}

    def run(self) -> None:
        """Expand every self-contained route; what cannot be expanded is reported and left out."""
        for name, route in self._loaded.config.routes.items():
            if not self._is_sound(name, route) or (route.provider and not self._expand(name, route.provider)):
                del self.data["routes"][name]

    def _is_sound(self, name: str, route: Route) -> bool:
        path: Path = ("routes", name)
        if route.source is not None and route.provider is not None:
            self._report.add((*path, "provider"), "stands beside source: keep one of them")
        elif route.source is not None and route.verify is not None:
            self._report.add(
                (*path, "verify"),
                f"a route with a source takes no verify: move it to [sources.{route.source}]",
            )
        elif route.provider is not None and route.verify is None:
            self._report.add(
                path, 'expected verify beside provider, for example verify = { secret = { file = "name" } }'
            )
        elif route.source is None and route.provider is None:
            self._report.add(path, "expected source, or provider with verify: write whose events this route takes")
        else:
            return True
        return False

    def _expand(self, name: str, provider: str) -> bool:
        if ("sources", provider) in self._loaded.broken:
            return False
        preset = self._presets.find(provider, ("routes", name, "provider"))
        if preset is None:
            return False
        table = self.data["routes"][name]
        verify = dict(table["verify"])
        secret = verify.pop("secret", None)
        source = self._source(name, provider, verify)
        if not self._agrees(name, provider, preset, source, verify):
            return False
        credential = {key: table[key] for key in ("event", "version") if key in table}
        if secret is not None:
            credential = {"secret": secret, **credential}
        credentials = source.setdefault("credentials", {})
        if name in credentials:
            self._report.add(
                ("routes", name), f"[sources.{provider}] has a credential of this name: rename one of them"
            )
            return False
        credentials[name] = credential
        made: Path = ("sources", provider, "credentials", name)
        self._report.come_from(made, ("routes", name, "verify"))
        self._report.come_from((*made, "verify"), ("routes", name, "verify"))
        self.data["routes"][name] = {"source": provider, **_without(table, "provider", "verify")}
        return True

    def _source(self, name: str, provider: str, verify: dict[str, Any]) -> dict[str, Any]:
        sources = self.data.setdefault("sources", {})
        if provider not in sources:
            sources[provider] = {"provider": provider, **({"verify": verify} if verify else {})}
            self._made_by[provider] = name
            self._report.come_from(("sources", provider), ("routes", name))
        source: dict[str, Any] = sources[provider]
        return source

    def _agrees(self, name: str, provider: str, preset: Preset, source: dict[str, Any], verify: dict[str, Any]) -> bool:
        """Credentials of one source made by routes share its scheme: else the reader of one route could not know."""
        other = self._made_by.get(provider)
        there = f"[routes.{other}]" if other else f"[sources.{provider}]"
        if source.get("provider") != provider:
            found = f'{there} is a source of provider "{source.get("provider")}"'
        elif merge_verify(preset.verify, source.get("verify", {})) != merge_verify(preset.verify, verify):
            found = f"{there} verifies in another way"
        else:
            return True
        self._report.add(
            ("routes", name, "verify"),
            f'{found}: write a source of its own, [sources.NAME] with provider = "{provider}", path, verify and '
            'credentials.main = { secret = … }, and in this route source = "NAME" instead of provider and verify',
        )
        return False


def _without(table: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in keys}
