"""What the verbs of the writer thread share: its cursor, names, ids, de-dup keys and this process's epoch.

Nothing here begins or ends a transaction; `group_commit` does. A `Turn` is what one transaction gathers for the time
after it.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import apsw

from gateway.store.backlog import Changes
from gateway.store.contract import Ordering
from gateway.store.ids import IdMint
from gateway.store.keys import KeyGenerations
from gateway.store.names import NameBook
from gateway.store.statements import load_statements

_FIND_TARGET: Final = load_statements("record")["find_target"]


class Renamed(NamedTuple):
    """What was for the target `formerly` is for `name`; `last_event` is newer than every event until then."""

    formerly: str
    name: str
    last_event: int


@dataclass(slots=True)
class Turn:
    """One transaction as the verbs see it."""

    now: int
    """Milliseconds since 1970 when it began."""
    changes: Changes = field(default_factory=Changes)
    renamed: list[Renamed] = field(default_factory=list)
    wall_ms: int | None = None
    """The latest time by the wall clock, if it was written down."""
    expired: dict[str, int] = field(default_factory=dict)
    """Deliveries cancelled because they had expired, by target."""
    orderings: dict[int, Ordering | None] = field(default_factory=dict)
    """Targets, by their numbers, that are ordered otherwise from now on."""

    def add(self, part: "Turn") -> None:
        """Take over what a part of the transaction gathered."""
        self.changes.add(part.changes)
        self.renamed += part.renamed
        self.wall_ms = self.wall_ms if part.wall_ms is None else part.wall_ms
        for target, count in part.expired.items():
            self.expired[target] = self.expired.get(target, 0) + count
        self.orderings |= part.orderings


@dataclass(slots=True)
class Ledger:
    """The writer's own; used by no other thread."""

    connection: apsw.Connection
    cursor: apsw.Cursor
    names: NameBook
    ids: IdMint
    keys: KeyGenerations
    epoch: int
    wall_ms: int
    """The latest time by the wall clock that is written down."""
    given_up: dict[str, int] = field(default_factory=dict)
    """Names that targets gave up since the start, and an id above every event until then: records of what was in flight
    still come under them.
    """
    orderings: dict[int, Ordering] = field(default_factory=dict)
    """How targets are ordered, by their numbers, which a rename does not change."""

    def owner(self, target: str, event_id: int, n: int) -> str:
        """Give the name under which a delivery is counted now; `target` is the one it was claimed under.

        Once given up, that may be another target's, which may have been sent old events too (by a replay, or a repeat
        of what was unmatched): then only the delivery's row tells whose it is.
        """
        last_event = self.given_up.get(target)
        if last_event is None or event_id > last_event:
            return target
        number: int = self.cursor.execute(_FIND_TARGET, (event_id, n)).get
        return self.names.texts[number]

    def keeps_latest(self, target: int) -> bool:
        """Tell whether older deliveries to the target give way to newer ones of their key."""
        ordering = self.orderings.get(target)
        return ordering is not None and ordering.keep == "latest"

    def committed(self, turn: Turn) -> None:
        """What the transaction gave out is now true."""
        for renamed in turn.renamed:
            self.given_up[renamed.formerly] = renamed.last_event
        self.wall_ms = self.wall_ms if turn.wall_ms is None else turn.wall_ms
        for number, ordering in turn.orderings.items():
            self.orderings.pop(number, None)
            if ordering is not None:
                self.orderings[number] = ordering
        self.keys.committed()

    def rolled_back(self) -> None:
        """What the transaction gave out never was."""
        self.names.forget()
        self.keys.rolled_back()
