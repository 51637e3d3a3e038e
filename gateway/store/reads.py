"""Lists and shows what a store holds, on a connection that only reads.

Used by the store's reader thread, and by the CLI while the gateway is stopped.
Every list is bounded, and a search that takes too long is ended: a long read would keep the write-ahead log from being
emptied.
"""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw

from gateway.core.model import StoredEvent
from gateway.errors import StoreBusyError, StoreError
from gateway.store.backlog import Backlogs, Changes
from gateway.store.codes import GATES, HOLD_CODES, HOLDS, OUTCOMES, STATE_CODES, STATES
from gateway.store.connection import open_reader
from gateway.store.contract import AttemptRow, DeliveryQuery, DeliveryRow, EventQuery, EventRow, Gate
from gateway.store.migrate import migrations, schema_version
from gateway.store.statements import load_statements

_SQL: Final = load_statements("reads")
_START: Final = load_statements("start")
LIMIT_MAX: Final = 1001
"""One more than people may ask for: so a page knows whether another follows."""
STEPS_MAX: Final = 20_000
"""Times a thousand steps of SQLite's machine: some seconds."""
_HIGHEST: Final = 2**63 - 1


class Reads:
    """Reads of one connection; every method is synchronous and takes milliseconds to seconds."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._steps = 0
        connection.set_progress_handler(self._is_too_long, 1000)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def event(self, event_id: int) -> StoredEvent | None:
        """Load one event."""
        rows = self._rows("event", (event_id,))
        if not rows:
            return None
        row = rows[0]
        return StoredEvent._make((*row[:7], row[7] or b"", *row[8:]))

    def events(self, query: EventQuery) -> list[EventRow]:
        """List events, newest first."""
        values = {
            "source": query.source,
            "type": None if query.type_glob is None else glob_of(query.type_glob),
            "hold": HOLD_CODES[query.hold],
            "before": _HIGHEST if query.before is None else query.before,
            "limit": _bounded(query.limit),
        }
        return [EventRow._make((*row[:7], HOLDS[row[7]], *row[8:])) for row in self._rows("events", values)]

    def deliveries(self, query: DeliveryQuery) -> list[DeliveryRow]:
        """List deliveries, newest first."""
        one = query.event_id
        before = _HIGHEST if query.before is None else query.before
        values = {
            "target": query.target,
            "source": query.source,
            "before": before,
            "after": _HIGHEST if query.before_n is None else query.before_n,
            "low": 0 if one is None else one,
            "high": before if one is None else min(one, before),
            "limit": _bounded(query.limit),
        }
        if query.state == "dead" and query.target is not None:
            rows = self._rows("dead_deliveries", values)
        else:
            rows = self._rows(
                "deliveries", {**values, "state": None if query.state is None else STATE_CODES[query.state]}
            )
        return [DeliveryRow._make((*row[:6], STATES[row[6]], *row[7:14], _place(row[14]), row[15])) for row in rows]

    def attempts(self, event_id: int, n: int) -> list[AttemptRow]:
        """Give the tries of one delivery, first to last."""
        rows = self._rows("attempts", (event_id, n))
        return [AttemptRow(started, took, OUTCOMES[outcome], reason) for started, took, outcome, reason in rows]

    def gates(self) -> list[Gate]:
        """Give all closed gates."""
        rows = self._rows("gates", ())
        return [Gate(target, GATES[kind], since, until, reason) for target, kind, since, until, reason in rows]

    def notes(self, prefix: str) -> dict[str, bytes]:
        """Give the notes whose names begin with `prefix`."""
        return dict(self._rows("notes", (prefix,)))

    def any_expired(self, now: int) -> bool:
        """Tell whether anything waits that has expired by `now`."""
        return bool(self._rows("any_expired", (now,)))

    def backlogs(self) -> Backlogs:
        """Count what waits for each target; what is in flight is counted by the running daemon only."""
        return load_backlogs(self._connection)

    def rows(self, text: str, values: tuple[Any, ...] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Give all rows of a statement. Raises StoreBusyError if it takes too long."""
        return list(self.each(text, values))

    def each(self, text: str, values: tuple[Any, ...] | Mapping[str, Any]) -> Generator[tuple[Any, ...], None, None]:
        """Give the rows of a statement one by one; whoever stops before the end closes the iterator."""
        self._steps = 0
        cursor = self._connection.cursor()
        try:
            yield from cursor.execute(text, values)
        except apsw.InterruptError:
            raise StoreBusyError(
                "the search took too long and was ended; narrow it, for example by target or id"
            ) from None
        finally:
            cursor.close()

    def _rows(self, name: str, values: tuple[Any, ...] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return self.rows(_SQL[name], values)

    def _is_too_long(self) -> bool:
        self._steps += 1
        return self._steps > STEPS_MAX


def load_backlogs(connection: apsw.Connection) -> Backlogs:
    """Count what waits for each target."""
    changes = Changes()
    for target, count, due in connection.execute(_START["count_pending"]):
        changes[target].add_pending(count, due)
    for target, count in connection.execute(_START["count_waiting"]):
        changes[target].pending += count
        changes[target].waiting = count
    for target, count in connection.execute(_START["count_dead"]):
        changes[target].dead = count
    backlogs = Backlogs()
    backlogs.apply(changes)
    return backlogs


@contextmanager
def open_sqlite_reader(path: Path) -> Iterator[Reads]:
    """Open a store only to read it, while no daemon runs. Raises StoreError if there is none, or of another version."""
    try:
        connection = open_reader(path)
        found, known = schema_version(connection), migrations()[-1][0]
    except apsw.Error as error:
        raise StoreError(f"{path}: the store cannot be read: {type(error).__name__}: {error}") from error
    if found != known:
        connection.close()
        raise StoreError(
            f"{path}: its schema is number {found}, this version reads {known}; start the daemon to bring it up to date"
        )
    reads = Reads(connection)
    try:
        yield reads
    finally:
        reads.close()


def _place(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    event_id, _, n = text.partition(":")
    return int(event_id), int(n)


def _bounded(limit: int) -> int:
    return max(0, min(limit, LIMIT_MAX))


def glob_of(pattern: str) -> str:
    """Give the pattern for SQLite: only `*` is special, as in routes."""
    return pattern.replace("[", "[[]").replace("?", "[?]")
