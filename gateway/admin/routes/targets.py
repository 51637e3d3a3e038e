"""Targets: list, and work their gates."""

from collections.abc import Awaitable, Callable

from quart import Blueprint, Response

from gateway.admin.answers import answer, read_object, refuse
from gateway.admin.operations import Operations, no_target
from gateway.admin.queries import BadQueryError

REASON_MAX = 200


def target_routes(operations: Operations) -> Blueprint:
    """Make /targets and /targets/<name>/hold, release and enable."""
    routes = Blueprint("targets", __name__)

    @routes.get("/targets")
    async def targets() -> Response:
        return answer({"targets": (await operations.status()).targets})

    @routes.post("/targets/<name>/hold")
    async def hold(name: str) -> Response:
        return await _work(operations, name, operations.hold)

    @routes.post("/targets/<name>/release")
    async def release(name: str) -> Response:
        return await _work(operations, name, operations.release)

    @routes.post("/targets/<name>/enable")
    async def enable(name: str) -> Response:
        return await _work(operations, name, operations.enable)

    return routes


async def _work(operations: Operations, name: str, gate: Callable[[str, str], Awaitable[bool]]) -> Response:
    reason = (await read_object()).get("reason", "")
    if not isinstance(reason, str) or len(reason) > REASON_MAX:
        raise BadQueryError(f"reason: expected text of at most {REASON_MAX} characters")
    known = [target.name for target in (await operations.status()).targets]
    if name not in known:
        error = no_target(name, known)
        return refuse(404, str(error), error.remedy)
    return answer({"target": name, "changed": await gate(name, reason)})
