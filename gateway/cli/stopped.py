"""Reads events and deliveries straight from the store's files while no daemon runs. Never writes.

Gives the same JSON as the admin API for the same paths.
"""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from gateway.cli.failures import Failure, NotRunning
from gateway.cli.locate import find_client, require_config

if TYPE_CHECKING:
    from gateway.config.load import Loaded
    from gateway.config.model import Config
    from gateway.store.contract import DeliveryQuery, EventQuery

Fields: TypeAlias = dict[str, str]


class AtOnce:
    """A reader whose answers are there at once, in the shape that `gateway.admin.reading` awaits."""

    operator: "AtOnce"

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

    from gateway.admin.operations import NotPossibleError  # noqa: PLC0415
    from gateway.admin.queries import BadQueryError  # noqa: PLC0415
    from gateway.errors import StoreError  # noqa: PLC0415

    loaded = _load(config)
    database = loaded.places.in_state(loaded.config.store.sqlite)
    if not database.exists():
        raise FileNotFoundError(database)
    try:
        found = trio.run(_open_and_ask, database, _question(path, fields, loaded.config))
    except NotPossibleError as error:
        raise Failure(str(error), error.remedy) from None
    except BadQueryError as error:
        raise Failure(str(error), f"hookgate {path.split('/')[1]} --help") from None
    except StoreError as error:
        raise Failure(str(error), "hookgate run") from None
    if found is None:
        raise Failure(f"there is nothing at {path[1:]}", "hookgate events list")
    return found


def _question(path: str, fields: Fields, config: "Config") -> Callable[[Any], Awaitable[dict[str, Any] | None]]:
    """Give the function that answers `path` from a reader, as the routes of the admin API do."""
    from gateway.admin import queries, reading  # noqa: PLC0415 - they load the store's contract

    match path.strip("/").split("/"):
        case ["events"]:
            return lambda reader: _list_events(reader, queries.read_event_query(fields), config)
        case ["events", event]:
            return lambda reader: reading.show_event(reader, queries.read_event_id(event))
        case ["deliveries"]:
            query = queries.read_delivery_query(fields)
            return lambda reader: _list_deliveries(reader, query, config)
        case ["deliveries", event, n]:
            return lambda reader: reading.show_delivery(reader, queries.read_event_id(event), int(n))
        case ["audit"]:
            return lambda reader: reading.list_audit(reader, *queries.read_audit_query(fields))
        case ["replays"]:
            return reading.list_replays
        case ["replays", replay]:
            return lambda reader: reading.find_replay(reader, replay)
        case _:
            raise FileNotFoundError(path)


async def _list_events(
    reader: Any,  # noqa: ANN401 - an AtOnce, whose methods are those of what it wraps
    query: "EventQuery",
    config: "Config",
) -> dict[str, Any]:
    """List events; a source that is not configured and has none is refused, as the daemon does."""
    from gateway.admin.reading import list_events  # noqa: PLC0415 - see _question

    found = await list_events(reader, query)
    if not found["events"]:
        _check_source(query.source, config)
    return found


async def _list_deliveries(
    reader: Any,  # noqa: ANN401 - see _list_events
    query: "DeliveryQuery",
    config: "Config",
) -> dict[str, Any]:
    """List deliveries; a target or source that nobody knows is refused, as the daemon does."""
    from gateway.admin.operations import no_target  # noqa: PLC0415 - see _question
    from gateway.admin.reading import list_deliveries  # noqa: PLC0415

    found = await list_deliveries(reader, query)
    if not found["deliveries"]:
        known = {*config.targets, *(await reader.backlogs()).targets()}
        if query.target is not None and query.target not in known:
            raise no_target(query.target, known)
        _check_source(query.source, config)
    return found


def _check_source(source: str | None, config: "Config") -> None:
    from gateway.admin.operations import no_source  # noqa: PLC0415 - see _question
    from gateway.blueprint import OWN_SOURCE  # noqa: PLC0415 - see _question

    providers = (route.provider for route in config.routes.values() if route.provider)
    known = {OWN_SOURCE, *config.sources, *providers}
    if source is not None and source not in known:
        raise no_source(source, known)


async def _open_and_ask(
    database: Path, question: Callable[[Any], Awaitable[dict[str, Any] | None]]
) -> dict[str, Any] | None:
    from gateway.store.reads import open_sqlite_reader  # noqa: PLC0415 - see _read_files
    from gateway.store.selecting import OperatorReads  # noqa: PLC0415

    with open_sqlite_reader(database) as reads:
        reader = AtOnce(reads)
        reader.operator = AtOnce(OperatorReads(reads))
        return await question(reader)


def _load(config: Path) -> "Loaded":
    from gateway.config.load import load  # noqa: PLC0415 - pydantic, only where the daemon does not answer
    from gateway.errors import ConfigError  # noqa: PLC0415

    try:
        return load(require_config(config), os.environ)
    except ConfigError as error:
        raise Failure(str(error), f"hookgate check --config {config}") from None
