"""JSON in and out of the admin API: every answer of success is an object, every error is {"error": …, "next": …}."""

from typing import Any

import orjson
from quart import Response, request

from gateway.admin.queries import BadQueryError


def answer(data: Any, status: int = 200) -> Response:  # noqa: ANN401 - whatever orjson writes, dataclasses too
    """Write `data` as JSON."""
    return Response(orjson.dumps(data), status, content_type="application/json")


def refuse(status: int, error: str, remedy: str) -> Response:
    """Write an error, with what to do next."""
    return answer({"error": error, "next": remedy}, status)


async def read_object() -> dict[str, Any]:
    """Give the request's JSON object; an empty body counts as {}. Raises BadQueryError."""
    body = await request.get_data()
    try:
        found = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise BadQueryError(f"the body is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise BadQueryError(f"the body must be a JSON object, found {type(found).__name__}")
    return found
