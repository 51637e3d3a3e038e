"""docs/metrics.md says what the registry gives: same names, kinds and labels."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry

from gateway.admin.exposition import Exposition, Gauges
from gateway.metrics import Counters
from gateway.runtime import Runtime
from gateway.store.contract import Backlog, Gate, StoreHealth

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
GAUGES = Gauges(
    at=10_000,
    monotonic=10.0,
    health=StoreHealth(True, "", 9.0, 1, 2, 3, 4),
    backlogs={"crm": Backlog(1, 2, 3, 4_000)},
    gates=[Gate("crm", "breaker", 0, None, "refused")],
    connections=5,
    body_bytes=6,
    admin_failures=7,
    tasks=8,
    listener={"gave_way": 9},
)


def documented():
    rows = re.findall(r"^\| `(hookgate_\w+)` \| (\w+) \| ([\w, ]*)\|", PAGE.read_text(), re.MULTILINE)
    return {(name, kind, frozenset(labels.replace(" ", "").split(",")) - {""}) for name, kind, labels in rows}


def filled():
    counters = Counters()
    source, target = counters.sources["acme"], counters.targets["crm"]
    source.refused.add("bad_token")
    source.shaken.add("challenge")
    source.held.add("unmatched")
    counters.credential_used("acme", "main", True)
    target.attempted("delivered", 0.1)
    target.settled.add("delivered")
    target.fetches.add("found")
    counters.gate_closed("crm", "breaker")
    counters.pollers["orders"].polls.add("done")
    counters.pollers["orders"].items.add("missed")
    return counters


def collected(counters):
    registry = CollectorRegistry()
    exposition = Exposition(registry, counters, "0.1.0", Runtime())
    exposition._gauges = GAUGES
    for family in registry.collect():
        if family.name.startswith("hookgate_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            yield name, family.type, frozenset(labels)


def test_every_metric_is_documented_and_every_documented_metric_exists():
    assert set(collected(filled())) == documented()
