"""The checker itself must fail on planted inversions."""

from harness.turns import Seen, inversions


def test_keys_in_turn_with_repeats_are_in_order():
    assert inversions([Seen("a", "1", False), Seen("b", "3", True), Seen("a", "1", True), Seen("a", "2", True)]) == []


def test_one_that_comes_after_a_later_one_is_found():
    assert inversions([Seen("a", "2", True), Seen("b", "1", True), Seen("a", "1", True)]) == ["1 came after 2 of a"]


def test_one_that_comes_before_the_one_before_was_taken_is_found():
    assert inversions([Seen("a", "1", False), Seen("a", "2", True)]) == ["2 came though 1 of a was not taken"]


def test_one_that_was_taken_and_came_again_holds_nobody_up():
    assert inversions([Seen("a", "1", True), Seen("a", "1", False), Seen("a", "2", True)]) == []
