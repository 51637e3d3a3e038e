"""Says whether deliveries of a target are due and nobody looks at them: the task that should is stuck, or has ended.

A target that is slow, full or behind a gate is looked at all the same, every few seconds.
"""

from typing import Final

from gateway.store.contract import Backlog

OVERLOOKED_SECONDS: Final = 20.0
"""A living task looks at what is due at least every ten."""


def overlooked(name: str, backlog: Backlog, looked: float | None, now_ms: int, monotonic: float) -> str | None:
    """Tell of a target whose deliveries are overlooked; None if they are not.

    `looked` is when its task looked last, on the clock of `monotonic`; None: it is still being opened.
    """
    if looked is None or backlog.pending <= backlog.waiting or backlog.next_due is None:
        return None
    due, unseen = (now_ms - backlog.next_due) / 1000, monotonic - looked
    if min(due, unseen) < OVERLOOKED_SECONDS:
        return None
    return f"deliveries to {name} have been due for {due:.0f} s, and nobody has looked at them for {unseen:.0f} s"
