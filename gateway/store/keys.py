"""De-dup keys, in generations: tables for a sixteenth of the window each, looked up newest first, expired whole.

Generations are aged by the *de-dup clock*, which counts the time that the store was open. So no step of the wall clock
makes a key expire early; while the process is down, keys do not age. The same key with another digest is a conflict;
then both digests are kept, so that repeats of either are duplicates.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any, Final, Literal, NamedTuple

import apsw

from gateway.runtime import Runtime
from gateway.store.key_filter import KeyFilter
from gateway.store.names import Numbers
from gateway.store.statements import ListStatement, RowStatement, Values, load_statements

_SQL: Final = load_statements("keys")
GENERATIONS: Final = 16

Known = dict[bytes, dict[bytes, int]]
"""Key → digest → the event that had both first."""


class KeyClaim(NamedTuple):
    """A key that an event wants to be the first to have."""

    source: str
    key: bytes
    digest: bytes
    event_id: int
    former: Sequence[tuple[bytes, bytes]] = ()
    """Keys and digests that it would have had by rules of its source that count no more for new events."""
    mark: bytes | None = None
    """Kept beside the key, if nobody has it."""
    seen_as: bytes | None = None
    """Whoever has this as key or mark is the event whose repeat it is, whatever its digest."""


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

    def __init__(
        self, cursor: apsw.Cursor, sources: Numbers, runtime: Runtime, window_ms: int, key_filter: KeyFilter
    ) -> None:
        self._cursor = cursor
        self._sources = sources
        self._runtime = runtime
        self._window = window_ms
        self._span = max(window_ms // GENERATIONS, 1)
        self._filter = key_filter
        self._opened = runtime.monotonic()
        self._base: int = cursor.execute(_SQL["read_clock"]).get
        self._generations: list[Generation] = []
        self._touched = False
        self.on_sealed: Callable[[], None] = lambda: None
        """Called after a commit that sealed or dropped a generation."""
        self._load()
        if not self._generations:
            self._start()

    def now(self) -> int:
        """Read the de-dup clock, in milliseconds."""
        return self._base + int((self._runtime.monotonic() - self._opened) * 1000)

    def save_clock(self) -> None:
        """Keep the clock for the next start."""
        self._cursor.execute(_SQL["save_clock"], (self.now(),))

    def committed(self) -> None:
        """The transaction was committed."""
        if self._touched:
            self._touched = False
            self.on_sealed()

    def rolled_back(self) -> None:
        """The transaction, or a part of it, was rolled back: what was sealed, begun or dropped in it may not be."""
        if self._touched:
            self._load()

    def sealed(self) -> list[int]:
        """Number the sealed generations, newest first."""
        return [generation.number for generation in reversed(self._generations) if generation.sealed is not None]

    def claim_keys(self, batch: Sequence[KeyClaim]) -> list[KeyVerdict]:
        """Give each claim its verdict and note the new keys; one that repeats in `batch` belongs to its first claim.

        A former key finds a repeat only where the digest is the same, too, and once: of an event that was stored by
        another rule nobody knows which key the new one would give it, so the first that may be its repeat counts as
        that, and what the new rule tells apart from this one is new. A rule that told too little apart, and was changed
        for that, holds one more event of the same bytes at most for each that it had let in.
        """
        if not batch:
            return []
        self.seal_if_due()
        sources = self._sources
        keys = [sources[claim.source].to_bytes(4, "big") + claim.key for claim in batch]
        known = self._find(keys)
        fresh: Values = []
        if any(claim.former for claim in batch):
            fresh += self._add_former(batch, keys, known)
        if any(claim.mark or claim.seen_as for claim in batch):
            also = {key[:4] + each for key, claim in zip(keys, batch, strict=True) for each in claim[5:] if each}
            known |= self._find(sorted(also - known.keys()))
        verdicts: list[KeyVerdict] = []
        for key, (_, _, digest, event_id, _, mark, seen_as) in zip(keys, batch, strict=True):
            rivals = known.get(key)
            if seen_as and digest not in (rivals or ()) and (seen := known.get(key[:4] + seen_as)):
                verdicts.append(KeyVerdict("duplicate", min(seen.values())))
                continue
            if rivals is None:
                known[key] = {digest: event_id}
                verdicts.append(KeyVerdict("new", event_id))
            elif (holder := rivals.get(digest)) is not None:
                verdicts.append(KeyVerdict("duplicate", holder))
                continue
            else:
                verdicts.append(KeyVerdict("conflict", min(rivals.values())))
                rivals[digest] = event_id
            fresh += (key, digest, event_id)
            if mark and key[:4] + mark not in known:
                known[key[:4] + mark] = {digest: event_id}
                fresh += (key[:4] + mark, digest, event_id)
        self._generations[-1].insert.execute(self._cursor, fresh)
        return verdicts

    def _add_former(self, batch: Sequence[KeyClaim], keys: Sequence[bytes], known: Known) -> Values:
        """Add to `known` whose repeats the claims are by their former keys; give the rows that keep it so."""
        former = [
            [(key[:4] + old, digest) for old, digest in claim.former] for claim, key in zip(batch, keys, strict=True)
        ]
        found = self._find(sorted({each for some in former for each, _ in some}))
        taken = set(self._find(sorted({spent(*each) for some in former for each in some if each[0] in found})))
        rows: Values = []
        for claim, key, some in zip(batch, keys, former, strict=True):
            for each, digest in some:
                holder = found.get(each, {}).get(digest)
                mark = None if each == key else spent(each, digest)
                if holder is None or claim.digest in known.get(key, ()) or mark in taken:
                    continue
                known.setdefault(key, {})[claim.digest] = holder
                if mark is not None:
                    taken.add(mark)
                    rows += (key, claim.digest, holder, mark, digest, holder)
        return rows

    def seal_if_due(self) -> None:
        """Begin a new generation if the current one has lasted its span."""
        current = self._generations[-1]
        if self.now() - current.started >= self._span:
            self._touched = True
            current.sealed = self.now()
            self._cursor.execute(_SQL["seal_generation"], (current.sealed, current.number))
            self._start()

    def expire_some(self, window_ms: int, limit: int) -> int:
        """Remove about `limit` keys of the oldest generation if it is all older than the window; give their number."""
        self.seal_if_due()
        oldest = self._generations[0]
        if oldest.sealed is None or self.now() - oldest.sealed < max(window_ms, self._window):
            return 0
        self._cursor.execute(oldest.statement("trim_generation"), (limit,))
        removed: int = self._cursor.connection.changes()
        if removed < limit:
            self._touched = True
            self._cursor.execute(oldest.statement("drop_generation"))
            self._cursor.execute(_SQL["forget_generation"], (oldest.number,))
            del self._generations[0]
        return max(removed, 1)

    def keep_filter(self, number: int, kept: bytes) -> None:
        """Keep the filter of a sealed generation for the next start."""
        self._cursor.execute(_SQL["save_filter"], (kept, number))

    def _load(self) -> None:
        rows: list[tuple[Any, ...]] = self._cursor.execute(_SQL["list_generations"]).fetchall()
        self._generations = [Generation(*row) for row in rows]

    def _start(self) -> None:
        number: int = self._cursor.execute(_SQL["add_generation"], (self.now(),)).get
        generation = Generation(number, self.now())
        self._cursor.execute(generation.statement("create_generation"))
        self._generations.append(generation)
        self._touched = True

    def _find(self, keys: Sequence[bytes]) -> Known:
        """Look `keys` up: in the current generation, and in the older ones that may hold them."""
        known: Known = {}
        ready = self._filter.ready
        may_hold = [self._filter.candidates(key) for key in keys] if ready else []
        anywhere = 0
        for bits in may_hold:
            anywhere |= bits
        for generation in reversed(self._generations):
            bit = ready.get(generation.number)
            if bit is None:
                _add(known, generation.find.run(self._cursor, keys))
            elif anywhere & bit:
                chosen = [key for key, bits in zip(keys, may_hold, strict=True) if bits & bit]
                _add(known, generation.find.run(self._cursor, chosen))
        return known


def spent(former: bytes, digest: bytes) -> bytes:
    """Give the key that tells that the repeat of an event was found by its former key."""
    return former[:4] + blake2b(former + digest, digest_size=16, person=b"former key").digest()


def _add(known: Known, rows: Iterable[tuple[Any, ...]]) -> None:
    for key, digest, event_id in rows:
        known.setdefault(key, {})[digest] = event_id
