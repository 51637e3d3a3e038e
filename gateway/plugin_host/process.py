"""One worker process, seen from the daemon: calls go in, outcomes come out, and it can always be killed.

A worker is believed nothing: its frames are bounded and checked, its output is read at our pace, and a call that does
not end when its time is over ends the process. It runs in a task of the loop's own, so that nothing it does reaches a
delivery of another target.
"""

import itertools
from collections.abc import Mapping
from typing import Any, Final, Protocol

import structlog
import trio

from gateway.core.model import Message, NotTried, Outcome, Retry, TargetDown
from gateway.plugin_host.call import Call, send_all
from gateway.plugin_host.codec import PROGRESS_MAX, one_line, read_outcome, write_message
from gateway.plugin_host.content import CONTENT_MAX, Content
from gateway.plugin_host.describe import ended_text
from gateway.plugin_host.frames import Frame, FrameError, FrameReader, write_frame
from gateway.plugin_host.job import COMMAND, environment
from gateway.plugin_host.said import Said
from gateway.runtime import Runtime

START_SECONDS: Final = 30.0
GRACE_SECONDS: Final = 1.0
"""What a call may take to end after its time is over."""
LEFTOVER_SECONDS: Final = 0.2
"""What is read of a dead worker's last words."""
HEADER_MAX: Final = 64 * 1024
CHUNK: Final = 64 * 1024
SPARE_THREADS: Final = 32
GAUGES_MAX: Final = {"rss": 512 * 1024 * 1024, "fds": 256, "tasks": 1024}
"""Beyond these a worker is replaced once its calls have ended."""

log = structlog.get_logger()


class Keeper(Protocol):
    """Who keeps workers; told how they fare."""

    def answered(self, worker: "Worker") -> None:
        """A call came back with an outcome of the plugin's own."""
        ...

    def retired(self, worker: "Worker", reason: str) -> None:
        """It takes no more calls; what runs in it may end."""
        ...

    def ended(self, worker: "Worker", reason: str) -> None:
        """The process is gone; an empty reason means that we wanted it so."""
        ...


class Worker:
    """A process from its start to its end. `run` lives as long as the process does."""

    def __init__(self, target: str, hello: Mapping[str, Any], said: Said, runtime: Runtime, keeper: Keeper) -> None:
        self._target = target
        self._hello = write_frame(hello)
        self._said = said
        self._runtime = runtime
        self._keeper = keeper
        self._threads_max = int(hello["connections"]) + SPARE_THREADS
        self._numbers = itertools.count(1)
        self._calls: dict[int, Call] = {}
        self._abandoned: set[int] = set()
        self._nursery: trio.Nursery | None = None
        self._outgoing, self._frames_to_send = trio.open_memory_channel[list[bytes] | int](float("inf"))
        self._ready = trio.Event()
        self._why = ""
        self._down: str | None = None
        self._finished = False
        self.retiring = False
        self.pid = 0
        self.ended = trio.Event()

    async def call(self, message: Message) -> Outcome | Content:
        """Give the plugin's answer to one message; if this is cancelled, so is the call, by force if it must be."""
        number, call = next(self._numbers), Call(message)
        self._calls[number] = call
        self._outgoing.send_nowait(number)
        try:
            await call.done.wait()
        finally:
            if call.progress is not None:
                message.save_progress(call.progress)
            if call.answer is None:
                self._abandon(number, call)
        return call.answer or NotTried("the worker gave no answer")

    def close(self) -> None:
        """Ask it to give everything back and end."""
        self.retiring = True
        self._finished = True
        self._outgoing.send_nowait(write_frame({"do": "close"}))

    def kill(self, reason: str) -> None:
        """End it now; `reason` is for those who wait for it."""
        self._why = self._why or reason
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    def retire(self, reason: str) -> None:
        """Take no more calls; end when the last one under way has."""
        if not self.retiring:
            self.retiring = True
            self._why = self._why or reason
            self._keeper.retired(self, reason)
        if not self._calls.keys() - self._abandoned:
            self.kill(reason)

    async def run(self) -> None:
        """Start the process and serve calls until it has ended; raises nothing but Cancelled."""
        status: int | None = None
        try:
            process, connection = await self._runtime.start_worker(COMMAND, environment())
        except OSError as error:
            self._down = f"its worker cannot be started: {error}"
            self._end(None)
            return
        self.pid = process.pid
        try:
            with connection:
                await self._serve(process, connection)
        except Exception as error:  # noqa: BLE001 - a fault of ours here must not end the daemon
            log.error("plugin.worker_failed", target=self._target, problem=repr(error)[:500])
            self._why = self._why or f"its worker could not be served: {type(error).__name__}"
        finally:
            self._runtime.kill_session(process.pid)
            with trio.CancelScope(shield=True):
                status = await process.wait()
                if process.stdout is not None:
                    await process.stdout.aclose()
            self._end(status)

    async def _serve(self, process: trio.Process, connection: trio.socket.SocketType) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            if self._why:
                nursery.cancel_scope.cancel()  # killed before it began
            nursery.start_soon(self._send, connection)
            nursery.start_soon(self._watch_start)
            nursery.start_soon(self._watch_end, process)
            if process.stdout is not None:
                nursery.start_soon(self._said.listen, process.stdout)
            try:
                await self._receive(connection)
                await trio.sleep(LEFTOVER_SECONDS)
            except FrameError as error:
                self._down = f"the plugin broke its contract: its worker sent {error}"
            nursery.cancel_scope.cancel()

    async def _send(self, connection: trio.socket.SocketType) -> None:
        try:
            await send_all(connection, self._hello)
            await self._ready.wait()  # what is cancelled until then was never begun
            async for what in self._frames_to_send:
                await send_all(connection, self._pieces(what))
        except OSError:
            return  # its end is told by `_watch_end`

    def _pieces(self, what: list[bytes] | int) -> list[bytes]:
        if not isinstance(what, int):
            return what
        call = self._calls.get(what)
        if call is None:
            return []
        call.sent = True
        return write_message(what, call.message)

    async def _receive(self, connection: trio.socket.SocketType) -> None:
        frames = FrameReader(HEADER_MAX, CONTENT_MAX)
        while True:
            try:
                data = await connection.recv(CHUNK)
            except OSError:
                data = b""
            if not data:
                return
            for frame in frames.feed(data):
                self._take(frame)

    def _take(self, frame: Frame) -> None:
        header, body = frame
        if "ready" in header:
            if header["ready"] is True:
                self._ready.set()
            else:
                self._down = one_line(str(header.get("problem")), 500)
            return
        number = header.get("call")
        if type(number) is not int or (call := self._calls.get(number)) is None:
            return  # an answer that comes after we gave up
        match header.get("outcome"):
            case "progress":
                if len(body) > PROGRESS_MAX:
                    raise FrameError("progress beyond its bound")
                call.progress = body
                return
            case "cancelled":
                call.end(Retry("the plugin gave up"))
            case "content":
                content_type = header.get("content_type")
                if not isinstance(content_type, str | None):
                    raise FrameError("a content type that is no text")
                call.end(Content(body, content_type))
            case _:
                call.end(read_outcome(header))
        self._done(number)
        self._keeper.answered(self)
        self._judge(header.get("gauges"))

    def _done(self, number: int) -> None:
        del self._calls[number]
        self._abandoned.discard(number)
        if self.retiring and not self._finished and not self._calls.keys() - self._abandoned:
            self.kill(self._why)

    def _judge(self, gauges: object) -> None:
        """Replace a worker that holds too much of the machine."""
        if not isinstance(gauges, dict) or self.retiring:
            return
        for name, limit in {**GAUGES_MAX, "threads": self._threads_max}.items():
            value = gauges.get(name)
            if isinstance(value, int) and value > limit:
                self.retire(f"it holds too much: {name} {value}, at most {limit}")
                return

    def _abandon(self, number: int, call: Call) -> None:
        """The time of a call is over: tell the worker, and wait a moment whether it heeds that."""
        if not call.sent or self._nursery is None:
            self._calls.pop(number, None)
        elif number in self._calls:
            self._abandoned.add(number)
            self._outgoing.send_nowait(write_frame({"do": "cancel", "call": number}))
            self._nursery.start_soon(self._give_grace, number)

    async def _give_grace(self, number: int) -> None:
        await trio.sleep(GRACE_SECONDS)
        if number in self._calls:
            self.retire(f"a call did not end within {GRACE_SECONDS:g} s after its time was over")

    async def _watch_start(self) -> None:
        await trio.sleep(START_SECONDS)
        if not self._ready.is_set():
            self._down = f"it was not ready within {START_SECONDS:g} s"
            self.kill(self._down)

    async def _watch_end(self, process: trio.Process) -> None:
        await process.wait()
        await trio.sleep(LEFTOVER_SECONDS)
        self.kill("")

    def _end(self, status: int | None) -> None:
        """Answer what is left: what the worker had may have been done, so it is a try that failed."""
        wanted = self._finished and not self._down
        reason = self._down or self._why or ended_text(status)
        self.retiring = True
        self._nursery = None
        self._outgoing.close()
        self._keeper.ended(self, "" if wanted else reason)
        for call in self._calls.values():
            if self._down is not None:
                call.end(TargetDown(self._down))
            elif not self._ready.is_set() and not wanted:
                call.end(TargetDown(f"it did not start: {reason}"))
            elif call.sent:
                call.end(Retry(f"the worker ended: {reason}"))
            else:
                call.end(NotTried("the worker ended before it had this message"))
        self._calls.clear()
        self.ended.set()
