"""The Prometheus text: names, help and labels for the plain numbers of `gateway.metrics` and the state of the store.

Nothing is registered globally: the daemon makes one registry and hands it in. The state is gathered in the trio thread,
then the text is rendered in a file thread (500 targets take some 90 ms). Every name here is in docs/metrics.md.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import trio
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from gateway.metrics import Counters, Histogram, Tally
from gateway.runtime import Runtime
from gateway.store.contract import Backlog, Gate, Store, StoreHealth


@dataclass(frozen=True, slots=True)
class Gauges:
    """The state at one moment, gathered in the trio thread."""

    at: int
    """Milliseconds since 1970."""
    monotonic: float
    health: StoreHealth
    backlogs: Mapping[str, Backlog]
    gates: Iterable[Gate]
    connections: int
    body_bytes: int
    """Request bodies held in memory."""
    admin_failures: int
    """Admin connections ended by a contained exception."""
    tasks: int
    """Tasks of the event loop."""
    listener: Mapping[str, int]
    """What the listener itself refused or ended, by reason."""


def gather(
    store: Store,
    gates: Iterable[Gate],
    targets: Iterable[str],
    *,
    at: int,
    monotonic: float,
    connections: int = 0,
    body_bytes: int = 0,
    admin_failures: int = 0,
    listener: Mapping[str, int] | None = None,
) -> Gauges:
    """Read the state that only the trio thread may read; `targets` are the configured ones."""
    names = sorted({*targets, *store.targets()})
    backlogs = {name: store.backlog(name) for name in names}
    tasks = trio.lowlevel.current_statistics().tasks_living
    return Gauges(
        at,
        monotonic,
        store.health(),
        backlogs,
        list(gates),
        connections,
        body_bytes,
        admin_failures,
        tasks,
        listener or {},
    )


class Exposition:
    """The collector, and the way to render it. One per daemon."""

    def __init__(self, registry: CollectorRegistry, counters: Counters, version: str, runtime: Runtime) -> None:
        self._registry = registry
        self._counters = counters
        self._version = version
        self._runtime = runtime
        self._gauges: Gauges | None = None
        registry.register(_Process(runtime))
        registry.register(self)

    async def render(self, gather_now: Callable[[], Gauges]) -> bytes:
        """Gather here, render in a thread. Two renderings at a time may see each other's gauges, both of them fresh."""
        self._gauges = gather_now()
        return await self._runtime.in_file_thread(lambda: generate_latest(self._registry))

    def describe(self) -> Iterator[Metric]:
        """Name nothing ahead: the registry need not collect in order to register."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Give every metric of ours, as it is now."""
        yield _gauge("hookgate_info", "Always 1; the running version", [((self._version,), 1)], ["version"])
        yield from self._of_sources()
        yield from self._of_targets()
        yield from self._of_pollers()
        counters = self._counters
        seconds = "From a request's last byte to its durable answer"
        yield _histogram("hookgate_accept_seconds", seconds, [((), counters.accept_seconds)], [])
        if self._gauges is not None:
            yield from _of_state(self._gauges)

    def _of_sources(self) -> Iterator[Metric]:
        sources = list(self._counters.sources.items())
        answered = [((name,), counts.answered) for name, counts in sources]
        yield _counter("hookgate_requests_answered", "Requests answered 2xx", answered, ["source"])
        refused = _spread((name, counts.refused) for name, counts in sources)
        yield _counter("hookgate_requests_refused", "Requests that got no 2xx", refused, ["source", "reason"])
        shaken = _spread((name, counts.shaken) for name, counts in sources)
        yield _counter("hookgate_handshakes", "Handshakes that were answered", shaken, ["source", "handshake"])
        learned = [((name,), counts.learned) for name, counts in sources]
        yield _counter("hookgate_secrets_learned", "Secrets that providers said at set-up", learned, ["source"])
        events = [
            ((name, verdict), count)
            for name, counts in sources
            for verdict, count in (
                ("new", counts.new),
                ("duplicate", counts.duplicates),
                ("conflict", counts.conflicts),
            )
        ]
        yield _counter("hookgate_events", "Events, by what the store said of them", events, ["source", "verdict"])
        held = _spread((name, counts.held) for name, counts in sources)
        yield _counter("hookgate_events_held", "New events kept without deliveries", held, ["source", "hold"])
        used = _spread((name, counts.used) for name, counts in sources)
        yield _counter("hookgate_credential_uses", "Requests a credential proved", used, ["source", "credential"])

    def _of_pollers(self) -> Iterator[Metric]:
        pollers = list(self._counters.pollers.items())
        polls = _spread((name, counts.polls) for name, counts in pollers)
        yield _counter("hookgate_polls", "Polls, by what came of them", polls, ["poller", "result"])
        items = _spread((name, counts.items) for name, counts in pollers)
        yield _counter("hookgate_polled_events", "Events found by polling", items, ["poller", "verdict"])

    def _of_targets(self) -> Iterator[Metric]:
        targets = list(self._counters.targets.items())
        settled = _spread((name, counts.settled) for name, counts in targets)
        yield _counter("hookgate_deliveries_settled", "Deliveries that ended", settled, ["target", "state"])
        attempts = _spread((name, counts.attempts) for name, counts in targets)
        yield _counter("hookgate_attempts", "Tries to deliver", attempts, ["target", "outcome"])
        fetches = _spread((name, counts.fetches) for name, counts in targets)
        yield _counter("hookgate_fetches", "Resources that a provider was asked for", fetches, ["target", "result"])
        closings = _spread((name, counts.gates_closed) for name, counts in targets)
        yield _counter("hookgate_gate_closings", "Times a gate was closed", closings, ["target", "kind"])
        seconds = [((name,), counts.attempt_seconds) for name, counts in targets]
        yield _histogram("hookgate_attempt_seconds", "How long tries took", seconds, ["target"])


def _of_state(now: Gauges) -> Iterator[Metric]:
    backlog = [
        ((name, state), count)
        for name, waiting in now.backlogs.items()
        for state, count in (("pending", waiting.pending), ("in_flight", waiting.in_flight), ("dead", waiting.dead))
    ]
    yield _gauge("hookgate_backlog_deliveries", "Deliveries that wait, run or are dead", backlog, ["target", "state"])
    overdue = [
        ((name,), max(0, now.at - waiting.next_due) / 1000 if waiting.next_due is not None else 0)
        for name, waiting in now.backlogs.items()
    ]
    yield _gauge("hookgate_backlog_overdue_seconds", "How long the oldest delivery has been due", overdue, ["target"])
    closed = [((gate.target, gate.kind), 1) for gate in now.gates]
    yield _gauge("hookgate_gate_closed", "1 while a gate is closed", closed, ["target", "kind"])
    yield from _of_process(now)


class _Process(ProcessCollector):
    """The client's `process_*`, also where /proc shows processes only (ProcSubset=pid): there it would give none."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        super().__init__(registry=None)

    def _boot_time(self) -> float:
        return self._runtime.now_ms() / 1000 - self._runtime.monotonic()


def _of_process(now: Gauges) -> Iterator[Metric]:
    health = now.health
    plain = (
        ("hookgate_store_accepting", "1 while the store takes new events", int(health.accepting)),
        ("hookgate_store_commit_age_seconds", "Since the last durable commit", now.monotonic - health.last_commit),
        ("hookgate_store_queued_requests", "Requests that wait for a commit", health.queued),
        ("hookgate_store_queued_bytes", "Their bytes", health.queued_bytes),
        ("hookgate_store_free_bytes", "Free space where the store is", health.free_bytes),
        ("hookgate_store_disk_bytes", "Size of the store's files", health.disk_bytes),
        ("hookgate_connections", "Open connections of senders", now.connections),
        ("hookgate_body_bytes", "Request bodies held in memory", now.body_bytes),
        ("hookgate_tasks", "Tasks of the event loop", now.tasks),
    )
    for name, text, value in plain:
        yield _gauge(name, text, [((), value)], [])
    failures = "Admin connections ended by a contained exception"
    yield _counter("hookgate_admin_connections_failed", failures, [((), now.admin_failures)], [])
    ended = [((reason,), count) for reason, count in now.listener.items()]
    yield _counter("hookgate_listener_refused", "What the listener itself refused or ended", ended, ["reason"])


Labels = tuple[str, ...]


def _spread(tallies: Iterable[tuple[str, Tally]]) -> list[tuple[Labels, int]]:
    return [((name, code), count) for name, tally in tallies for code, count in list(tally.items())]


def _counter(name: str, text: str, values: Iterable[tuple[Labels, int]], labels: list[str]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def _gauge(name: str, text: str, values: Iterable[tuple[Labels, float]], labels: list[str]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def _histogram(name: str, text: str, values: Iterable[tuple[Labels, Histogram]], labels: list[str]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=labels)
    for key, histogram in values:
        total = 0
        buckets = []
        for bound, count in zip((*histogram.bounds, float("inf")), list(histogram.counts), strict=True):
            total += count
            buckets.append(("+Inf" if bound == float("inf") else str(bound), total))
        family.add_metric(key, buckets, histogram.total)
    return family
