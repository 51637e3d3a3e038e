"""The daemon itself: whether it lives, whether it is ready, how it is, and its reload."""

from quart import Blueprint, Response

from gateway.admin.answers import answer
from gateway.admin.operations import Operations


def daemon_routes(operations: Operations) -> Blueprint:
    """Make /health, /ready, /metrics, /status and /reload."""
    routes = Blueprint("daemon", __name__)

    @routes.get("/health")
    async def health() -> Response:
        return answer({"alive": True})

    @routes.get("/ready")
    async def ready() -> Response:
        reasons = operations.ready()
        return answer({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    @routes.get("/metrics")
    async def metrics() -> Response:
        text = await operations.render_metrics()
        return Response(text, content_type="text/plain; version=0.0.4; charset=utf-8")

    @routes.get("/status")
    async def status() -> Response:
        return answer(await operations.status())

    @routes.post("/reload")
    async def reload() -> Response:
        result = await operations.reload()
        return answer(result, 200 if result.ok else 409)

    return routes
