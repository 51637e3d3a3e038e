"""Events: list, show, and plan again."""

from quart import Blueprint, Response, request

from gateway.admin.answers import answer, read_object, refuse
from gateway.admin.operations import Operations
from gateway.admin.queries import BadQueryError, read_event_id, read_event_query
from gateway.admin.reading import list_events, show_event
from gateway.core.model import event_text


def event_routes(operations: Operations) -> Blueprint:
    """Make /events, /events/<id> and /replay."""
    routes = Blueprint("events", __name__)

    @routes.get("/events")
    async def events() -> Response:
        return answer(await list_events(operations.store, read_event_query(request.args)))

    @routes.get("/events/<text>")
    async def event(text: str) -> Response:
        found = await show_event(operations.store, read_event_id(text))
        return _no_event(text) if found is None else answer(found)

    @routes.post("/replay")
    async def replay() -> Response:
        event_id, targets, replay_id = _read_replay(await read_object())
        if await operations.store.event(event_id) is None:
            return _no_event(event_text(event_id))
        added = await operations.replay(event_id, targets, replay_id)
        return answer({"added": added, "replay": replay_id})

    return routes


def _no_event(text: str) -> Response:
    return refuse(404, f"there is no event {text[:40]}", "hookgate events list")


def _read_replay(body: dict[str, object]) -> tuple[int, list[str] | None, str]:
    event, targets, replay_id = body.get("event"), body.get("targets"), body.get("replay")
    if not isinstance(event, str):
        raise BadQueryError("event: expected an event id, evt_ and 16 hex digits")
    if targets is not None and not (isinstance(targets, list) and targets and all(isinstance(t, str) for t in targets)):
        raise BadQueryError("targets: expected a list of names, or null for today's routes")
    if not isinstance(replay_id, str) or not 1 <= len(replay_id) <= 64 or not replay_id.isascii():
        raise BadQueryError("replay: expected an id of 1 to 64 ASCII characters; the same id twice is one replay")
    return read_event_id(event), targets, replay_id
