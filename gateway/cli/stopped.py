"""Reads events and deliveries straight from the store's files while no daemon runs. Never writes.

Gives the same JSON as the admin API for the same paths.
"""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

from gateway.cli.failures import Failure, NotRunning
from gateway.cli.locate import find_client

Fields: TypeAlias = dict[str, str]


class AtOnce:
    """A reader whose answers are there at once, in the shape that `gateway.admin.reading` awaits."""

    def __init__(self, reads: Any) -> None:  # noqa: ANN401 - gateway.store.reads.Reads, which is imported late
        self._reads = reads

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        """Give the reading method `name` as one to await."""
        call = getattr(self._reads, name)

        async def answer(*asked: Any) -> Any:  # noqa: ANN401 - passed through
            return call(*asked)

        return answer


def read(config: Path, path: str, fields: Fields | None = None) -> dict[str, Any]:
    """Ask the running daemon, else the store's files. Raises Failure, or NotRunning if there are no files either."""
    try:
        return find_client(config).get(path, fields)
    except NotRunning as stopped:
        try:
            return _read_files(config, path, fields or {})
        except FileNotFoundError:
            raise stopped from None


def _read_files(config: Path, path: str, fields: Fields) -> dict[str, Any]:
    import trio  # noqa: PLC0415 - 100 ms that only this way needs

    from gateway.admin.queries import BadQueryError  # noqa: PLC0415
    from gateway.errors import StoreError  # noqa: PLC0415

    question = _question(path, fields)
    database = _find_database(config)
    try:
        found = trio.run(_open_and_ask, database, question)
    except BadQueryError as error:
        raise Failure(str(error), "hookgate --help") from None
    except StoreError as error:
        raise Failure(str(error), "hookgate run") from None
    if found is None:
        raise Failure(f"there is nothing at {path[1:]}", "hookgate events list")
    return found


def _question(path: str, fields: Fields) -> Callable[[Any], Awaitable[dict[str, Any] | None]]:
    """Give the function that answers `path` from a reader, as the routes of the admin API do."""
    from gateway.admin import queries, reading  # noqa: PLC0415 - they load the store's contract

    match path.strip("/").split("/"):
        case ["events"]:
            return lambda reader: reading.list_events(reader, queries.read_event_query(fields))
        case ["events", event]:
            return lambda reader: reading.show_event(reader, queries.read_event_id(event))
        case ["deliveries"]:
            return lambda reader: reading.list_deliveries(reader, queries.read_delivery_query(fields))
        case ["deliveries", event, n]:
            return lambda reader: reading.show_delivery(reader, queries.read_event_id(event), int(n))
        case _:
            raise FileNotFoundError(path)


async def _open_and_ask(
    database: Path, question: Callable[[Any], Awaitable[dict[str, Any] | None]]
) -> dict[str, Any] | None:
    from gateway.store.reads import open_sqlite_reader  # noqa: PLC0415 - see _read_files

    with open_sqlite_reader(database) as reads:
        return await question(AtOnce(reads))


def _find_database(config: Path) -> Path:
    """Give the path of the store's file. Raises FileNotFoundError."""
    from gateway.config.load import load  # noqa: PLC0415 - pydantic, only where the daemon does not answer
    from gateway.errors import ConfigError  # noqa: PLC0415

    try:
        loaded = load(config, os.environ)
    except ConfigError as error:
        raise Failure(str(error), f"hookgate check --config {config}") from None
    database = loaded.places.state / loaded.config.store.sqlite
    if not database.exists():
        raise FileNotFoundError(database)
    return database
