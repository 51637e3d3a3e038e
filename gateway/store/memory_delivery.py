"""A delivery as the memory store keeps it."""

from dataclasses import dataclass, field

from gateway.core.model import State
from gateway.store.contract import AttemptRow, DeliveryQuery


@dataclass(slots=True)
class MemoryDelivery:
    """A delivery with its tries."""

    event_id: int
    n: int
    route: str
    target: str
    state: State
    due: int | None
    epoch: int | None = None
    claims: int = 0
    attempts: int = 0
    interrupted: int = 0
    progress: bytes | None = None
    settled_at: int | None = None
    replay: str | None = None
    waited: int = 0
    expires_at: int | None = None
    since: int = 0
    """When its event came, or it was planned anew."""
    resumes_at: int | None = None
    """Until when it backs off, by the de-dup clock, while it lets another of its key go first."""
    okey: tuple[str, bytes] | None = None
    """Source and digest of the key that orders it."""
    tries: list[AttemptRow] = field(default_factory=list)

    def to_pending(self, due: int) -> None:
        """It may be claimed from `due` on."""
        self.state, self.due, self.epoch, self.settled_at = "pending", due, None, None

    def revive(self, due: int) -> None:
        """It was dead and is tried from `due` on, as if it never was."""
        self.to_pending(due)
        self.attempts = self.waited = 0

    def let_go_first(self, now: int, steady: int) -> None:
        """It waits its turn, and backs off no shorter for that."""
        if self.due is not None:
            self.resumes_at = steady + self.due - now if self.due > now else None
        self.due = None

    def take_turn(self, now: int, steady: int) -> None:
        """It is due, or backs off as long as it had to."""
        if self.due is None:
            self.due = now if self.resumes_at is None else max(now, now + self.resumes_at - steady)
        self.resumes_at = None

    def cancel(self, now: int, reason: str) -> None:
        """It will never be tried again."""
        self.state, self.due, self.settled_at = "cancelled", None, now
        self.tries.append(AttemptRow(now, 0, "cancelled", reason))

    def matches(self, query: DeliveryQuery) -> bool:
        """Tell whether `query` selects it, of an event of the source that it asks for."""
        return (
            (query.target is None or query.target == self.target)
            and (query.state is None or query.state == self.state)
            and (query.event_id is None or query.event_id == self.event_id)
            and (query.before is None or self.is_after(query.before, query.before_n))
        )

    def is_after(self, before: int, before_n: int | None) -> bool:
        """Tell whether a list has it after that place."""
        return self.event_id < before or (before_n is not None and self.event_id == before and self.n > before_n)


def can_be_kept(text: str) -> bool:
    """Tell whether a real store could write it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
