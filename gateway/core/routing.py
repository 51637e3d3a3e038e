"""Which events go to which targets: the verb *plan*.

Routes are indexed by source, and within a source by exact event type, so that an event pays only for routes that may
take it, however many there are for others. Order of writing decides which route's name a delivery carries, no more.
"""

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from gateway.core.match import Match, Verdict
from gateway.core.match_table import parse_match
from gateway.core.model import Event
from gateway.core.pattern import Pattern
from gateway.core.selector import Scope

__all__ = ["Match", "Miss", "Pattern", "Plan", "Route", "Router", "Verdict", "parse_match"]

Plan: TypeAlias = tuple[tuple[str, str], ...]
"""Pairs of target and route: each target once, with the first route that named it."""


class Miss(NamedTuple):
    """Why one route that is for events of a type does not take an event of it."""

    route: str
    condition: str
    """What does not hold, as it is written: `version 1.*`, `match body.data.state = "completed"`."""
    found: str
    """What the event has there; a part of its payload, so nothing for a log or a mail."""


class Route(NamedTuple):
    """Which events of one source go where."""

    name: str
    source: str
    events: Pattern
    versions: Pattern
    match: Match | None
    targets: tuple[str, ...]

    def takes(self, event: Event, scope: Scope) -> bool:
        """Tell whether version and `match` fit; the event's type is the router's business."""
        if not self.versions.matches(event.version):
            return False
        return self.match is None or self.match.matches(scope)

    def misses(self, event: Event, scope: Scope) -> "list[Miss]":
        """Tell what keeps the route from taking an event whose type fits; empty if nothing does."""
        if not self.versions.matches(event.version):
            return [Miss(self.name, f"version {', '.join(self.versions.globs)}", event.version)]
        verdicts = [] if self.match is None else self.match.explain(scope)
        wrong = [each for each in verdicts if each.depth == 0 and not each.holds]
        return [Miss(self.name, f"match {each.condition}", each.found) for each in wrong]


class _SourceRoutes:
    """The routes of one source, in the order of writing."""

    __slots__ = ("by_type", "wild")

    def __init__(self) -> None:
        self.by_type: dict[str, list[tuple[int, Route]]] = {}
        self.wild: list[tuple[int, Route]] = []

    def add(self, position: int, route: Route) -> None:
        if not route.events.only_exact:
            self.wild.append((position, route))
            return
        for text in route.events.exact:
            self.by_type.setdefault(text, []).append((position, route))

    def candidates(self, event_type: str) -> Iterable[tuple[int, Route]]:
        """Give the routes whose `event` fits, in the order of writing."""
        exact = self.by_type.get(event_type, ())
        wild = [each for each in self.wild if each[1].events.matches(event_type)]
        if not wild:
            return exact
        return sorted([*exact, *wild], key=_position) if exact else wild


class Router:
    """All routes of one configuration. Immutable."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._sources: dict[str, _SourceRoutes] = {}
        for position, route in enumerate(routes):
            self._sources.setdefault(route.source, _SourceRoutes()).add(position, route)

    def listens(self, source: str) -> bool:
        """Tell whether any route takes events of `source`."""
        return source in self._sources

    def plan(self, event: Event, scope: Scope) -> Plan:
        """Give the targets that `event` must reach; empty if no route takes it."""
        routes = self._sources.get(event.source)
        if routes is None:
            return ()
        taken: dict[str, str] = {}
        for _, route in routes.candidates(event.type):
            if route.takes(event, scope):
                for target in route.targets:
                    taken.setdefault(target, route.name)
        return tuple(taken.items())

    def misses(self, event: Event, scope: Scope) -> list[Miss]:
        """Tell why the routes for an event's type do not take it; empty if there is no such route. For people."""
        routes = self._sources.get(event.source)
        candidates = () if routes is None else routes.candidates(event.type)
        return [miss for _, route in candidates for miss in route.misses(event, scope)]


def _position(entry: tuple[int, Route]) -> int:
    return entry[0]
