"""The admin API as a Quart application: the keeper before every route, JSON for every error, no caching.

Works on every pinned pair of quart and quart-trio by their public API only. It starts nothing: `gateway.admin.guard`
serves it.
"""

from collections.abc import Iterable

import structlog
from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from gateway.admin.answers import refuse
from gateway.admin.keeper import Keeper
from gateway.admin.operations import NotPossibleError, Operations
from gateway.admin.queries import BadQueryError
from gateway.admin.routes.daemon import daemon_routes
from gateway.admin.routes.deliveries import delivery_routes
from gateway.admin.routes.events import event_routes
from gateway.admin.routes.replays import replay_routes
from gateway.admin.routes.sources import source_routes
from gateway.admin.routes.targets import target_routes
from gateway.errors import StoppingError, StoreError
from gateway.runtime import Runtime

log = structlog.get_logger()

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def make_app(operations: Operations, token: bytes | None, runtime: Runtime) -> QuartTrio:
    """Make the application; `token` is the bearer token for TCP, None = nothing is answered on TCP."""
    app = QuartTrio(__name__, static_folder=None)
    keeper = Keeper(token, runtime.monotonic)

    @app.before_request
    async def keep() -> Response | None:
        client = request.scope.get("client")
        denied = keeper.refusal(client[0] if client else None, request.method, _join(request.scope["headers"]))
        return refuse(*denied) if denied else None

    @app.after_request
    async def harden(response: Response) -> Response:
        response.headers.update(HEADERS)
        if response.status_code == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    for make_routes in (daemon_routes, event_routes, delivery_routes, replay_routes, source_routes, target_routes):
        app.register_blueprint(make_routes(operations))
    _answer_errors(app)
    return app


def _join(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Give headers by lower-case name as they came, not as Quart completes them; one sent twice has both values."""
    joined: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        joined[key] = f"{joined[key]}, {text}" if key in joined else text
    return joined


def _answer_errors(app: QuartTrio) -> None:
    @app.errorhandler(HTTPException)
    async def of_http(error: HTTPException) -> Response:
        return refuse(error.code or 500, error.name.lower(), "hookgate --help")

    @app.errorhandler(BadQueryError)
    async def of_query(error: BadQueryError) -> Response:
        verb = request.path.split("/")[1]  # one of ours: nothing else asks for fields
        return refuse(400, str(error)[:500], f"hookgate {verb} --help")

    @app.errorhandler(NotPossibleError)
    async def of_operation(error: NotPossibleError) -> Response:
        return refuse(409, str(error), error.remedy)

    @app.errorhandler(StoppingError)
    async def of_stop(error: StoppingError) -> Response:
        return refuse(503, str(error), "hookgate status")

    @app.errorhandler(StoreError)
    async def of_store(error: StoreError) -> Response:
        return refuse(503, f"the store cannot do this now: {error}", "hookgate status")

    @app.errorhandler(Exception)
    async def of_ours(error: Exception) -> Response:
        log.error("connection.failed", problem=f"admin API: {error!r}", exc_info=error)
        return refuse(500, "our own code failed; the log says how", "journalctl -u hookgate")
