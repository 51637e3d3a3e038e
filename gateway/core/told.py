"""What was told of the gateway's own events, and when: each subject once in its period, and bounded for each origin.

Pure: time is an argument, milliseconds since 1970, so that what is remembered outlives the process. Senders choose
types and versions, so that an origin (a source, a target) has only `SUBJECTS_MAX` subjects of a kind in one period; the
last of them says so.
"""

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson

from gateway.core.own_events import HOUR, KINDS

SUBJECTS_MAX: Final = 50
SUBJECT_CHARACTERS: Final = 200
KEPT_FROM: Final = HOUR
"""Periods of at least this many seconds are remembered over a restart."""
NOTE: Final = "told/"


class Telling(NamedTuple):
    """One own event to tell."""

    kind: str
    subject: str
    data: dict[str, Any]
    notes: Mapping[str, bytes | None]
    """What is remembered over a restart from now on, by name; None: no more."""


class _Waiting(NamedTuple):
    """A state that came too early to be told."""

    kind: str
    origin: str
    data: Mapping[str, Any]


class Told:
    """Decides what is told. All of it is in memory, bounded by `SUBJECTS_MAX` for each kind and origin."""

    def __init__(self) -> None:
        self._again: Mapping[str, float] = {}
        self._audience = ""
        self._told: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
        """By kind and origin: for each subject when it was told, and how often it came since; oldest first."""
        self._state: dict[tuple[str, str], str] = {}
        """By topic and subject: the kind that was told last."""
        self._later: dict[tuple[str, str], _Waiting] = {}
        """By topic and subject: the state to tell once it may be told."""

    def use(self, again: Mapping[str, float], audience: str = "") -> dict[str, bytes | None]:
        """Go by these periods, in seconds, where they differ from those of `KINDS`; give the notes that count no more.

        What was told to another `audience` was not told to this one: all is told anew.
        """
        self._again = again
        if audience == self._audience:
            return {}
        self._audience = audience
        told, self._told = self._told, {}
        return {_name(*place, subject): None for place, subjects in told.items() for subject in subjects}

    def ask(self, kind: str, origin: str, subject: str, data: Mapping[str, Any], now: int) -> Telling | None:
        """Give what is to be told now of something that came; None: nothing now."""
        subject = subject[:SUBJECT_CHARACTERS]
        place = (KINDS[kind].topic, subject)
        telling = self._tell(kind, origin, subject, data, now)
        if place[0] and telling is None:
            self._later.pop(place, None)
            if self._state.get(place) != kind:
                self._later[place] = _Waiting(kind, origin, data)
        elif place[0]:
            self._settle(place, kind)
        return telling

    def late(self, now: int) -> Iterator[Telling]:
        """Give the states that came too early and may be told now."""
        for place, waiting in list(self._later.items()):
            telling = self._tell(waiting.kind, waiting.origin, place[1], waiting.data, now)
            if telling is not None:
                self._settle(place, waiting.kind)
                yield telling

    def restore(self, kept: Mapping[str, bytes], now: int) -> dict[str, bytes | None]:
        """Take up what was told before a restart; give the notes that count no more."""
        found: list[tuple[int, str, str, str]] = []
        over: dict[str, bytes | None] = {}
        for name, note in kept.items():
            entry = _read(note)
            if entry is None or entry[4] != self._audience or not self._holds(entry[1], entry[0], now):
                over[name] = None
            else:
                found.append(entry[:4])
        for at, kind, origin, subject in sorted(found):
            self._told.setdefault((kind, origin), {})[subject] = (at, 0)
        return over

    def _settle(self, place: tuple[str, str], kind: str) -> None:
        self._state[place] = kind
        self._later.pop(place, None)

    def _tell(self, kind: str, origin: str, subject: str, data: Mapping[str, Any], now: int) -> Telling | None:
        subjects = self._told.setdefault((kind, origin), {})
        last, untold = subjects.get(subject, (None, 0))
        if last is not None and self._holds(kind, last, now):
            subjects[subject] = (last, untold + 1)
            return None
        subjects.pop(subject, None)
        notes = {_name(kind, origin, each): None for each in self._forget(kind, subjects, now)}
        if len(subjects) >= SUBJECTS_MAX:
            return None
        subjects[subject] = (now, 0)
        kept = {}
        if self._again.get(kind, KINDS[kind].again) >= KEPT_FROM:
            kept[_name(kind, origin, subject)] = orjson.dumps([now, kind, origin, subject, self._audience])
        more: dict[str, Any] = {"untold": untold} if untold and not KINDS[kind].topic else {}
        if len(subjects) == SUBJECTS_MAX:
            more["more"] = True
        return Telling(kind, subject, {**data, **more}, {**notes, **kept})

    def _forget(self, kind: str, subjects: dict[str, tuple[int, int]], now: int) -> list[str]:
        """Drop what is over, and give it; the oldest is first, so that a full origin costs one look."""
        over: list[str] = []
        for subject, (at, _) in subjects.items():
            if self._holds(kind, at, now):
                break
            over.append(subject)
        for subject in over:
            del subjects[subject]
        return over

    def _holds(self, kind: str, at: int, now: int) -> bool:
        """Tell whether a telling at `at` still stands for now. One of the future is of a clock that went back."""
        return 0 <= now - at < self._again.get(kind, KINDS[kind].again) * 1000


def _name(kind: str, origin: str, subject: str) -> str:
    return NOTE + blake2b(f"{kind}\0{origin}\0{subject}".encode("utf-8", "replace"), digest_size=16).hexdigest()


def _read(note: bytes) -> tuple[int, str, str, str, str] | None:
    try:
        at, kind, origin, subject, audience = orjson.loads(note)
    except (ValueError, TypeError):
        return None
    texts = (kind, origin, subject, audience)
    fits = isinstance(at, int) and all(isinstance(text, str) for text in texts) and kind in KINDS
    return (at, kind, origin, subject, audience) if fits else None
