"""Replays: begin, list, show, cancel; and the audit of what was done by hand."""

from quart import Blueprint, Response, request

from gateway.admin.answers import answer, read_object
from gateway.admin.known import check_source
from gateway.admin.operations import Operations
from gateway.admin.orders import read_count_position, read_reason, read_replay, read_replay_id
from gateway.admin.peer import USER_HEADER, asker
from gateway.admin.queries import read_audit_query
from gateway.admin.reading import REPLAYS_MAX, list_audit, show_replay
from gateway.blueprint import OWN_SOURCE
from gateway.core.model import event_text


def replay_routes(operations: Operations) -> Blueprint:
    """Make /replay, /replays, /replays/<id>, /replays/<id>/cancel and /audit."""
    routes = Blueprint("replays", __name__)

    @routes.post("/replay")
    async def replay() -> Response:
        body = await read_object()
        plan = read_replay(body, OWN_SOURCE)
        if body.get("dry_run") is True:
            after = read_count_position(body)
            found = await operations.desk.count_events(plan.chosen, after)
            if not after and not found.count and found.position is None:
                await check_source(operations, plan.chosen.source)
            position = None if found.position is None else event_text(found.position)
            return answer({"selected": found.count, "position": position})
        return answer(
            show_replay(
                await operations.desk.replay(
                    read_replay_id(body.get("id")), plan, asker(request.headers.get(USER_HEADER, ""))
                )
            )
        )

    @routes.get("/replays")
    async def replays() -> Response:
        return answer({"replays": [show_replay(each) for each in await operations.desk.replays(REPLAYS_MAX)]})

    @routes.get("/replays/<text>")
    async def one(text: str) -> Response:
        return answer(show_replay(await operations.desk.find_replay(read_replay_id(text))))

    @routes.post("/replays/<text>/cancel")
    async def cancel(text: str) -> Response:
        reason = read_reason(await read_object())
        return answer(
            show_replay(
                await operations.desk.cancel_replay(
                    read_replay_id(text), reason, asker(request.headers.get(USER_HEADER, ""))
                )
            )
        )

    @routes.get("/audit")
    async def audit() -> Response:
        return answer(await list_audit(operations.store, *read_audit_query(request.args)))

    return routes
