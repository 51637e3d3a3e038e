"""The gateway's own events: each subject once in its period, bounded, never about themselves."""

from types import SimpleNamespace

import pytest

from gateway.announce import QUEUED_MAX, Announcer
from gateway.core.model import Event
from gateway.core.routing import Pattern, Route
from gateway.core.told import SUBJECTS_MAX
from gateway.store.contract import Verdict


class Clock:
    def now_ms(self):
        return 1_000_000


@pytest.fixture
async def announcer():
    return Announcer(Clock())


def event(event_type="order.paid", source="acme"):
    return Event(source, "main", event_type, "1", None, None, None, b"", None, None)


def kinds(announcer):
    return [telling.kind for telling in announcer._queue]


async def test_what_was_told_already_is_not_queued(announcer):
    assert announcer.tell("delivery.dead", "crm", {"target": "crm"})
    assert not announcer.tell("delivery.dead", "crm", {"target": "crm"})
    assert kinds(announcer) == ["delivery.dead"]


async def test_alerts_that_a_reload_brings_hear_of_trouble_that_nobody_was_told(announcer):
    def blueprint(*targets):
        routes = [Route("alerts", "hookgate", Pattern(["*"]), Pattern(["*"]), None, targets)] if targets else []
        return SimpleNamespace(config=SimpleNamespace(alerts=None), routes={each.name: each for each in routes})

    announcer.use(blueprint())
    assert announcer.tell("delivery.dead", "crm", {"target": "crm"})
    for listeners, told in [(("mail",), True), (("mail",), False), (("mail", "pager"), True), ((), True)]:
        announcer.use(blueprint(*listeners))
        assert announcer.tell("delivery.dead", "crm", {"target": "crm"}) is told


async def test_an_event_that_found_its_way_is_not_told(announcer):
    announcer.judged(event(), None, Verdict("new", 1))
    announcer.judged(event(), "unmatched", Verdict("duplicate", 1))
    announcer.judged(event(), "ignored", Verdict("new", 2))
    assert kinds(announcer) == []


@pytest.mark.parametrize(
    ("hold", "verdict", "kind"),
    [
        ("unmatched", "new", "event.unmatched"),
        ("version", "new", "event.version_unseen"),
        (None, "conflict", "event.conflict"),
    ],
)
async def test_what_was_held_is_told(announcer, hold, verdict, kind):
    announcer.judged(event(), hold, Verdict(verdict, 1))
    assert kinds(announcer) == [kind]
    assert announcer._queue[0][2]["event_id"] == "evt_0000000000000001"


async def test_own_events_are_never_told_about(announcer):
    announcer.judged(event("delivery.dead", "hookgate"), "unmatched", Verdict("new", 1))
    assert kinds(announcer) == []


async def test_a_sender_of_ever_new_types_makes_a_bounded_number_of_own_events_and_log_lines(announcer):
    for number in range(20_000):
        announcer.judged(event(f"type.{number}"), "unmatched", Verdict("new", number))
    assert len(announcer._queue) == SUBJECTS_MAX


async def test_the_queue_is_bounded(announcer):
    for number in range(QUEUED_MAX + 10):
        announcer.tell("target.down", f"crm-{number}", {"target": f"crm-{number}"})
    assert len(announcer._queue) == QUEUED_MAX
