"""How a task waits for another thread: it sleeps without a cancel scope and is woken in the trio thread.

A cancelled task stops waiting; what it asked for is still carried out, and `abandoned` tells that nobody takes the
result.
"""

from typing import Generic, TypeVar

import trio

T = TypeVar("T")


class Ticket(Generic[T]):
    """One result that one task waits for: another thread sets `value` or `error` and has `wake` called in trio's."""

    __slots__ = ("_task", "abandoned", "error", "late", "value")

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None
        self.abandoned = False
        self.error: Exception | None = None
        self.late: Exception | None = None
        self.value: T

    @property
    def is_awaited(self) -> bool:
        """True while a task waits for it."""
        return self._task is not None

    async def wait(self) -> T:
        """Sleep until `wake`, then give the value or raise the error. A checkpoint."""
        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abandon)
        if self.late is not None:
            raise self.late
        if self.error is not None:
            raise self.error
        return self.value

    def wake(self) -> None:
        """End the wait; in the trio thread."""
        if self._task is not None:
            task, self._task = self._task, None
            trio.lowlevel.reschedule(task)

    def give_up(self, error: Exception) -> None:
        """End the wait, which goes on, with `error`: as if the task had been cancelled. In the trio thread."""
        self.abandoned, self.late = True, error
        self.wake()

    def _abandon(self, _raise_cancel: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
        self._task = None
        self.abandoned = True
        return trio.lowlevel.Abort.SUCCEEDED
