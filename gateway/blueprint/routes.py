"""Routes: names checked, conditions compiled, one router made of them."""

from collections.abc import Iterator, Mapping

from gateway.blueprint.values import OWN_SOURCE, Source
from gateway.config import model_routes as model
from gateway.config.lines import Path
from gateway.config.model import Config
from gateway.config.problems import Report
from gateway.config.sentences import did_you_mean
from gateway.core.fields import message_field
from gateway.core.problems import ProblemsError
from gateway.core.routing import Match, Pattern, Route, parse_match

ALERTS_ROUTE = "alerts"
"""The implicit route of the gateway's own events."""


class RouteBuilder:
    """Builds the routes of one configuration, given in its long form."""

    def __init__(self, config: Config, sources: Mapping[str, Source], broken: frozenset[Path], report: Report) -> None:
        self._config = config
        self._sources = sources
        self._broken = broken
        self._report = report

    def build(self) -> list[Route]:
        """Give the routes in the order of writing; everything wrong with them is in the report."""
        routes = [self._route(name, route) for name, route in self._config.routes.items()]
        return [*routes, *self._alerts()]

    def _route(self, name: str, route: model.Route) -> Route:
        path: Path = ("routes", name)
        if name == ALERTS_ROUTE:
            self._report.add(path, f'"{ALERTS_ROUTE}" is the route of the gateway\'s own events: choose another name')
        source = str(route.source)
        if source != OWN_SOURCE:
            self._check_name("sources", source, "source", (*path, "source"))
        self._check_targets(route.targets, (*path, "targets"))
        return Route(
            name=name,
            source=source,
            events=Pattern(route.event),
            versions=Pattern(route.version),
            match=self._match(route, (*path, "match")),
            targets=route.targets,
        )

    def _alerts(self) -> Iterator[Route]:
        if self._config.alerts is not None:
            everything = Pattern(["*"])
            targets = self._config.alerts.targets
            self._check_targets(targets, ("alerts", "targets"))
            yield Route(ALERTS_ROUTE, OWN_SOURCE, everything, everything, None, targets)

    def _match(self, route: model.Route, path: Path) -> Match | None:
        if route.match is None:
            return None
        try:
            source = self._sources.get(str(route.source))
            return parse_match(route.match, message_field if source is None else source.identify.fields.find)
        except ProblemsError as error:
            for problem in error.problems:
                self._report.add((*path, *problem.path), problem.text)
            return None

    def _check_targets(self, targets: tuple[str, ...], path: Path) -> None:
        for number, target in enumerate(targets):
            self._check_name("targets", target, "target", (*path, number))
            if target in targets[:number]:
                self._report.add((*path, number), f'"{target}" stands here twice: each target gets an event once')

    def _check_name(self, section: str, name: str, word: str, path: Path) -> None:
        known = getattr(self._config, section)
        if name in known or (section, name) in self._broken or (section,) in self._broken:
            return
        hint = did_you_mean(name, known) or f"; write [{section}.{name}]"
        self._report.add(path, f'expected the name of a {word}, found "{name}"{hint}')
