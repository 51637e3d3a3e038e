"""A thread of the store that does one thing after the other for tasks that wait: the reader is one."""

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import trio

from gateway.runtime import Runtime
from gateway.store.tickets import Ticket

T = TypeVar("T")


class Worker:
    """Runs calls in its own thread, in order, until `close`."""

    def __init__(self, runtime: Runtime, name: str) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._calls: deque[tuple[Callable[[], Any], Ticket[Any]] | None] = deque()
        self._bell = runtime.new_lock()
        self._bell.acquire()
        self._lock = runtime.new_lock()
        self._idle = False
        self._ended = trio.Event()
        self._thread = runtime.start_thread(self._run, name)

    async def call(self, call: Callable[[], T]) -> T:
        """Run `call` in the thread; a cancelled caller stops waiting, the call still runs."""
        ticket: Ticket[T] = Ticket()
        self._put((call, ticket))
        return await ticket.wait()

    def post(self, call: Callable[[], object]) -> None:
        """Run `call` in the thread; nobody waits. From any thread."""
        self._put((call, Ticket()))

    async def close(self) -> None:
        """End the thread once all that was asked for is done; not cancelled half-way."""
        self._put(None)
        with trio.CancelScope(shield=True):
            await self._ended.wait()
        self._thread.join()

    def _put(self, item: tuple[Callable[[], Any], Ticket[Any]] | None) -> None:
        with self._lock:
            self._calls.append(item)
            ring = self._idle
            self._idle = False
        if ring:
            self._bell.release()

    def _take(self) -> tuple[Callable[[], Any], Ticket[Any]] | None:
        while True:
            with self._lock:
                if self._calls:
                    return self._calls.popleft()
                self._idle = True
            self._bell.acquire()

    def _run(self) -> None:
        while (item := self._take()) is not None:
            call, ticket = item
            try:
                ticket.value = call()
            except Exception as error:  # noqa: BLE001 - it belongs to the task that waits
                ticket.error = error
            self._token.run_sync_soon(ticket.wake)
        self._token.run_sync_soon(self._ended.set)
