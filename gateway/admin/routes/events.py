"""Events: list and show."""

from quart import Blueprint, Response, request

from gateway.admin.answers import answer, refuse
from gateway.admin.operations import Operations
from gateway.admin.queries import read_event_id, read_event_query
from gateway.admin.reading import list_events, show_event


def event_routes(operations: Operations) -> Blueprint:
    """Make /events and /events/<id>."""
    routes = Blueprint("events", __name__)

    @routes.get("/events")
    async def events() -> Response:
        return answer(await list_events(operations.store, read_event_query(request.args)))

    @routes.get("/events/<text>")
    async def event(text: str) -> Response:
        found = await show_event(operations.store, read_event_id(text))
        return _no_event(text) if found is None else answer(found)

    return routes


def _no_event(text: str) -> Response:
    return refuse(404, f"there is no event {text[:40]}", "hookgate events list")
