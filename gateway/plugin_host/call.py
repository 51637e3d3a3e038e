"""One call on its way through a worker, and how its bytes get there."""

import trio

from gateway.core.model import Message, Outcome, Rejected
from gateway.plugin_host.content import Content


class Call:
    """One message on its way through a worker."""

    __slots__ = ("answer", "done", "message", "progress", "sent")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.sent = False
        self.done = trio.Event()
        self.answer: Outcome | Content | None = None
        self.progress: bytes | None = None

    def end(self, answer: Outcome | Content) -> None:
        """Give the answer to whoever waits; the first one counts."""
        if self.answer is None:
            self.answer = answer
            self.done.set()


async def send_all(connection: trio.socket.SocketType, pieces: list[bytes]) -> None:
    """Send every piece. Raises OSError."""
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            rest = rest[await connection.send(rest) :]


def as_outcome(answer: Outcome | Content) -> Outcome:
    """Give a target's outcome; content in its place breaks the contract."""
    return Rejected("a target gave content") if isinstance(answer, Content) else answer
