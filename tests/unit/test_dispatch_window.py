"""A target's window: bounded in slots and bytes, shared between fresh and old work."""

from gateway.dispatch.window import BYTES, Window


def test_a_full_window_takes_no_more():
    window = Window(2)
    assert [window.reserve(1), window.reserve(1), window.reserve(1)] == [True, True, False]


def test_a_released_slot_can_be_reserved_again():
    window = Window(1)
    window.reserve(10)
    window.release(10, fresh=True)
    assert (window.held, window.held_bytes, window.fresh) == (0, 0, 0)
    assert window.reserve(10)


def test_bytes_are_bounded_but_one_large_payload_fits_an_empty_window():
    window = Window(10)
    assert window.reserve(BYTES * 2)
    assert not window.reserve(1)


def test_fresh_events_get_half_of_the_window_while_older_work_waits():
    window = Window(8)
    window.older_waiting = True
    assert sum(window.reserve(1) for _ in range(8)) == 4
    assert window.room()[0] == 4


def test_old_work_always_leaves_a_quarter_for_fresh_events():
    window = Window(8)
    window.older_waiting = True
    for _ in range(window.room()[0]):
        window.take(1)
    assert (window.held, window.room()[0]) == (6, 0)
    assert window.reserve(1)


def test_old_work_leaves_bytes_for_fresh_events_too():
    window = Window(8)
    window.take(BYTES - BYTES // 4)
    assert window.room()[1] == 0
    assert window.reserve(BYTES // 4)
