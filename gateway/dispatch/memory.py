"""What a target keeps for after a restart, as notes in the store under the target's name."""

from gateway.dispatch.memo import NOTE
from gateway.store.contract import Store


async def owned_notes(store: Store, formerly: str, name: str) -> tuple[tuple[str, str], ...]:
    """Give the notes of a target that is to be renamed, those of its gates, too, and what they are called then."""
    was, now = _prefix(formerly), _prefix(name)
    kept = [(note, now + note.removeprefix(was)) for note in await store.notes(was)]
    return ((NOTE + formerly, NOTE + name), *kept)


class TargetMemory:
    """Implements `gateway.plugin.Memory` for one target."""

    def __init__(self, store: Store, target: str) -> None:
        self._store = store
        self._prefix = _prefix(target)

    async def recall(self, key: str) -> bytes | None:
        """See `Memory.recall`."""
        return (await self._store.notes(self._prefix)).get(self._prefix + key)

    async def keep(self, key: str, value: bytes) -> None:
        """See `Memory.keep`."""
        await self._store.keep_notes({self._prefix + key: value})

    async def forget(self) -> None:
        """Drop all of it; durable on return. Raises StoreError."""
        await self._store.keep_notes(dict.fromkeys(await self._store.notes(self._prefix)))


def _prefix(target: str) -> str:
    return f"target {target} "
