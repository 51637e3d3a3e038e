"""Virtual time: it stands still while anything can run, then jumps to the next deadline, or leaps over quiet hours.

A machine may always be slower than asked: what looks once a second may look once an hour. So where `quiet_until` says
that nothing is due, nobody is busy and the script is silent, time leaps to where something is; the daemon's own looks
all come late then, as in a process that was starved. All else happens at its exact time.
"""

from math import inf

import trio
from trio.testing import MockClock


def leaping_clock(quiet_until):
    """Give trio's mock clock, taught to leap; `quiet_until` gives the time before which nothing matters.

    It is asked whenever nobody can run. The clock is final and made here: it is taught by attributes.
    """
    clock = MockClock(autojump_threshold=0)
    clock._real_clock = lambda: 0.0

    def jump():
        after = trio.lowlevel.current_statistics().seconds_to_next_deadline
        if 0 < after < inf:
            clock.jump(max(after, quiet_until() - clock.current_time()))

    clock._autojump = jump
    return clock
