"""Who is next at a target: fresh and old in turn, suspects alone."""

import pytest

from gateway.core.lifecycle import RUNS_ALONE_AFTER
from gateway.core.model import Delivery, StoredEvent
from gateway.dispatch.line import Line, Slot
from gateway.store.contract import Claim


def slot(event_id, *, fresh, interrupted=0, source="s"):
    event = StoredEvent(event_id, source, "c", "t", "", None, 0, b"", b"", None)
    return Slot(Claim(Delivery(event_id, 0, "t", "r", 1, 0, interrupted, None, 0), event), 1, fresh)


def taken(line):
    return [line.next().claim.event.id for _ in range(len(line))]


def test_fresh_and_old_deliveries_go_in_turn():
    line = Line()
    for number in range(3):
        line.add(slot(number, fresh=False))
    for number in range(10, 13):
        line.add(slot(number, fresh=True))
    assert taken(line) == [10, 0, 11, 1, 12, 2]


def test_one_kind_alone_keeps_its_order():
    line = Line()
    for number in range(4):
        line.add(slot(number, fresh=False))
    assert taken(line) == [0, 1, 2, 3]


@pytest.mark.parametrize("fresh", [True, False])
def test_sources_take_turns_and_each_keeps_its_order(fresh):
    line = Line()
    for number in range(6):
        line.add(slot(number, fresh=fresh, source="flood"))
    for number in range(10, 12):
        line.add(slot(number, fresh=fresh, source="quiet"))
    assert taken(line) == [0, 10, 1, 11, 2, 3, 4, 5]


def test_a_delivery_that_died_with_the_process_too_often_is_taken_only_as_a_suspect():
    line = Line()
    line.add(slot(1, fresh=False, interrupted=RUNS_ALONE_AFTER))
    assert len(line) == 0
    assert line.next_suspect().claim.event.id == 1
    assert line.next_suspect() is None


def test_clear_gives_back_everything_suspects_included():
    line = Line()
    line.add(slot(1, fresh=True))
    line.add(slot(2, fresh=False))
    line.add(slot(3, fresh=False, interrupted=RUNS_ALONE_AFTER))
    assert {each.claim.event.id for each in line.clear()} == {1, 2, 3}
    assert line.clear() == []
