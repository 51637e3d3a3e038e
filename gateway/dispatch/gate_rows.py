"""What the store knows of one target's gates: rows for the closed ones, and a memo of what else must outlive a restart.

Memory leads and the store follows: what is written is how things stand when it is written. What the store could not
take, and what moved while the target had no sure name, is written by the next call.
"""

from collections.abc import Callable, Iterable, Mapping

from gateway.dispatch.memo import NOTE
from gateway.store.contract import Gate, GateKind, Store


class GateRows:
    """Writes the gates of one target under the name that it has."""

    def __init__(
        self, store: Store, target: str, closed: Mapping[GateKind, Gate], memo: Callable[[], bytes], kept: bytes
    ) -> None:
        """`closed` and `memo` tell how things stand; the store has the rows of `closed`, and `kept` for a memo."""
        self.retired = False
        """True if others write the target's gates: nothing is written here any more."""
        self._store = store
        self._target = target
        self._closed = closed
        self._memo = memo
        self._kept = kept
        self._owed: set[GateKind] = set()
        self._nameless = False

    def owes(self, kind: GateKind) -> bool:
        """True if the store does not know how this gate stands."""
        return kind in self._owed

    def succeeded_by(self, closed: Mapping[GateKind, Gate], memo: Callable[[], bytes]) -> "GateRows":
        """Retire, and give what writes in our place from now on, by `closed` and `memo`."""
        self.retired = True
        heir = GateRows(self._store, self._target, closed, memo, self._kept)
        heir._owed = set(self._owed)
        return heir

    @property
    def nameless(self) -> bool:
        """True while the store may be giving the target another name.

        What is written then would come behind the renaming, and give the former name to a target that is not there.
        """
        return self._nameless

    def wait_for_name(self) -> None:
        """Write nothing until `go_by`."""
        self._nameless = True

    def go_by(self, name: str) -> None:
        """The target has this name, perhaps as before, and the store has moved what it knew to it."""
        self._target, self._nameless = name, False

    async def write(self, moved: Iterable[GateKind] = ()) -> None:
        """Have the store know the memo, the gates that moved, and what it is still owed; durable on return.

        Raises StoreError: then it is owed that.
        """
        self._owed |= set(moved)
        memo = self._memo()
        if memo != self._kept and self._may_write:  # first: it tells whether a breaker was only asked for time
            await self._store.keep_notes({NOTE + self._target: memo or None})
            self._kept = memo
        for kind in sorted(self._owed):
            if self._may_write:
                await self._write(kind)

    async def open(self, kind: GateKind) -> None:
        """Have the store open a gate before memory does. Raises StoreError: then it is closed in both."""
        if self._nameless:
            self._owed.add(kind)
        else:
            await self._store.open_gate(self._target, kind)

    @property
    def _may_write(self) -> bool:
        return not self._nameless and not self.retired

    async def _write(self, kind: GateKind) -> None:
        self._owed.discard(kind)
        try:
            if gate := self._closed.get(kind):
                await self._store.close_gate(gate._replace(target=self._target))
            else:
                await self._store.open_gate(self._target, kind)
        except BaseException:
            self._owed.add(kind)
            raise
