"""HTTP/1.1 and nothing else: hypercorn's protocol class without its ways to HTTP/2 and WebSocket.

Hypercorn 0.18 offers h2c and WebSocket to anyone on a cleartext listener, has no setting against it, and one malformed
packet in either ends a trio server (docs/adr). A head that asks for an upgrade, has both Content-Length and
Transfer-Encoding or is too large is refused here, before the application sees anything.
"""

import h11
from hypercorn.events import Closed, Event
from hypercorn.protocol.h11 import H11Protocol


class HeadRefusedError(Exception):
    """A request's head is answered with `status` and nothing else; the connection closes."""

    def __init__(self, status: int) -> None:
        super().__init__(f"head refused with {status}")
        self.status = status


class H11Only(H11Protocol):
    """One connection's protocol; the two limits are set before the first byte is handled."""

    head_bytes = 0
    head_count = 0

    async def handle(self, event: Event) -> None:
        """Take bytes or the end of the connection."""
        try:
            await super().handle(event)
        except HeadRefusedError as refused:
            await self._send_error_response(refused.status)
            await self.send(Closed())

    async def _check_protocol(self, event: h11.Request) -> None:
        """Called by hypercorn for each head, in place of its own offers to switch protocols."""
        status = refusal(event, self.head_bytes, self.head_count)
        if status is not None:
            raise HeadRefusedError(status)


def refusal(request: h11.Request, head_bytes: int, head_count: int) -> int | None:
    """Give the status to refuse this head with, or None.

    h11 bounds only a head that comes in several pieces, hence the sums here.
    """
    if request.http_version not in {b"1.0", b"1.1"}:
        return 505
    names = {name for name, _ in request.headers}
    if b"upgrade" in names or b"http2-settings" in names or not request.target.startswith(b"/"):
        return 400
    if b"content-length" in names and b"transfer-encoding" in names:
        return 400
    size = len(request.target) + sum(len(name) + len(value) + 4 for name, value in request.headers)
    if size > head_bytes or len(request.headers) > head_count:
        return 431
    return None
