"""Virtual time: it stands still while anything can run, then jumps to the next deadline, or leaps over quiet hours.

A machine may always be slower than asked: what looks once a second may look once an hour. So where `quiet_until` says
that nothing is due, nobody is busy and the script is silent, time leaps to where something is; the daemon's own looks
all come late then, as in a process that was starved. All else happens at its exact time.

Most of a run is waiting for a moment, so `sleep` does without what `trio.sleep` costs: a scope that is cancelled, and
an exception that ends it.
"""

from heapq import heappop, heappush
from itertools import count
from math import inf

import trio
from trio._core._run import GLOBAL_RUN_CONTEXT
from trio.testing import MockClock

FAR = 1e9
"""What trio is to wait for what is not due: any time at all has it ask for the next moment instead."""


class VirtualTime:
    """The time of one run; `quiet_until` gives the time before which nothing matters, asked when nobody can run."""

    def __init__(self, quiet_until):
        self.mock = MockClock(autojump_threshold=0)
        """What trio takes for a clock. It is final and made here: it is taught by attributes."""
        self.mock.current_time = self.current_time
        self.mock.deadline_to_sleep_time = lambda deadline: FAR if deadline > self._now else 0.0
        self.mock.start_clock = self._start
        self.mock._autojump = self._jump
        self._quiet_until = quiet_until
        self._now = 0.0
        self._sleepers = []
        self._order = count()

    def current_time(self):
        """Give the seconds since the begin."""
        return self._now

    async def sleep(self, seconds):
        """As `trio.sleep`."""
        if seconds <= 0:
            return await trio.lowlevel.checkpoint()
        sleeper = [self._now + seconds, next(self._order), trio.lowlevel.current_task()]

        def wake_early(_raise_cancel):
            sleeper[2] = None
            return trio.lowlevel.Abort.SUCCEEDED

        heappush(self._sleepers, sleeper)
        return await trio.lowlevel.wait_task_rescheduled(wake_early)

    def _start(self):
        runner = GLOBAL_RUN_CONTEXT.runner
        runner.clock_autojump_threshold = 0.0
        runner.instruments = {}  # six times a turn trio looks whether anybody watches: a plain dict is quick to say no

    def _jump(self):
        sleepers, deadlines = self._sleepers, GLOBAL_RUN_CONTEXT.runner.deadlines
        while sleepers and sleepers[0][2] is None:
            heappop(sleepers)
        moment = min(sleepers[0][0] if sleepers else inf, deadlines.next_deadline())
        if moment == inf:
            return
        self._now = max(moment, self._quiet_until())
        deadlines.expire(self._now)
        while sleepers and sleepers[0][0] <= self._now:
            _, _, task = heappop(sleepers)
            if task is not None:
                trio.lowlevel.reschedule(task)
