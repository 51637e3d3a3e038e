"""De-dup keys, in generations: tables for a sixteenth of the window each, looked up newest first, expired whole.

Generations are aged by the *de-dup clock*: it runs with the monotonic clock while the process does, and gains at most one
generation's span over a restart. So a step of the wall clock never makes a key expire early. The same key with another digest is a
conflict; then both digests are kept, so that repeats of either are duplicates.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

import apsw

from gateway.store.names import Numbers
from gateway.store.statements import ListStatement, RowStatement, Values, load_statements

_SQL: Final = load_statements("keys")
GENERATIONS: Final = 16


class KeyClaim(NamedTuple):
    """A key that an event wants to be the first to have."""

    source: str
    key: bytes
    digest: bytes
    event_id: int


class KeyVerdict(NamedTuple):
    """Whether it is; `event_id` is its own if new, else the event whose repeat or rival it is."""

    kind: Literal["new", "duplicate", "conflict"]
    event_id: int


class Generation:
    """One table of keys, with its statements."""

    def __init__(self, number: int, started: int, sealed: int | None = None) -> None:
        self.number = number
        self.started = started
        self.sealed = sealed
        self.find = ListStatement(self.statement("find_keys"))
        self.insert = RowStatement(self.statement("insert_keys"), 3)

    def statement(self, name: str) -> str:
        """Give the statement `name` for this generation's table."""
        return _SQL[name].replace(":generation", f"key_{self.number}")


class KeyGenerations:
    """All generations of one store; owned by the writer thread, used inside its transactions."""

    def __init__(self, cursor: apsw.Cursor, sources: Numbers, span: int, dedup_now: int) -> None:
        self._cursor = cursor
        self._sources = sources
        self._span = span
        self._generations: list[Generation] = []
        self.load(dedup_now)

    def load(self, dedup_now: int) -> None:
        """Read which generations there are; make the first if there is none. In a transaction."""
        rows = self._cursor.execute(_SQL["list_generations"]).fetchall()
        self._generations = [Generation(number, started, sealed) for number, started, sealed, _ in rows]
        if not self._generations:
            self._start(dedup_now)

    def committed(self) -> None:
        """The transaction was committed."""

    def rolled_back(self) -> None:
        """The transaction was rolled back: a generation made in it is not there."""

    def save_clock(self, now: int) -> None:
        """Keep the de-dup clock for the next start."""
        self._cursor.execute(_SQL["save_clock"], (now, now))

    def _start(self, dedup_now: int) -> None:
        number: int = self._cursor.execute(_SQL["add_generation"], (dedup_now,)).get
        generation = Generation(number, dedup_now)
        self._cursor.execute(generation.statement("create_generation"))
        self._generations.append(generation)

    def claim_keys(self, batch: Sequence[KeyClaim]) -> list[KeyVerdict]:
        """Give each claim its verdict and note the new keys; a key that repeats inside `batch` belongs to its first claim."""
        if not batch:
            return []
        keys = [self._sources[claim.source].to_bytes(4, "big") + claim.key for claim in batch]
        known = self._find(keys)
        fresh: Values = []
        verdicts: list[KeyVerdict] = []
        for key, claim in zip(keys, batch, strict=True):
            rivals = known.get(key)
            if rivals is None:
                known[key] = {claim.digest: claim.event_id}
                verdicts.append(KeyVerdict("new", claim.event_id))
            elif (holder := rivals.get(claim.digest)) is not None:
                verdicts.append(KeyVerdict("duplicate", holder))
                continue
            else:
                verdicts.append(KeyVerdict("conflict", min(rivals.values())))
                rivals[claim.digest] = claim.event_id
            fresh += (key, claim.digest, claim.event_id)
        self._generations[-1].insert.execute(self._cursor, fresh)
        return verdicts

    def _find(self, keys: Sequence[bytes]) -> dict[bytes, dict[bytes, int]]:
        known: dict[bytes, dict[bytes, int]] = {}
        for generation in reversed(self._generations):
            _merge(known, generation.find.run(self._cursor, keys))
        return known


def _merge(known: dict[bytes, dict[bytes, int]], rows: Iterable[tuple[bytes, bytes, int]]) -> None:
    for key, digest, event_id in rows:
        known.setdefault(key, {})[digest] = event_id
