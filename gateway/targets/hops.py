"""Loops of gateways: how many of them a message has passed through, and when that is enough."""

from typing import Final

from gateway.plugin import Message, Rejected

MAX_HOPS: Final = 5


def hops_of(message: Message) -> int:
    """Read how many gateways passed the original request on; what is no small number counts as none."""
    text = message.headers.get("hookgate-hops", "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else 0


def loop(hops: int) -> Rejected | None:
    """Give the outcome of a message that goes round; None for any other."""
    if hops < MAX_HOPS:
        return None
    return Rejected(f"loop: the message has passed through {hops} gateways; look for a target that leads back here")
