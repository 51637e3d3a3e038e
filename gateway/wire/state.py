"""What the connections of one server share: limits, the time, the counters, and the memory that bodies take.

One task changes it at a time (trio switches only where something waits), so there is no lock.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from typing import Protocol, TypeAlias

import trio

from gateway.core.model import Headers, Request
from gateway.errors import RequestError
from gateway.runtime import Runtime, Socket
from gateway.wire.limits import Limits
from gateway.wire.proxies import TrustedProxies
from gateway.wire.reply import Reply
from gateway.wire.tls import ServerTls


class Handler(Protocol):
    """What the server asks for each request."""

    def admit(self, method: str, path: str, headers: Headers) -> int | Reply:
        """Once the head is read: the most bytes its body may have, or the final reply; then the body is not read."""

    async def handle(self, request: Request) -> Reply:
        """Answer a whole request; not cancelled when its sender leaves. An exception is reported and answered 500."""


class ServerState:
    """Shared by a server and its connections."""

    def __init__(
        self,
        limits: Limits,
        runtime: Runtime,
        proxies: TrustedProxies,
        on_error: Callable[[Exception], None],
    ) -> None:
        self.limits = limits
        self.runtime = runtime
        self.proxies = proxies
        self.draining = False
        self.now = 0.0
        """trio's clock at the last tick: close enough for deadlines, and free to read."""
        self.date = b""
        """The value of the Date header."""
        self.requests = 0
        self.body_bytes = 0
        self.refused: Counter[str] = Counter()
        self.make_room: Callable[[], bool] = lambda: False
        """End a body that has been coming for too long, if there is one; the server's."""
        self._on_error = on_error
        self._second = -1

    def tick(self) -> None:
        """Read the clocks."""
        self.now = trio.current_time()
        second = self.runtime.now_ms() // 1000
        if second != self._second:
            self._second = second
            self.date = formatdate(second, usegmt=True).encode()

    def hold(self, count: int) -> None:
        """Account for `count` bytes of a body. Raises RequestError (503) if all bodies together would take too much."""
        while self.body_bytes + count > self.limits.body_memory:
            if not self.make_room():
                raise RequestError(503, "body_memory", f"{self.body_bytes} bytes of bodies are held")
        self.body_bytes += count

    def report(self, error: Exception) -> None:
        """Tell the operator of a fault that is ours."""
        self.refused["fault"] += 1
        with suppress(Exception):  # a log that cannot be written must not end the server
            self._on_error(error)


class ServedConnection(Protocol):
    """A connection as the server sees it: `run` is its task, the server and its sweeper call the rest."""

    group: str | None
    """What its peer is counted by, None if it is not."""
    deadline: float
    """When, on trio's clock, its present phase has lasted too long."""

    @property
    def idle(self) -> bool:
        """True if it waits for a request."""

    @property
    def kept_waiting_since(self) -> float:
        """When, on trio's clock, its peer began to keep it waiting; inf while it is idle or owes an answer."""

    @property
    def held(self) -> int:
        """Bytes of bodies that are not whole."""

    async def run(self) -> None:
        """Serve the connection to its end and close it. Raises nothing but cancellation."""

    def sweep(self) -> None:
        """Look whether a deadline is over."""

    def drain(self) -> None:
        """End soon: at once if idle, else after the requests under way."""

    def expire(self) -> None:
        """End the present phase now."""

    def give_way(self) -> None:
        """End at once, without a word: its place is needed. What it held of bodies is free when this returns."""


Connect: TypeAlias = Callable[[Socket, str, str | None, ServerTls | None, ServerState], ServedConnection]
"""Makes the connection of an accepted socket, with its peer, the peer's group, and the certificate if it speaks TLS."""
