"""Types that no provider sends: routes, credentials, conditions and fetches that wait for one are told as a warning."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.blueprint.overlap import overlap
from gateway.blueprint.presets import Preset, Presets
from gateway.blueprint.values import Blueprint
from gateway.config.lines import Path
from gateway.config.problems import Report
from gateway.config.sentences import did_you_mean
from gateway.core.pattern import Pattern

_MEANT: Final = ("eq", "in", "glob")
"""Operators whose operands are types that are wanted; `not` and its like want others."""


def warn_of_unknown_types(blueprint: Blueprint, presets: Presets, report: Report) -> None:
    """Note each glob of types that fits none of those that its provider is known to send, if they are all known."""
    known = {
        name: preset
        for name, source in blueprint.sources.items()
        if (preset := presets.find(source.provider, ())) and preset.types
    }
    for path, glob, preset in _globs(blueprint, known):
        if not overlap(Pattern([glob]), Pattern(preset.types)):
            hint = did_you_mean(glob, preset.types) or f"; it sends {', '.join(preset.types)}"
            report.warn(path, f'{preset.title} sends nothing like "{glob}"{hint}')


def _globs(blueprint: Blueprint, known: Mapping[str, Preset]) -> Iterator[tuple[Path, str, Preset]]:
    for route in blueprint.routes.values():
        if preset := known.get(route.source):
            path: Path = ("routes", route.name)
            yield from (((*path, "event"), glob, preset) for glob in route.events.globs)
            written = blueprint.config.routes.get(route.name)
            found = _conditions(written.match if written else None, (*path, "match"))
            yield from ((at, glob, preset) for at, glob in found)
    for name, preset in known.items():
        for credential in blueprint.sources[name].credentials:
            at: Path = ("sources", name, "credentials", credential.name, "event")
            yield from ((at, glob, preset) for glob in credential.events.globs)
    for name, plan in blueprint.targets.items():
        if plan.fetch and plan.fetch.options.event and len(plan.fetch.sources) == 1:
            (source,) = plan.fetch.sources
            if preset := known.get(source):
                yield from ((("targets", name, "fetch", "event"), glob, preset) for glob in plan.fetch.events.globs)


def _conditions(match: Any, path: Path) -> Iterator[tuple[Path, str]]:  # noqa: ANN401 - as it is written
    """Give the types that conditions on `event.type` want."""
    for key, operand in match.items() if isinstance(match, Mapping) else ():
        at = (*path, key)
        if key in ("any_of", "all_of"):
            for index, table in enumerate(operand):
                yield from _conditions(table, (*at, index))
        elif key == "event.type":
            yield from ((at, text) for text in _wanted(operand))


def _wanted(operand: Any) -> Iterator[str]:  # noqa: ANN401 - as it is written
    if isinstance(operand, str):
        yield operand
    elif isinstance(operand, (list, tuple)):
        yield from (each for each in operand if isinstance(each, str))
    elif isinstance(operand, Mapping):
        for name in _MEANT:
            yield from _wanted(operand.get(name))
