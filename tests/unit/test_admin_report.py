"""What status and readiness say, from counters, store and blueprint."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.admin.operations import GateStatus
from gateway.admin.report import (
    next_step,
    reasons_not_ready,
    report_ingress,
    report_sources,
    report_store,
    report_targets,
)
from gateway.metrics import Counters
from gateway.store.contract import Backlog, Gate, StoreHealth

BLUEPRINT = SimpleNamespace(
    targets={"crm": SimpleNamespace(type="http", order=None)},
    sources={
        "acme": SimpleNamespace(
            name="acme",
            provider="generic",
            path="/hooks/acme",
            credentials=[SimpleNamespace(name="old", scheme="hmac"), SimpleNamespace(name="new", scheme="hmac")],
        )
    },
)


class Shelf:
    def targets(self):
        return ["forgotten"]

    def backlog(self, name):
        return Backlog(4, 1, 2, 7_000) if name == "crm" else Backlog(dead=9)


def health(accepting=True, reason="", last_commit=90.0):
    return StoreHealth(accepting, reason, last_commit, 0, 0, 0, 0)


@pytest.mark.parametrize(("age", "ready"), [(0.0, True), (10.0, True), (10.1, False), (3600.0, False)])
def test_P28_ready_needs_a_durable_commit_within_ten_seconds(age, ready):
    assert (not reasons_not_ready(health(last_commit=100.0 - age), 100.0)) == ready


def test_P28_ready_needs_a_store_that_accepts_and_tells_why_it_does_not():
    assert reasons_not_ready(health(False, "disk low"), 90.0) == ["the store accepts nothing: disk low"]


@pytest.mark.parametrize(
    ("configured", "kinds", "dead", "expected"),
    [
        (True, (), 0, ""),
        (True, (), 3, "hookgate retry --target crm"),
        (True, ("breaker",), 3, "hookgate targets enable crm"),
        (True, ("disabled", "held"), 0, "hookgate targets enable crm"),
        (True, ("held",), 1, "hookgate targets release crm"),
        (True, ("restored",), 0, "hookgate targets release crm"),
    ],
)
def test_the_next_step_opens_gates_before_it_retries(configured, kinds, dead, expected):
    gates = [GateStatus(kind, "", 0, None) for kind in kinds]
    assert next_step("crm", configured, gates, dead) == expected


def test_a_target_that_only_the_store_knows_is_shown_with_what_to_do():
    counters = Counters()
    counters.targets["crm"].failed("500 Server Error", 6_000)
    crm, forgotten = report_targets(
        BLUEPRINT, counters, Shelf(), [Gate("crm", "held", 1, None, "upgrade")], {"forgotten"}, {"crm": 60}
    )
    assert (crm.name, crm.type, crm.pending, crm.oldest_due, crm.last_error) == (
        "crm",
        "http",
        4,
        7_000,
        "500 Server Error",
    )
    assert crm.gates == [GateStatus("held", "upgrade", 1, None)]
    assert (crm.gathers_seconds, forgotten.gathers_seconds) == (60, None)
    assert (forgotten.name, forgotten.type, forgotten.dead) == ("forgotten", "", 9)
    assert "formerly" in forgotten.next_step
    assert (crm.slow_start, forgotten.slow_start) == (False, True), "what is closed is not started"


def test_sources_tell_how_often_each_credential_proved_and_alone():
    counters = Counters()
    counters.credential_used("acme", "old", False)
    counters.credential_used("acme", "new", False)
    counters.credential_used("acme", "new", True)
    (acme,) = report_sources(BLUEPRINT, counters)
    assert [(each.name, each.used, each.used_alone) for each in acme.credentials] == [("old", 1, 0), ("new", 2, 1)]


def test_ingress_sums_all_sources_and_unknown_paths():
    counters = Counters()
    counters.answered("acme", 0.001, 5)
    counters.answered("other", 0.001, 9)
    counters.refused("acme", "token")
    counters.refused("", "unknown_path")
    ingress = report_ingress(counters, ["127.0.0.1:8080"], 3)
    assert (ingress.answered, ingress.last_accepted_at, ingress.connections) == (2, 9, 3)
    assert ingress.refused == {"token": 1, "unknown_path": 1}


def test_the_store_tells_the_age_of_its_last_commit():
    assert report_store(Path("/srv/hookgate.db"), health(), 92.26).commit_age_seconds == 2.3
