"""Lists and shows what the store holds, as JSON values, for the admin API and for the command line (daemon stopped).

Never writes. A payload is cut to `PAYLOAD_MAX` bytes; the stored head has no secrets to leave out.
"""

from base64 import b64encode
from typing import Any, Final, Protocol

from gateway.admin.desk import ReplayStatus
from gateway.core.head import decode_head
from gateway.core.model import StoredEvent, event_text
from gateway.replay_plan import read_plan
from gateway.store.contract import AttemptRow, DeliveryQuery, DeliveryRow, EventQuery, EventRow
from gateway.store.operator import AuditRow, Replay

PAYLOAD_MAX: Final = 256 * 1024
DELIVERIES_MAX: Final = 1000
"""Of one event: more than any configuration has targets."""
REPLAYS_MAX: Final = 100


class OperatorReader(Protocol):
    """What reads, of the operator's part of a store."""

    async def audit(self, before: int | None, limit: int) -> list[AuditRow]:
        """List what was done by hand, newest first, below the number `before`."""
        ...

    async def replays(self, limit: int) -> list[Replay]:
        """List replays, newest first."""
        ...

    async def replay(self, replay_id: str) -> Replay | None:
        """Give one replay."""
        ...


class Reader(Protocol):
    """The part of a store that reads."""

    @property
    def operator(self) -> OperatorReader:
        """The operator's part."""
        ...

    async def event(self, event_id: int) -> StoredEvent | None:
        """Load one event."""
        ...

    async def events(self, query: EventQuery) -> list[EventRow]:
        """List events, newest first."""
        ...

    async def deliveries(self, query: DeliveryQuery) -> list[DeliveryRow]:
        """List deliveries, newest first."""
        ...

    async def attempts(self, event_id: int, n: int) -> list[AttemptRow]:
        """Give the tries of one delivery, first to last."""
        ...


async def list_events(reader: Reader, query: EventQuery) -> dict[str, Any]:
    """Give {"events": [...], "before": the id to page on from, or None}."""
    found = await reader.events(query._replace(limit=query.limit + 1))
    rows = found[: query.limit]
    more = event_text(rows[-1].id) if len(found) > query.limit else None
    return {"events": [_event_row(row) for row in rows], "before": more}


async def list_deliveries(reader: Reader, query: DeliveryQuery) -> dict[str, Any]:
    """Give {"deliveries": [...], "before": the event id and number to page on from (`evt_…:1`), or None}.

    `waits` of a delivery is for who knows the state of targets to fill in.
    """
    found = await reader.deliveries(query._replace(limit=query.limit + 1))
    rows = found[: query.limit]
    more = f"{event_text(rows[-1].event_id)}:{rows[-1].n}" if len(found) > query.limit else None
    return {"deliveries": [_delivery_row(row) for row in rows], "before": more}


async def show_event(reader: Reader, event_id: int) -> dict[str, Any] | None:
    """Give one event with its request, payload and deliveries; None if there is none of this id.

    `unmet` and `fields` are for who knows routes and sources to fill in.
    """
    event = await reader.event(event_id)
    if event is None:
        return None
    listed = await reader.events(EventQuery(before=event_id + 1, limit=1))
    row = next((_event_row(each) for each in listed if each.id == event_id), None)
    rows = await reader.deliveries(DeliveryQuery(event_id=event_id, limit=DELIVERIES_MAX))
    return {
        "id": event_text(event.id),
        "source": event.source,
        "credential": event.credential,
        "type": event.type,
        "version": event.version,
        "occurred_at": event.occurred_at,
        "accepted_at": event.accepted_at,
        "hold": row and row["hold"],
        "replaces": row and row["replaces"],
        "unmet": None,
        "fields": None,
        "request": _request(event),
        "payload": _payload(event.payload),
        "deliveries": [_delivery_row(row) for row in rows],
    }


async def show_delivery(reader: Reader, event_id: int, n: int) -> dict[str, Any] | None:
    """Give one delivery with its attempts; None if there is none."""
    rows = await reader.deliveries(DeliveryQuery(event_id=event_id, limit=DELIVERIES_MAX))
    row = next((row for row in rows if row.n == n), None)
    if row is None:
        return None
    attempts = await reader.attempts(event_id, n)
    return {**_delivery_row(row), "tries": [attempt._asdict() for attempt in attempts]}


async def list_audit(reader: Reader, before: int | None, limit: int) -> dict[str, Any]:
    """Give {"audit": [...], "before": the number to page on from, or None}."""
    found = await reader.operator.audit(before, limit + 1)
    rows = [row._asdict() for row in found[:limit]]
    return {"audit": rows, "before": str(rows[-1]["id"]) if len(found) > limit else None}


async def list_replays(reader: Reader) -> dict[str, Any]:
    """Give {"replays": [...]}, newest first, at most a hundred, while no daemon runs them."""
    found = await reader.operator.replays(REPLAYS_MAX)
    return {"replays": [show_replay(ReplayStatus(each, "")) for each in found]}


async def find_replay(reader: Reader, replay_id: str) -> dict[str, Any] | None:
    """Give one replay while no daemon runs it; None if there is none."""
    found = await reader.operator.replay(replay_id)
    return None if found is None else show_replay(ReplayStatus(found, ""))


def show_replay(status: ReplayStatus) -> dict[str, Any]:
    """Give one replay as JSON."""
    replay = status.replay
    found = {name: value for name, value in replay._asdict().items() if name not in {"plan", "position", "last"}}
    plan = read_plan(replay.plan)
    told = {"chosen": plan.told(), "per_second": plan.per_second, "waits": status.waits, "again": status.again}
    return {**found, **told, "seen_up_to": event_text(replay.position) if replay.position else None}


def _event_row(row: EventRow) -> dict[str, Any]:
    replaces = None if row.replaces is None else event_text(row.replaces)
    return {**row._asdict(), "id": event_text(row.id), "replaces": replaces}


def _delivery_row(row: DeliveryRow) -> dict[str, Any]:
    found = row._asdict()
    del found["event_id"], found["claims"]
    found["behind"] = None if row.behind is None else f"{event_text(row.behind[0])}:{row.behind[1]}"
    return {"event": event_text(row.event_id), **found, "waits": None}


def _request(event: StoredEvent) -> dict[str, Any] | None:
    if not event.head:
        return None
    line, client, headers = decode_head(event.head)
    pairs = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers]
    return {"line": line, "client": client, "headers": pairs}


def _payload(payload: bytes | None) -> dict[str, Any] | None:
    if payload is None:
        return None
    shown = payload[:PAYLOAD_MAX]
    about = {"bytes": len(payload), "cut": len(payload) > len(shown)}
    try:
        return {**about, "text": shown.decode()}
    except UnicodeDecodeError:
        return {**about, "base64": b64encode(shown).decode()}
