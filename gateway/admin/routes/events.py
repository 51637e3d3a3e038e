"""Events: list and show."""

from quart import Blueprint, Response, request

from gateway.admin.answers import answer, refuse
from gateway.admin.known import check_source
from gateway.admin.operations import Operations
from gateway.admin.queries import read_event_id, read_event_query
from gateway.admin.reading import list_events, show_event
from gateway.admin.waiting import tell_waits


def event_routes(operations: Operations) -> Blueprint:
    """Make /events and /events/<id>."""
    routes = Blueprint("events", __name__)

    @routes.get("/events")
    async def events() -> Response:
        query = read_event_query(request.args)
        found = await list_events(operations.store, query)
        if not found["events"]:
            await check_source(operations, query.source)
        return answer(found)

    @routes.get("/events/<text>")
    async def event(text: str) -> Response:
        event_id = read_event_id(text)
        found = await show_event(operations.store, event_id)
        if found is None:
            return _no_event(text)
        if found["hold"] in {"unmatched", "ignored"} and not found["deliveries"]:
            found["unmet"] = [miss._asdict() for miss in await operations.misses(event_id)]
        found["fields"] = await operations.fields(event_id)
        await tell_waits(operations, found["deliveries"])
        return answer(found)

    return routes


def _no_event(text: str) -> Response:
    return refuse(404, f"there is no event {text[:40]}", "hookgate events list")
