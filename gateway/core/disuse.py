"""When a credential is not used any more while others of its source are: a subscription that ended, an old secret.

What was seen of each is a small note that outlives the process. Pure; milliseconds since 1970 are an argument.
"""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple, TypeAlias

import orjson

NOTE: Final = "used/"
DAY_MS: Final = 86_400_000

Name: TypeAlias = tuple[str, str]
"""Source and credential."""


class _Seen(NamedTuple):
    """What is known of one credential."""

    at: int
    """When it was last used; before that, when it was first seen in the configuration."""
    used: bool


class Unused(NamedTuple):
    """A credential that nobody has used for too long."""

    source: str
    credential: str
    last_used: int | None
    days: int


class Disuse:
    """Remembers the last use of each configured credential."""

    def __init__(self, kept: Mapping[str, bytes]) -> None:
        """Begin with the notes of an earlier process."""
        self._seen: dict[Name, _Seen] = {}
        for note in kept.values():
            try:
                source, credential, at, used = orjson.loads(note)
                self._seen[str(source), str(credential)] = _Seen(int(at), bool(used))
            except (ValueError, TypeError):
                continue
        self._kept = dict(kept)
        self._counted: dict[Name, int] = {}

    def look(self, used: Mapping[Name, int], now: int) -> None:
        """Take note of how often each configured credential was used since the process began."""
        for name, count in used.items():
            known = self._seen.get(name)
            if count > self._counted.get(name, 0):
                self._seen[name] = _Seen(now, used=True)
            elif known is None or known.at > now:
                self._seen[name] = _Seen(now, used=known is not None and known.used)
        self._seen = {name: seen for name, seen in self._seen.items() if name in used}
        self._counted = dict(used)

    def changes(self) -> dict[str, bytes | None]:
        """Give the notes to write, and those to remove (None), until `wrote` says that it was done."""
        notes = {_note(name): orjson.dumps([*name, *seen]) for name, seen in self._seen.items()}
        gone: dict[str, bytes | None] = dict.fromkeys(self._kept.keys() - notes.keys())
        return {**gone, **{name: note for name, note in notes.items() if self._kept.get(name) != note}}

    def wrote(self, changes: Mapping[str, bytes | None]) -> None:
        """The notes are written."""
        kept = {**self._kept, **changes}
        self._kept = {name: note for name, note in kept.items() if note is not None}

    def unused(self, longer_than_ms: int, now: int) -> list[Unused]:
        """Give the credentials that were not used for so long while another of their source was."""
        lively = {source for (source, _), seen in self._seen.items() if seen.used and now - seen.at <= longer_than_ms}
        return [
            Unused(source, credential, seen.at if seen.used else None, (now - seen.at) // DAY_MS)
            for (source, credential), seen in self._seen.items()
            if source in lively and now - seen.at > longer_than_ms
        ]


def _note(name: Collection[str]) -> str:
    return NOTE + "/".join(name)
