"""What is told of the gateway's own events, and what is not: periods, states, origins, restarts."""

import pytest

from gateway.core.own_events import DAY, HOUR, KINDS, MINUTE
from gateway.core.told import KEPT_FROM, SUBJECTS_MAX, Told

DOWN, UP = {"target": "crm", "reason": "refused"}, {"target": "crm", "reason": "it answers"}
START = 1_000_000_000


class World:
    """A clock beside what was told."""

    def __init__(self):
        self.told = Told()
        self.now = START
        self.notes = {}

    def after(self, seconds):
        self.now += int(seconds * 1000)
        return self

    def ask(self, kind, subject="crm", data=DOWN, origin=""):
        telling = self.told.ask(kind, origin or subject, subject, data, self.now)
        self._keep(telling)
        return telling

    def late(self):
        found = list(self.told.late(self.now))
        for telling in found:
            self._keep(telling)
        return [telling.kind for telling in found]

    def restart(self):
        self.told = Told()
        kept = {name: note for name, note in self.notes.items() if note is not None}
        self.notes = kept
        return self.told.restore(kept, self.now)

    def _keep(self, telling):
        self.notes |= telling.notes if telling else {}


@pytest.fixture
def world():
    return World()


def test_a_subject_is_told_once_in_its_period_and_then_with_how_many_came_since(world):
    assert world.ask("delivery.dead").data == DOWN
    assert world.after(60).ask("delivery.dead") is None
    assert world.after(60).ask("delivery.dead") is None
    assert world.after(480).ask("delivery.dead").data == {**DOWN, "untold": 2}


def test_what_others_or_nobody_were_told_is_told_anew_to_new_listeners(world):
    assert world.ask("delivery.dead")
    assert world.ask("event.unmatched", "acme order 1")
    assert world.told.use({}, "") == {}, "the same listeners: nothing changes"
    assert world.ask("delivery.dead") is None
    over = world.told.use({}, "pager")
    world.notes |= over
    assert not [note for note in world.notes.values() if note is not None]
    assert world.ask("delivery.dead").data == DOWN
    assert world.ask("event.unmatched", "acme order 1")
    assert world.ask("delivery.dead") is None


def test_a_restart_with_other_listeners_tells_what_these_have_not_heard(world):
    world.told.use({}, "pager")
    assert world.ask("event.unmatched", "acme order 1")
    for listeners, told in [("pager", False), ("mail", True)]:
        world.told = Told()
        world.told.use({}, listeners)
        world.notes |= world.told.restore({name: note for name, note in world.notes.items() if note}, world.now)
        assert bool(world.ask("event.unmatched", "acme order 1")) is told


def test_a_state_that_came_too_early_is_told_at_once_to_new_listeners(world):
    assert world.ask("target.down")
    assert world.ask("target.up", data=UP)
    assert world.ask("target.down") is None
    world.told.use({}, "pager")
    assert world.late() == ["target.down"]


def test_different_subjects_are_told_each(world):
    assert world.ask("delivery.dead", "crm")
    assert world.ask("delivery.dead", "audit")


def test_the_configuration_says_otherwise_how_often_one_is_told(world):
    world.told.use({"delivery.dead": HOUR})
    assert world.ask("delivery.dead")
    assert world.after(HOUR - 1).ask("delivery.dead") is None
    assert world.after(1).ask("delivery.dead")


def test_a_clock_that_went_back_silences_nobody(world):
    world.ask("event.unmatched")
    assert world.after(-10 * DAY).ask("event.unmatched")


def test_down_and_back_are_told_at_once(world):
    assert world.ask("target.down")
    assert world.after(30).ask("target.up", data=UP)


def test_a_target_that_flaps_is_told_in_its_period_once_down_and_once_up(world):
    told = [world.after(10).ask(kind) for _ in range(29) for kind in ("target.down", "target.up")]
    assert [telling.kind for telling in told if telling] == ["target.down", "target.up"]


def test_a_state_that_came_too_early_is_told_once_it_may_be_if_it_still_holds(world):
    world.ask("target.down")
    world.after(30).ask("target.up", data=UP)
    assert world.after(30).ask("target.down") is None
    assert world.after(HOUR / 60).late() == []
    assert world.after(10 * MINUTE).late() == ["target.down"]
    assert world.after(10 * MINUTE).late() == []


def test_a_state_that_came_too_early_and_went_again_is_told_to_nobody(world):
    world.ask("target.down")
    world.after(30).ask("target.up", data=UP)
    world.after(30).ask("target.down")
    world.after(30).ask("target.up", data=UP)
    assert world.after(20 * MINUTE).late() == []


def test_of_one_origin_only_so_many_subjects_are_told_and_the_last_says_so(world):
    told = [world.ask("event.unmatched", f"acme {number}", {}, "acme") for number in range(SUBJECTS_MAX + 100)]
    assert [telling is not None for telling in told] == [True] * SUBJECTS_MAX + [False] * 100
    assert [telling.data for telling in told[SUBJECTS_MAX - 2 : SUBJECTS_MAX]] == [{}, {"more": True}]
    assert world.ask("event.unmatched", "partner x", {}, "partner"), "another source is not kept silent by it"
    assert world.after(DAY).ask("event.unmatched", "acme new", {}, "acme").data == {}


def test_memory_and_notes_stay_bounded_however_many_subjects_come_over_the_years(world):
    for day in range(30):
        for number in range(200):
            world.ask("event.unmatched", f"{day} {number}", {}, "acme")
        world.after(DAY)
    assert sum(map(len, world.told._told.values())) <= SUBJECTS_MAX
    assert sum(note is not None for note in world.notes.values()) <= SUBJECTS_MAX


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].again >= KEPT_FROM])
def test_what_is_told_seldom_is_not_told_again_after_a_restart(world, kind):
    world.ask(kind)
    world.after(60).restart()
    assert world.ask(kind) is None


def test_what_is_told_often_leaves_nothing_in_the_store(world):
    world.ask("target.down")
    assert world.notes == {}


def test_notes_that_are_over_or_cannot_be_read_are_removed_by_a_restart(world):
    world.ask("event.unmatched")
    world.notes["told/broken"] = b"{"
    world.notes["told/other"] = b"[1, 2, 3]"
    over = world.after(2 * DAY).restart()
    assert set(over) == set(world.notes)
    assert set(over.values()) == {None}


def test_a_subject_as_long_as_a_sender_likes_is_cut(world):
    assert len(world.ask("event.unmatched", "x" * 10_000).subject) == 200
