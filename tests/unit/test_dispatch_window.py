"""A target's window: bounded in slots and bytes, shared between fresh and old work."""

from gateway.dispatch.window import BYTES, Window


def reserve(window, size=1):
    """Reserve for a source of its own."""
    return window.reserve(size, f"source {window.fresh}")


def test_a_full_window_takes_no_more():
    window = Window(2)
    assert [reserve(window), reserve(window), reserve(window)] == [True, True, False]


def test_a_released_slot_can_be_reserved_again():
    window = Window(1)
    window.reserve(10, "acme")
    window.release_fresh(10, "acme")
    assert (window.held, window.held_bytes, window.fresh) == (0, 0, 0)
    assert window.reserve(10, "acme")


def test_bytes_are_bounded_but_one_large_payload_fits_an_empty_window():
    window = Window(10)
    assert reserve(window, BYTES * 2)
    assert not reserve(window)


def test_fresh_events_get_half_of_the_window_while_older_work_waits():
    window = Window(8)
    window.older_waiting = True
    assert sum(window.reserve(1, "acme") for _ in range(8)) == 3
    assert sum(reserve(window) for _ in range(8)) == 3, "what has little gets three quarters at most"
    assert window.room()[0] == 1


def test_old_work_always_leaves_a_quarter_for_fresh_events():
    window = Window(8)
    window.older_waiting = True
    for _ in range(window.room()[0]):
        window.take(1)
    assert (window.held, window.room()[0]) == (6, 0)
    assert reserve(window)


def test_old_work_leaves_bytes_for_fresh_events_too():
    window = Window(8)
    window.take(BYTES - BYTES // 4)
    assert window.room()[1] == 0
    assert reserve(window, BYTES // 4)


def test_one_source_leaves_a_quarter_of_what_fresh_events_may_hold_to_the_others():
    window = Window(16)
    assert sum(window.reserve(1, "flood") for _ in range(16)) == 12
    assert sum(window.reserve(1, "quiet") for _ in range(16)) == 4
    window.release_fresh(1, "flood")
    assert not window.reserve(1, "flood"), "the last eighth is for who holds little"
    window.release_fresh(1, "flood")
    window.release_fresh(1, "flood")
    assert window.reserve(1, "flood")
    window = Window(16)
    window.older_waiting = True
    assert sum(window.reserve(1, "flood") for _ in range(16)) == 6
    assert window.reserve(1, "quiet")


def test_a_window_may_hold_more_bytes_if_so_configured():
    window = Window(10, 3 * BYTES)
    assert reserve(window, BYTES * 2)
    assert reserve(window, BYTES)
    assert not reserve(window)
