"""What the protocols and the exchanges of one connection ask of it."""

from collections.abc import Sequence
from typing import Any, Protocol

from gateway.wire.parser import Head
from gateway.wire.reply import Reply
from gateway.wire.state import ServerState


class Link(Protocol):
    """A connection, as an exchange sees it."""

    over: bool
    """True once nothing can be sent any more."""

    @property
    def last(self) -> bool:
        """True if the connection ends after the requests under way."""

    def break_off(self, reason: str) -> None:
        """End the connection at once; `reason` is counted."""

    def done(self, exchange: Any) -> None:  # noqa: ANN401 - of `gateway.asgi.exchange`, which imports this
        """Note that the exchange has ended."""


class Desk(Protocol):
    """A connection, as a protocol sees it."""

    state: ServerState

    @property
    def last(self) -> bool:
        """True if the connection ends after the requests under way."""

    def arguments(self) -> Sequence[Any]:
        """Give what hypercorn's protocol classes are made with."""

    def admit(self, head: Head) -> int | Reply:
        """Give the body limit of a request, or its final answer; the next exchange is this request's.

        Raises RequestError (413) if it says that its body is larger.
        """

    def refuse_next(self, reply: Reply) -> None:
        """Say that the next exchange gets `reply`, whatever it asks."""

    def head_begun(self) -> None:
        """Note that a head is on its way."""

    @property
    def closing(self) -> bool:
        """True once the last has been said: what arrives now is of no use."""
