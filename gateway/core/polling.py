"""Where a poller is in a provider's list, and which of its items are taken. Pure.

A list is asked again for a while of what was seen, so that what is listed late is found, and never for what happened
before the poller was there: events of that time have no marks to be known by. What happened just now is left alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import orjson

from gateway.core.model import Event
from gateway.core.moments import write_moment


class Cursor(NamedTuple):
    """How far a poller has come; milliseconds since 1970."""

    begun: int
    """When it was first there: nothing that happened before is asked for."""
    at: int
    """The newest that was taken."""

    def since(self, overlap_ms: int) -> int:
        """Give the time from which on events are wanted."""
        return max(self.begun, self.at - overlap_ms)

    def note(self) -> bytes:
        """Write it down."""
        return orjson.dumps({"begun": self.begun, "at": self.at})


def read_cursor(note: bytes | None, now_ms: int) -> Cursor:
    """Read what `note` wrote; a poller without a note begins now."""
    if note is None:
        return Cursor(now_ms, now_ms)
    found = orjson.loads(note)
    return Cursor(found["begun"], found["at"])


def since_text(milliseconds: int, form: str) -> str:
    """Write the time from which on events are wanted, as the provider reads it."""
    if form == "iso":
        return write_moment(milliseconds)
    return str(milliseconds // 1000 if form == "seconds" else milliseconds)


class Choice(NamedTuple):
    """What becomes of one page."""

    taken: Sequence[Event]
    newest: int | None
    """When the newest of them happened."""
    all_older: bool
    """True if the page holds nothing as new as what is wanted: of a list with the newest first, it is the end."""


def choose(events: Sequence[Event], since: int, until: int) -> Choice:
    """Choose what happened from `since` to `until`; an event without a time is always taken.

    One without an occurrence is left out: nothing could tell whether its webhook came.
    """
    known = [event for event in events if event.seen_as is not None]
    taken = [each for each in known if each.occurred_at is None or since <= each.occurred_at <= until]
    times = [event.occurred_at for event in taken if event.occurred_at is not None]
    older = bool(events) and all(each.occurred_at is not None and each.occurred_at < since for each in events)
    return Choice(taken, max(times, default=None), older)
