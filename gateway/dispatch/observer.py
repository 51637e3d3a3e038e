"""Who is told how deliveries go: counters, log and the gateway's own events."""

from typing import Protocol

from gateway.blueprint import TargetPlan
from gateway.dispatch.attempt import Tried
from gateway.store.contract import Gate


class Observer(Protocol):
    """Who is told how deliveries go: counters, log and the gateway's own events."""

    def tried(self, plan: TargetPlan, tried: Tried) -> None:
        """One try ended; its record is on its way to the store."""
        ...

    def fetched(self, target: str, result: str) -> None:
        """A provider was asked for a resource; `result` is `found`, `missing`, `down` or `failed`."""
        ...

    def gate_closed(self, gate: Gate, *, asked: bool) -> None:
        """A gate was closed; `asked`: only because the target asks for time."""
        ...

    def gate_opened(self, target: str, reason: str) -> None:
        """What the daemon had closed was opened: the target answers, or an operator says so."""
        ...
