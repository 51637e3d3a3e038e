"""What a target keeps for after a restart, as notes in the store under the target's name."""

from gateway.store.contract import Store


class TargetMemory:
    """Implements `gateway.plugin.Memory` for one target."""

    def __init__(self, store: Store, target: str) -> None:
        self._store = store
        self._prefix = f"target {target} "

    async def recall(self, key: str) -> bytes | None:
        """See `Memory.recall`."""
        return (await self._store.notes(self._prefix)).get(self._prefix + key)

    async def keep(self, key: str, value: bytes) -> None:
        """See `Memory.keep`."""
        await self._store.keep_notes({self._prefix + key: value})

    async def forget(self) -> None:
        """Drop all of it; durable on return. Raises StoreError."""
        await self._store.keep_notes(dict.fromkeys(await self._store.notes(self._prefix)))
