"""Turns counters, store and blueprint into the values of `gateway.admin.operations`. Reads memory only."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gateway.admin.operations import (
    CredentialStatus,
    GateStatus,
    IngressStatus,
    LearningStatus,
    SourceStatus,
    StoreStatus,
    TargetStatus,
)
from gateway.blueprint import Blueprint, Source
from gateway.blueprint.learned import LearnedState
from gateway.metrics import Counters, SourceCounts, Tally
from gateway.store.contract import Gate, Store, StoreHealth

COMMIT_AGE_MAX_SECONDS = 10.0


def reasons_not_ready(health: StoreHealth, monotonic: float) -> list[str]:
    """Tell why ingress cannot commit; empty = it can. `monotonic` is now, on the clock of `health.last_commit`."""
    if not health.accepting:
        return [f"the store accepts nothing: {health.reason}"]
    age = monotonic - health.last_commit
    if age > COMMIT_AGE_MAX_SECONDS:
        return [f"the last durable commit was {age:.0f} s ago (at most {COMMIT_AGE_MAX_SECONDS:.0f} s)"]
    return []


def report_store(path: Path, health: StoreHealth, monotonic: float) -> StoreStatus:
    """Tell how the store is."""
    return StoreStatus(
        str(path),
        health.accepting,
        health.reason,
        round(max(0.0, monotonic - health.last_commit), 1),
        health.queued,
        health.queued_bytes,
        health.free_bytes,
        health.disk_bytes,
    )


def report_ingress(counters: Counters, listeners: Sequence[str], connections: int) -> IngressStatus:
    """Sum up all sources."""
    refused, held = Tally(), Tally()
    sources = list(counters.sources.values())
    for counts in sources:
        for reason, count in counts.refused.items():
            refused.add(reason, count)
        for hold, count in counts.held.items():
            held.add(hold, count)
    return IngressStatus(
        listeners,
        connections,
        sum(counts.answered for counts in sources),
        sum(counts.duplicates for counts in sources),
        sum(counts.conflicts for counts in sources),
        refused,
        counters.last_accepted_at,
        held,
    )


def report_sources(
    blueprint: Blueprint, counters: Counters, learning: Iterable[LearnedState] = ()
) -> list[SourceStatus]:
    """Tell of each configured source, by name."""
    unused = SourceCounts()
    states = {(each.source, each.credential): each for each in learning}
    sources = sorted(blueprint.sources.items())
    return [_source(source, counters.sources.get(name, unused), states) for name, source in sources]


def report_learning(state: LearnedState) -> LearningStatus:
    """Tell how a credential stands that learns its secret."""
    return LearningStatus(state.known, round(state.open_seconds, 1), state.file)


def report_targets(
    blueprint: Blueprint,
    counters: Counters,
    store: Store,
    gates: Iterable[Gate],
    slow: Collection[str],
    gathering: Mapping[str, float],
) -> list[TargetStatus]:
    """Tell of each target that the configuration names or the store still holds deliveries for, by name.

    `slow` names those in a slow start; `gathering` gives how many seconds those wait for more that gather.
    """
    closed: dict[str, list[GateStatus]] = {}
    for gate in gates:
        closed.setdefault(gate.target, []).append(GateStatus(gate.kind, gate.reason, gate.since, gate.until))
    names = {*blueprint.targets, *store.targets(), *closed}
    return [
        replace(_target(name, blueprint, counters, store, closed, slow), gathers_seconds=gathering.get(name))
        for name in sorted(names)
    ]


def next_step(name: str, configured: bool, gates: Sequence[GateStatus], dead: int) -> str:
    """Say what an operator would do next about a target; empty if it needs nothing."""
    kinds = {gate.kind for gate in gates}
    if not configured:
        return "name it in the configuration again (formerly = …), then: hookgate reload"
    if kinds & {"disabled", "breaker"}:
        return f"hookgate targets enable {name}"
    if kinds & {"held", "restored"}:
        return f"hookgate targets release {name}"
    if dead:
        return f"hookgate retry --target {name}"
    return ""


def _source(source: Source, counts: SourceCounts, states: Mapping[tuple[str, str], LearnedState]) -> SourceStatus:
    credentials = [
        CredentialStatus(
            each.name,
            each.scheme,
            counts.used.get(each.name, 0),
            counts.used_alone.get(each.name, 0),
            report_learning(states[source.name, each.name]) if (source.name, each.name) in states else None,
        )
        for each in source.credentials
    ]
    return SourceStatus(
        source.name,
        source.provider,
        source.path,
        counts.last_event_at,
        counts.answered,
        counts.duplicates,
        counts.conflicts,
        dict(counts.refused),
        credentials,
    )


def _target(
    name: str,
    blueprint: Blueprint,
    counters: Counters,
    store: Store,
    closed: Mapping[str, Sequence[GateStatus]],
    slow: Collection[str],
) -> TargetStatus:
    plan = blueprint.targets.get(name)
    backlog = store.backlog(name)
    counts = counters.targets.get(name)
    gates = closed.get(name, ())
    return TargetStatus(
        name,
        plan.type if plan else "",
        gates,
        backlog.pending,
        backlog.in_flight,
        backlog.dead,
        backlog.next_due,
        counts.last_error if counts else "",
        counts.last_error_at if counts else None,
        counts.last_delivered_at if counts else None,
        next_step(name, plan is not None, gates, backlog.dead),
        name in slow and not gates,
        backlog.waiting,
        plan is not None and plan.order is not None and plan.order.on_dead == "block",
    )
