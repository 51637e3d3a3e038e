"""What the verbs of the writer thread share: its cursor, names, ids, de-dup keys and this process's epoch.

Nothing here begins or ends a transaction; `group_commit` does. A `Turn` is what one transaction gathers for the time
after it.
"""

from dataclasses import dataclass, field

import apsw

from gateway.store.backlog import Changes
from gateway.store.ids import IdMint
from gateway.store.keys import KeyGenerations
from gateway.store.names import NameBook


@dataclass(slots=True)
class Turn:
    """One transaction as the verbs see it."""

    now: int
    """Milliseconds since 1970 when it began."""
    changes: Changes = field(default_factory=Changes)


@dataclass(slots=True)
class Ledger:
    """The writer's own; used by no other thread."""

    connection: apsw.Connection
    cursor: apsw.Cursor
    names: NameBook
    ids: IdMint
    keys: KeyGenerations
    epoch: int

    def committed(self) -> None:
        """What the transaction gave out is now true."""
        self.names.keep_fresh()
        self.keys.committed()

    def rolled_back(self) -> None:
        """What the transaction gave out never was."""
        self.names.forget_fresh()
        self.keys.rolled_back()
