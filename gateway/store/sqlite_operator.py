"""The operator's part of the SQLite store: selections by the reader, changes by the writer, in small transactions."""

from collections.abc import Sequence
from functools import partial

from gateway.store import interventions, replays, selecting
from gateway.store.engine import Engine
from gateway.store.interventions import SLICE
from gateway.store.operator import (
    Advance,
    AuditRow,
    CountedEvents,
    DeliveryFilter,
    EventFilter,
    Note,
    Number,
    Position,
    Replay,
    ReplayState,
    SelectedDeliveries,
    SelectedEvents,
)
from gateway.store.selecting import OperatorReads


class SqliteOperator:
    """Keeps the contract of `Operator`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reads = OperatorReads(engine.reads)

    async def select_deliveries(self, chosen: DeliveryFilter, after: Position, limit: int) -> SelectedDeliveries:
        """See `Operator.select_deliveries`."""
        return await self._engine.read(partial(selecting.select_deliveries, self._engine.reads, chosen, after, limit))

    async def retry(self, deliveries: Sequence[Number], note: Note) -> int:
        """See `Operator.retry`. Many are done in slices; whoever is cancelled half-way has done some."""
        return sum(
            [
                await self._engine.do(partial(interventions.retry_some, deliveries=part, note=note))
                for part in _parts(deliveries)
            ]
        )

    async def cancel(self, deliveries: Sequence[Number], note: Note) -> int:
        """See `Operator.cancel`. Many are done in slices; whoever is cancelled half-way has done some."""
        return sum(
            [
                await self._engine.do(partial(interventions.cancel_some, deliveries=part, note=note))
                for part in _parts(deliveries)
            ]
        )

    async def count_events(self, chosen: EventFilter, after: int) -> CountedEvents:
        """See `Operator.count_events`."""
        return await self._engine.read(partial(selecting.count_events, self._engine.reads, chosen, after))

    async def select_events(self, chosen: EventFilter, after: int, last: int, limit: int) -> SelectedEvents:
        """See `Operator.select_events`."""
        return await self._engine.read(partial(selecting.select_events, self._engine.reads, chosen, after, last, limit))

    async def begin_replay(self, replay: Replay) -> Replay | None:
        """See `Operator.begin_replay`."""
        return await self._engine.do(partial(replays.begin, replay=replay), grows=True)

    async def advance_replay(self, replay_id: str, step: Advance) -> int | None:
        """See `Operator.advance_replay`."""
        return await self._engine.do(partial(replays.advance, replay_id=replay_id, step=step), grows=True)

    async def cancel_replay(self, replay_id: str, note: Note) -> Replay | None:
        """See `Operator.cancel_replay`."""
        return await self._engine.do(partial(replays.cancel, replay_id=replay_id, note=note))

    async def replays(self, limit: int, state: ReplayState | None = None) -> list[Replay]:
        """See `Operator.replays`."""
        return await self._engine.read(partial(self._reads.replays, limit, state))

    async def replay(self, replay_id: str) -> Replay | None:
        """See `Operator.replay`."""
        return await self._engine.read(partial(self._reads.replay, replay_id))

    async def audit(self, before: int | None, limit: int) -> list[AuditRow]:
        """See `Operator.audit`."""
        return await self._engine.read(partial(self._reads.audit, before, limit))


def _parts(deliveries: Sequence[Number]) -> list[Sequence[Number]]:
    """Give what one transaction each may change; each delivery is named once."""
    unique = list(dict.fromkeys(deliveries))
    return [unique[start : start + SLICE] for start in range(0, len(unique), SLICE)]
