"""Threads and locks of the store, in one real thread: a greenlet each, and a trio task that says when it goes on.

A lock that is taken, or a pause that `Threads.rest` asks for, gives the turn back to trio, whose seeded scheduler
decides who is next. What would block trio's own thread is an error here, not a deadlock.
"""

import greenlet
import trio


class Threads:
    """The threads of one run."""

    def __init__(self):
        self._hub = greenlet.getcurrent()
        self.resting = 0
        """How many rest, or wait for no longer than some time: they are in the midst of something."""

    def start(self, run, name):
        """Start `run` in a thread of its own."""
        return Thread(self, run, name)

    def new_lock(self):
        """Give a lock between threads."""
        return Lock(self)

    @property
    def outside_trio(self):
        """True in a thread."""
        return greenlet.getcurrent() is not self._hub

    def rest(self, seconds):
        """Let this thread rest in virtual time; to be called outside trio only."""
        self._hub.switch((None, seconds))

    def wait(self, event, seconds):
        """Wait in this thread for a trio event, at most so long (-1: no limit); True if it came."""
        return self._hub.switch((event, seconds))


class Thread:
    """Runs from its construction on, whenever its task has the turn."""

    def __init__(self, threads, run, name):
        self._threads = threads
        self._greenlet = greenlet.greenlet(run)
        trio.lowlevel.spawn_system_task(self._drive, name=name)

    def join(self):
        """Return if it has ended; it must have."""
        if not self._greenlet.dead:
            raise RuntimeError("joined before its end: trio's thread would block")

    async def _drive(self):
        asked = self._greenlet.switch()
        while not self._greenlet.dead:
            asked = self._greenlet.switch(await self._carry_out(*asked))

    async def _carry_out(self, event, seconds):
        if seconds < 0:
            await event.wait()
            return True
        self._threads.resting += 1
        try:
            if event is None:
                await trio.sleep(seconds)
                return True
            with trio.move_on_after(seconds):
                await event.wait()
            return event.is_set()
        finally:
            self._threads.resting -= 1


class Lock:
    """As `threading.Lock`; who waited longest is next."""

    def __init__(self, threads):
        self._threads = threads
        self._taken = False
        self._waiting = []

    def acquire(self, blocking=True, timeout=-1):
        if not self._taken:
            self._taken = True
            return True
        if not blocking:
            return False
        if not self._threads.outside_trio:
            raise RuntimeError("trio's thread would block on a lock of the store")
        turn = trio.Event()
        self._waiting.append(turn)
        if self._threads.wait(turn, timeout):
            return True
        self._waiting.remove(turn)
        return False

    def release(self):
        if not self._taken:
            raise RuntimeError("release of a lock that nobody holds")
        if self._waiting:
            self._waiting.pop(0).set()
        else:
            self._taken = False

    def __enter__(self):
        self.acquire()

    def __exit__(self, *_):
        self.release()
