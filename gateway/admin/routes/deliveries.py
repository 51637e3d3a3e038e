"""Deliveries: list, show, send dead ones again, cancel what nobody wants."""

from typing import Any

from quart import Blueprint, Response, request

from gateway.admin.answers import answer, read_object, refuse
from gateway.admin.desk import DeliveryOrder, Progress
from gateway.admin.known import check_source, check_target
from gateway.admin.operations import Operations
from gateway.admin.orders import read_delivery_order, read_reason
from gateway.admin.peer import USER_HEADER, asker
from gateway.admin.queries import read_delivery_query, read_event_id
from gateway.admin.reading import list_deliveries, show_delivery
from gateway.admin.waiting import tell_waits
from gateway.core.model import event_text
from gateway.store.operator import Position


def delivery_routes(operations: Operations) -> Blueprint:
    """Make /deliveries, /deliveries/<event>/<n>, /retry and /cancel."""
    routes = Blueprint("deliveries", __name__)

    @routes.get("/deliveries")
    async def deliveries() -> Response:
        query = read_delivery_query(request.args)
        found = await list_deliveries(operations.store, query)
        if not found["deliveries"]:
            await check_target(operations, query.target)
            await check_source(operations, query.source)
        await tell_waits(operations, found["deliveries"])
        return answer(found)

    @routes.get("/deliveries/<text>/<int:n>")
    async def delivery(text: str, n: int) -> Response:
        found = await show_delivery(operations.store, read_event_id(text), n)
        if found is None:
            return refuse(404, f"there is no delivery {n} of {text}", f"hookgate events show {text}")
        await tell_waits(operations, [found])
        return answer(found)

    @routes.post("/retry")
    async def retry() -> Response:
        order = read_delivery_order(await read_object(), ("dead", "dead"))
        done = await operations.desk.retry(order, asker(request.headers.get(USER_HEADER, "")))
        await _check(operations, order, done)
        return answer(_told("selected" if order.dry_run else "retried", done))

    @routes.post("/cancel")
    async def cancel() -> Response:
        body = await read_object()
        read_reason(body)
        order = read_delivery_order(body, ("pending", "dead"))
        done = await operations.desk.cancel(order, asker(request.headers.get(USER_HEADER, "")))
        await _check(operations, order, done)
        return answer(_told("selected" if order.dry_run else "cancelled", done))

    return routes


async def _check(operations: Operations, order: DeliveryOrder, done: Progress) -> None:
    """Refuse an order that fits nothing because nobody knows its source; not half-way, when nothing may be left."""
    if order.position == Position() and done == Progress(0, None):
        await check_source(operations, order.chosen[0].source)


def _told(name: str, done: Progress) -> dict[str, Any]:
    """Give the number, and where to go on."""
    position = done.position
    return {name: done.count, "position": position and f"{event_text(position.event_id)}:{position.n}"}
