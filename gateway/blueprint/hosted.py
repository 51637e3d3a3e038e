"""Plugins that run in worker processes: described by a process of their own, so that none is imported into ours."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from gateway.blueprint.kinds import Kinds
from gateway.config.lines import Path
from gateway.config.problems import Report
from gateway.config.references import References
from gateway.plugin import Options, Target, TargetKind, TransformKind
from gateway.plugin_host.catalogue import Provider
from gateway.plugin_host.describe import Description, describe
from gateway.plugin_host.host import HostedTarget
from gateway.plugin_host.job import Job
from gateway.plugin_host.transformed import InlineTransform, Transform, WorkerTransform, transformed


class Table(NamedTuple):
    """A table with the options of a plugin."""

    values: dict[str, Any]
    path: Path
    also_known: Iterable[str]
    """Keys that may stand beside the options."""
    references: References


def hosted_kind(provider: Provider, table: Table, report: Report) -> TargetKind[Any] | None:
    """Give a kind of target whose plugin runs in a worker; None if the options do not fit, which is reported.

    A plugin that cannot be used is a warning, not a problem: its target is down, everything else starts (G5).
    """
    job, found = _described(provider, table, report)
    if job is None:
        return None
    return TargetKind(
        Options,
        lambda _options: HostedTarget(job, found.down),
        found.timeout_seconds,
        found.concurrency,
        found.send,
        found.replay,
    )


def with_transform(
    kind: TargetKind[Any],
    transforms: Kinds[TransformKind[Any]],
    provider: Provider,
    table: Table,
    report: Report,
    *,
    inline: bool,
) -> TargetKind[Any] | None:
    """Put a transform before a kind of target; None if its options do not fit, which is reported."""
    if inline:
        loaded = transforms.find(provider.name, table.path)
        options = None if loaded is None else transforms.options(loaded.options, *table)
        return None if loaded is None or options is None else _before(kind, InlineTransform(loaded, options))
    job, found = _described(provider, table, report)
    return None if job is None else _before(kind, WorkerTransform(job, found.down))


def _described(provider: Provider, table: Table, report: Report) -> tuple[Job | None, Description]:
    found = describe(Job(provider, table.values, also_known=tuple(table.also_known)), table.references)
    for path, text in found.problems:
        report.add((*table.path, *path), text)
    if found.down:
        report.warn(
            table.path, f"{found.down}: its deliveries wait until it is repaired and the configuration reloaded"
        )
    return (None if found.problems else Job(provider, table.values, found.given)), found


def _before(kind: TargetKind[Any], transform: Transform) -> TargetKind[Any]:
    def build(options: Any) -> Target:  # noqa: ANN401 - the kind's own
        return transformed(kind.build(options), transform)

    return TargetKind(kind.options, build, kind.timeout_seconds, kind.concurrency, "payload", kind.replay)
