"""The order checker: of each key one message after the other, in order of acceptance, each until it was taken.

It knows arrivals only: event ids rise with acceptance, and a message that was not taken comes again before the next.
"""

from collections.abc import Iterable
from typing import NamedTuple


class Seen(NamedTuple):
    """One arrival at a target."""

    key: str
    event_id: str
    taken: bool
    """True if the target said that it has it."""


def inversions(arrivals: Iterable[Seen]) -> list[str]:
    """Tell of each arrival that came before its turn, or after it; empty if all came in order."""
    last: dict[str, Seen] = {}
    found = []
    for seen in arrivals:
        before = last.get(seen.key)
        if before is not None and seen.event_id < before.event_id:
            found.append(f"{seen.event_id} came after {before.event_id} of {seen.key}")
        elif before is not None and seen.event_id > before.event_id and not before.taken:
            found.append(f"{seen.event_id} came though {before.event_id} of {seen.key} was not taken")
        if before is not None and seen.event_id == before.event_id:
            seen = seen._replace(taken=seen.taken or before.taken)  # noqa: PLW2901 - taken once is taken
        last[seen.key] = seen
    return found
