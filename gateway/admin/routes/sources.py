"""Sources: list, and let a credential learn the secret that its provider says at set-up.

No answer holds the secret.
"""

from quart import Blueprint, Response, request

from gateway.admin.answers import answer, read_object, refuse
from gateway.admin.operations import Operations, no_source
from gateway.admin.peer import USER_HEADER, asker
from gateway.admin.queries import BadQueryError

LEARN_SECONDS = 900
LEARN_SECONDS_MAX = 86_400
_FIELDS = ("credential", "seconds")


def source_routes(operations: Operations) -> Blueprint:
    """Make /sources and /sources/<name>/learn."""
    routes = Blueprint("sources", __name__)

    @routes.get("/sources")
    async def sources() -> Response:
        return answer({"sources": (await operations.status()).sources})

    @routes.post("/sources/<name>/learn")
    async def learn(name: str) -> Response:
        body = await read_object()
        if unknown := sorted(set(body) - set(_FIELDS)):
            raise BadQueryError(f"unknown field {unknown[0][:40]!r}: expected one of {', '.join(_FIELDS)}")
        credential, seconds = body.get("credential") or "", body.get("seconds", LEARN_SECONDS)
        if not isinstance(credential, str):
            raise BadQueryError("credential: expected its name")
        if type(seconds) not in (int, float) or not 1 <= seconds <= LEARN_SECONDS_MAX:
            raise BadQueryError(f"seconds: expected a number from 1 to {LEARN_SECONDS_MAX}")
        known = [each.name for each in (await operations.status()).sources]
        if name not in known:
            error = no_source(name, known)
            return refuse(404, str(error), error.remedy)
        asked = asker(request.headers.get(USER_HEADER, ""))
        return answer({"source": name, "learning": await operations.learn(name, credential, float(seconds), asked)})

    return routes
