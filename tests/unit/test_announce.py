"""The gateway's own events: each subject once in its period, bounded, never about themselves."""

import pytest

from gateway.announce import PERIODS, QUEUED_MAX, SUBJECTS_MAX, Announcer
from gateway.core.model import Event
from gateway.store.contract import Verdict


class Clock:
    def __init__(self):
        self.seconds = 1000.0

    def monotonic(self):
        return self.seconds

    def now_ms(self):
        return int(self.seconds * 1000)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def announcer(clock):
    return Announcer(clock)


def event(event_type="order.paid", source="acme"):
    return Event(source, "main", event_type, "1", None, None, None, b"", None, None)


def kinds(announcer):
    return [kind for kind, _, _ in announcer._queue]


async def test_a_subject_is_told_once_in_its_period_and_again_after_it(announcer, clock):
    told = []
    for _ in range(3):
        told.append(announcer.tell("delivery.dead", "crm", {"target": "crm"}))
        clock.seconds += PERIODS["delivery.dead"] / 2
    assert told == [True, False, True]


async def test_different_subjects_are_told_each(announcer):
    assert announcer.tell("delivery.dead", "crm", {"target": "crm"})
    assert announcer.tell("delivery.dead", "audit", {"target": "audit"})


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


async def test_the_queue_and_the_memory_of_subjects_are_bounded(announcer):
    for number in range(SUBJECTS_MAX + 10):
        announcer.tell("event.unmatched", str(number), {"type": str(number)})
    assert len(announcer._queue) == QUEUED_MAX
    assert len(announcer._told) <= SUBJECTS_MAX
