"""What the connections of one server share: handler, limits, the time, the counters, and the memory that bodies take.

One task changes it at a time (trio switches only where something waits), so there is no lock.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from typing import Protocol

import trio

from gateway.core.model import Headers, Request
from gateway.errors import RequestError
from gateway.runtime import Runtime
from gateway.wire.limits import Limits
from gateway.wire.proxies import TrustedProxies
from gateway.wire.reply import Reply


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
        handler: Handler,
        limits: Limits,
        runtime: Runtime,
        proxies: TrustedProxies,
        on_error: Callable[[Exception], None],
    ) -> None:
        self.handler = handler
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
        if self.body_bytes + count > self.limits.body_memory:
            raise RequestError(503, "body_memory", f"{self.body_bytes} bytes of bodies are held")
        self.body_bytes += count

    def report(self, error: Exception) -> None:
        """Tell the operator of a fault that is ours."""
        self.refused["fault"] += 1
        with suppress(Exception):  # a log that cannot be written must not end the server
            self._on_error(error)
