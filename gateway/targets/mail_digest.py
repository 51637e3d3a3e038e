"""What a digest says: how many events, and of each what its own mail would say. Pure."""

from collections.abc import Sequence
from typing import Final

from gateway.plugin import Message, size_text
from gateway.targets.mail import SUBJECT_MAX

LEFT_OUT_SHOWN: Final = 10


def digest_subject(first: str, count: int) -> str:
    """Give the subject: that of the first event, and how many more there are."""
    more = f" (and {count - 1} more)"
    room = SUBJECT_MAX - len(more)
    return (first if len(first) <= room else f"{first[: room - 3]}...") + more


def digest_text(letters: Sequence[tuple[str, str]]) -> str:
    """Give the text of several events' mails, given as subject and text each: a list, then one after the other."""
    listed = [f"{number:>5}. {subject}" for number, (subject, _) in enumerate(letters, 1)]
    told = [
        f"---- {number} of {len(letters)}: {subject}\n\n{text}" for number, (subject, text) in enumerate(letters, 1)
    ]
    return "\n".join([f"{len(letters)} events:", "", *listed, "", *told])


def left_out_text(messages: Sequence[Message], limit: int) -> str:
    """Say what is not attached because it is too big; empty if nothing."""
    if not messages:
        return ""
    shown = [f"    {message.id} ({size_text(len(message.content))})" for message in messages[:LEFT_OUT_SHOWN]]
    more = [f"    and {len(messages) - LEFT_OUT_SHOWN} more"] if len(messages) > LEFT_OUT_SHOWN else []
    return "\n".join(
        ["", f"Not attached, since all together may have {size_text(limit)} (attach_max):", *shown, *more, ""]
    )
