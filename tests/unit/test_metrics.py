"""Plain numbers on the hot path, Prometheus text at a scrape."""

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, process_collector
from prometheus_client.parser import text_string_to_metric_families

from gateway.admin.exposition import Exposition, gather
from gateway.core.model import Event
from gateway.metrics import CODES_MAX, LABELS_MAX, OVERFLOW, Counters, Family, Histogram, Tally
from gateway.runtime import Runtime
from gateway.store.contract import Backlog, Gate, StoreHealth, Verdict

HEALTH = StoreHealth(True, "", 90.0, 3, 4096, 10**9, 10**6)


class Shelf:
    def targets(self):
        return ["forgotten"]

    def backlog(self, name):
        return {"crm": Backlog(5, 1, 2, 7_000), "later": Backlog(1, 0, 0, 99_000)}.get(name, Backlog())

    def health(self):
        return HEALTH


def event(source="acme"):
    return Event(source, "main", "a.b", "1", None, None, None, b"", None, None)


async def samples(counters, gates=(), targets=("crm", "later")):
    exposition = Exposition(CollectorRegistry(), counters, "0.1.0", Runtime())
    text = await exposition.render(lambda: gather(Shelf(), gates, targets, at=10_000, monotonic=100.0, connections=9))
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


async def test_a_scrape_tells_what_was_counted():
    counters = Counters()
    counters.answered("acme", 0.003, 1234)
    counters.credential_used("acme", "main", True)
    counters.judged(event(), None, Verdict("new", 1))
    counters.judged(event(), "unmatched", Verdict("new", 2))
    counters.judged(event(), None, Verdict("duplicate", 1))
    counters.judged(event(), None, Verdict("conflict", 3))
    counters.refused("acme", "bad_token")
    counters.refused("", "unknown_path")
    crm = counters.targets["crm"]
    crm.attempted("retry", 0.02)
    crm.settled.add("dead", 2)
    counters.gate_closed("crm", "breaker")
    found = await samples(counters, [Gate("crm", "breaker", 0, None, "refused")])
    expected = {
        ("hookgate_requests_answered_total", "acme"): 1,
        ("hookgate_events_total", "acme", "new"): 2,
        ("hookgate_events_total", "acme", "duplicate"): 1,
        ("hookgate_events_total", "acme", "conflict"): 1,
        ("hookgate_events_held_total", "acme", "unmatched"): 1,
        ("hookgate_requests_refused_total", "acme", "bad_token"): 1,
        ("hookgate_requests_refused_total", "", "unknown_path"): 1,
        ("hookgate_credential_uses_total", "acme", "main"): 1,
        ("hookgate_accept_seconds_bucket", "0.0025"): 0,
        ("hookgate_accept_seconds_bucket", "0.005"): 1,
        ("hookgate_accept_seconds_bucket", "+Inf"): 1,
        ("hookgate_accept_seconds_count",): 1,
        ("hookgate_accept_seconds_sum",): 0.003,
        ("hookgate_attempts_total", "crm", "retry"): 1,
        ("hookgate_attempt_seconds_bucket", "0.025", "crm"): 1,
        ("hookgate_deliveries_settled_total", "crm", "dead"): 2,
        ("hookgate_gate_closings_total", "breaker", "crm"): 1,
        ("hookgate_gate_closed", "breaker", "crm"): 1,
        ("hookgate_backlog_deliveries", "crm", "pending"): 5,
        ("hookgate_backlog_deliveries", "dead", "forgotten"): 0,
        ("hookgate_backlog_overdue_seconds", "crm"): 3,
        ("hookgate_backlog_overdue_seconds", "later"): 0,
        ("hookgate_store_accepting",): 1,
        ("hookgate_store_commit_age_seconds",): 10,
        ("hookgate_store_queued_bytes",): 4096,
        ("hookgate_connections",): 9,
    }
    assert {key: found.get(key) for key in expected} == expected


async def test_the_process_itself_is_measured_too():
    assert (await samples(Counters()))["process_resident_memory_bytes",] > 0


def test_nothing_is_registered_globally():
    before = {metric.name for metric in prometheus_client.REGISTRY.collect()}
    Exposition(CollectorRegistry(), Counters(), "0.1.0", Runtime())
    assert {metric.name for metric in prometheus_client.REGISTRY.collect()} == before


def test_codes_in_one_table_are_bounded():
    tally = Tally()
    for n in range(CODES_MAX + 50):
        tally.add(f"code{n}")
    assert len(tally) == CODES_MAX + 1
    assert tally[OVERFLOW] == 50


def test_names_of_sources_and_targets_are_bounded():
    family = Family(Tally)
    for n in range(LABELS_MAX + 3):
        family[f"source{n}"].add("x")
    assert len(family) == LABELS_MAX + 1
    assert family[OVERFLOW]["x"] == 3
    assert family["source0"] is family["source0"]


@pytest.mark.parametrize(("value", "bucket"), [(0.0, 0), (1.0, 0), (1.1, 1), (2.0, 1), (9.0, 2)])
def test_a_value_falls_into_the_first_bucket_whose_bound_is_not_below_it(value, bucket):
    histogram = Histogram((1.0, 2.0))
    histogram.observe(value)
    assert histogram.counts.index(1) == bucket


async def test_figures_of_the_process_are_there_also_where_proc_shows_processes_only(monkeypatch):
    """As under ProcSubset=pid, which hides /proc/stat."""

    def opened(file, *arguments):
        if file == "/proc/stat":
            raise FileNotFoundError(file)
        return open(file, *arguments)  # noqa: PTH123 - stands in for the client's own

    monkeypatch.setattr(process_collector, "open", opened, raising=False)
    found = await samples(Counters())
    assert found["process_resident_memory_bytes",] > 0
    assert 0 < Runtime().now_ms() / 1000 - found["process_start_time_seconds",] < 86_400
