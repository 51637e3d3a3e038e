"""The client of the exec helper: one run of a foreign command, over the helper's socket or a helper started for it.

A run is never left alone: when it is cancelled, the connection is closed for writing, which ends the run, and this
waits until the helper says that nothing of it is left. What an exit status means is not decided here.
"""

import os
import sys
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from gateway.exec_helper.protocol import (
    KILL_SECONDS,
    PREFIX,
    TERM_SECONDS,
    Ended,
    Frame,
    Job,
    ProtocolError,
    decode_ended,
    decode_header,
    encode_job,
    lengths,
)
from gateway.runtime import Runtime

__all__ = ["Ended", "ExecClient", "ExecError", "Job"]

HELPER: Final = (sys.executable, "-I", "-m", "gateway.exec_helper")
HELPER_ENVIRONMENT: Final = {"PATH": os.defpath, "LANG": "C.UTF-8"}
END_SECONDS: Final = TERM_SECONDS + KILL_SECONDS + 0.9
"""How long the end of a cancelled run may take: 5 s are promised."""
EXIT_SECONDS: Final = 1.0
"""How long a helper of ours may take to exit once it has answered."""
SAME_SECONDS: Final = 0.05
"""A run that is cancelled so near to its own deadline has timed out."""


class ExecError(Exception):
    """The helper cannot be reached, or refuses; nothing ran."""


class ExecClient:
    """Runs jobs through the helper behind a unix socket, or, without one, through a helper of our own for each."""

    def __init__(self, runtime: Runtime, socket_path: str | None) -> None:
        self._runtime = runtime
        self._socket_path = socket_path

    async def run(self, job: Job) -> Ended:
        """Run one job to its end. Raises ExecError, or OSError where we have no descriptor or process left.

        Cancellation ends the run first, within 5 s. If the run had ended by itself just then, or its own time was over
        (`timeout`), that end is given instead of Cancelled: it is known, so it counts, and its output is not lost.
        """
        deadline = self._runtime.monotonic() + job.timeout_seconds
        if self._socket_path is None:
            connection, process = await self._runtime.start_program(HELPER, HELPER_ENVIRONMENT)
            try:
                return await self._converse(connection, job, deadline)
            finally:
                connection.close()
                await _wait_exit(process)
        with await self._connect(self._socket_path) as connection:
            return await self._converse(connection, job, deadline)

    async def _connect(self, path: str) -> trio.socket.SocketType:
        try:
            return await self._runtime.connect_unix(path)
        except (FileNotFoundError, ConnectionRefusedError, PermissionError, TimeoutError) as error:
            raise ExecError(f"no helper at {path}: {error.strerror}; is its socket unit started?") from error

    async def _converse(self, connection: trio.socket.SocketType, job: Job, deadline: float) -> Ended:
        frames = _Frames(connection.recv)
        try:
            await _send(connection, encode_job(job))
            return await frames.ended()
        except trio.Cancelled:
            with trio.CancelScope(shield=True), trio.move_on_after(END_SECONDS):
                ended = await _hang_up(connection, frames)
                if ended and ended.how != "hung_up":
                    return ended
                if ended and self._runtime.monotonic() >= deadline - SAME_SECONDS:
                    return ended._replace(how="timeout")
            raise


class _Frames:
    """Reads the helper's answers; may be cancelled and asked again."""

    def __init__(self, receive: Callable[[int], Awaitable[bytes]]) -> None:
        self._receive = receive
        self._data = bytearray()
        self._started = False

    async def ended(self) -> Ended:
        """Give the end of the run. Raises ExecError if nothing ran and the helper will not say why."""
        while True:
            try:
                frame = await self._next()
                ended = decode_ended(frame) if frame and frame[0].get("frame") == "ended" else None
            except ProtocolError as error:
                raise ExecError(f"what answers is no exec helper: {error}") from None
            if ended and ended.how == "refused":
                raise ExecError(f"the helper refused: {ended.detail}")
            if ended:
                return ended
            if frame is None and not self._started:
                raise ExecError("the helper hung up before it ran anything: see its log")
            if frame is None:
                return Ended("lost", detail="the helper ended in mid run: was it stopped, or out of memory?")
            self._started = True

    async def _next(self) -> Frame | None:
        if not await self._fill(PREFIX.size):
            return None
        header, payload = lengths(bytes(self._data[: PREFIX.size]))
        whole = PREFIX.size + header + payload
        if not await self._fill(whole):
            return None
        text = bytes(self._data[PREFIX.size : PREFIX.size + header])
        content = bytes(self._data[PREFIX.size + header : whole])
        del self._data[:whole]
        return decode_header(text), content

    async def _fill(self, count: int) -> bool:
        while len(self._data) < count:
            try:
                chunk = await self._receive(64 * 1024)
            except ConnectionError:
                return False
            if not chunk:
                return False
            self._data += chunk
        return True


async def _send(connection: trio.socket.SocketType, data: bytes) -> None:
    """Send all; a helper that hangs up meanwhile has said why, or will be found gone by the reader."""
    view = memoryview(data)
    try:
        while view:
            view = view[await connection.send(view) :]
    except ConnectionError:
        return


async def _hang_up(connection: trio.socket.SocketType, frames: _Frames) -> Ended | None:
    """End the run and give its end; None if nothing ran."""
    try:
        connection.shutdown(trio.socket.SHUT_WR)
        return await frames.ended()
    except (ExecError, OSError):
        return None


async def _wait_exit(process: trio.Process) -> None:
    with trio.CancelScope(shield=True):
        with trio.move_on_after(EXIT_SECONDS):
            await process.wait()
            return
        process.kill()
        await process.wait()
