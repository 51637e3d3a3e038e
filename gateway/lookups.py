"""Look-ups of names side by side: bounded in number, and one for each name however many ask for it.

A look-up cannot be interrupted, so its thread may hang for long after everybody has gone. Whoever asks for that name
meanwhile waits for the same look-up, so that a target whose name servers are slow holds one thread, not all.

Nothing is kept: an answer goes to those who waited for it, and the next one asks anew.
"""

import errno
from collections.abc import Awaitable, Callable
from typing import Final

import trio

WAITING_MAX: Final = 1024
"""Names that may be looked up or wait for it at once; more are refused at once."""

Answers = list[tuple[int, str]]
"""Family and numeric address, in the resolver's order."""


class _Lookup:
    """A look-up that is under way, or waits for a thread."""

    def __init__(self) -> None:
        self.waiting = 0
        self.begun = False
        self.done = trio.Event()
        self.answers: Answers = []
        self.failure: tuple[type[OSError], tuple[object, ...]] | None = None
        self.scope = trio.CancelScope()


class Lookups:
    """All look-ups of one process; `look_up` asks the resolver, in a thread that `limiter` counts."""

    def __init__(
        self,
        look_up: Callable[[str], Answers],
        in_thread: Callable[[Callable[[], Answers], trio.CapacityLimiter], Awaitable[Answers]],
        limiter: trio.CapacityLimiter,
    ) -> None:
        self._look_up = look_up
        self._in_thread = in_thread
        self._limiter = limiter
        self._running: dict[str, _Lookup] = {}

    async def resolve(self, host: str, seconds: float) -> Answers:
        """Give the addresses of `host`.

        Raises `trio.TooSlowError` if they took longer than `seconds`, OSError if there is no such name, and
        BlockingIOError if other names held every thread all the time, so that this look-up never began.
        """
        lookup = self._join(host)
        lookup.waiting += 1
        try:
            with trio.move_on_after(seconds):
                await lookup.done.wait()
        finally:
            lookup.waiting -= 1
            if not lookup.waiting and not lookup.begun:
                lookup.scope.cancel()
        if lookup.failure is not None:
            kind, arguments = lookup.failure
            raise kind(*arguments)
        if lookup.done.is_set():
            return lookup.answers
        if lookup.begun:
            raise trio.TooSlowError
        raise BlockingIOError(errno.EAGAIN, "every DNS thread is held by another look-up")

    def _join(self, host: str) -> _Lookup:
        lookup = self._running.get(host)
        if lookup is None or lookup.scope.cancel_called:
            if len(self._running) >= WAITING_MAX:
                raise BlockingIOError(errno.EAGAIN, "too many names wait to be looked up")
            lookup = self._running[host] = _Lookup()
            # A system task: a look-up outlives whoever asked first, since others may wait for it.
            trio.lowlevel.spawn_system_task(self._run, host, lookup)
        return lookup

    async def _run(self, host: str, lookup: _Lookup) -> None:
        def look_up() -> Answers:
            lookup.begun = True
            return self._look_up(host)

        try:
            with lookup.scope:
                lookup.answers = await self._in_thread(look_up, self._limiter)
        except OSError as error:
            lookup.failure = type(error), error.args
        except ValueError:  # UnicodeError: a name that cannot be written in the DNS
            lookup.failure = OSError, (errno.EINVAL, "no name that can be looked up")
        finally:
            if self._running.get(host) is lookup:
                del self._running[host]
            lookup.done.set()
