"""Deliveries: list, show, and send dead ones again."""

from quart import Blueprint, Response, request

from gateway.admin.answers import answer, read_object, refuse
from gateway.admin.operations import Operations, no_target
from gateway.admin.queries import BadQueryError, read_delivery_query, read_event_id
from gateway.admin.reading import list_deliveries, show_delivery
from gateway.store.contract import DeliveryQuery

ALL = 1_000_000_000


def delivery_routes(operations: Operations) -> Blueprint:
    """Make /deliveries, /deliveries/<event>/<n> and /retry."""
    routes = Blueprint("deliveries", __name__)

    @routes.get("/deliveries")
    async def deliveries() -> Response:
        query = read_delivery_query(request.args)
        found = await list_deliveries(operations.store, query)
        if query.target is not None and not found["deliveries"]:
            known = {target.name for target in (await operations.status()).targets}
            if query.target not in known:
                raise no_target(query.target, known)
        return answer(found)

    @routes.get("/deliveries/<text>/<int:n>")
    async def delivery(text: str, n: int) -> Response:
        found = await show_delivery(operations.store, read_event_id(text), n)
        if found is None:
            return refuse(404, f"there is no delivery {n} of {text}", f"hookgate events show {text}")
        return answer(found)

    @routes.post("/retry")
    async def retry() -> Response:
        return answer({"retried": await operations.retry(_read_retry(await read_object()))})

    return routes


def _read_retry(body: dict[str, object]) -> DeliveryQuery:
    """Dead deliveries of a target, of an event, or both; of everything only if it says so."""
    fields = {name: str(value) for name, value in body.items() if name in {"target", "event"} and value is not None}
    if unknown := sorted(set(body) - {"target", "event", "all"}):
        raise BadQueryError(f"unknown field {unknown[0][:40]!r}: expected target, event or all")
    if not fields and body.get("all") is not True:
        raise BadQueryError('name a target or an event, or say "all": true')
    return read_delivery_query(fields)._replace(state="dead", limit=ALL)
