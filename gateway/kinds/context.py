"""What an open target may use of the gateway."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gateway.runtime import Runtime
from gateway.wire.guard import Guard


@dataclass(frozen=True, slots=True)
class Context:
    """What an open target may use of the gateway; valid until its `close` returns."""

    name: str
    """The target's name in the configuration."""
    runtime: Runtime
    """The door to clock and threads."""
    connections: int
    """How many deliveries may run at once: the size of a connection pool."""
    user_agent: str = "hookgate"
    state_folder: Path = Path()
    """Where relative paths of options begin."""
    timeout_seconds: float = 30.0
    """After so long a delivery is cancelled."""
    guard: Guard = field(default_factory=Guard)
    """What connections may lead to; it knows the gateway's own listeners. Narrow it by an operator's lists."""
    memory: "Memory | None" = None
    """What outlives the process; None where nothing does (a plugin's own process, tests)."""


class Memory(Protocol):
    """A few small values of one target that outlive the process. They are gone once the target was disabled."""

    async def recall(self, key: str) -> bytes | None:
        """Give a value; None if there is none. Raises StoreError."""
        ...

    async def keep(self, key: str, value: bytes) -> None:
        """Keep a value; durable on return. Raises StoreError."""
        ...
