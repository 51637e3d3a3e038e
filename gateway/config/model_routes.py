"""The tables `[routes.*]` and `alerts`: what goes where."""

from typing import Annotated

from pydantic import Field, JsonValue, WithJsonSchema

from gateway.config.model_sources import Verify
from gateway.config.secrets import SecretReference
from gateway.config.table import Globs, Name, Table

_MATCH = {
    "type": "object",
    "minProperties": 1,
    "examples": [{"body.data.state": ["completed", "canceled"], "header.x-env": {"not": "test"}}],
}

Conditions = Annotated[dict[str, JsonValue], WithJsonSchema(_MATCH)]
"""A `match` table; read by `gateway.core.match_table`, which tells what is wrong with it."""

TargetNames = Annotated[tuple[Name, ...], Field(min_length=1)]


class RouteVerify(Verify):
    """How a self-contained route proves its requests: the secret, and what differs from the preset."""

    secret: SecretReference | None = None
    """Where the secret is; every scheme but `none` needs one."""


class Route(Table):
    """Which events go to which targets. Names a `source`, or says it all by itself with `provider` and `verify`."""

    source: Name | None = None
    """The source whose events are meant; "hookgate" for the gateway's own."""
    provider: str | None = Field(default=None, examples=["truora"])
    """In place of `source`: the provider. Stands for a source of that name with a credential of this route's name and
    scope."""
    verify: RouteVerify | None = None
    """With `provider`: secret and scheme."""
    event: Globs = ("*",)
    """Types of events that it takes."""
    version: Globs = ("*",)
    """Versions that it takes."""
    match: Conditions | None = None
    """Conditions on the event's values: selector = value, list of values, or table of operators (eq, not, in, glob,
    regex, gt, gte, lt, lte, exists, contains); `any_of`, `all_of` and `none_of` take lists of such tables."""
    targets: TargetNames
    """Names of the targets that get the event, each once."""


class Alerts(Table):
    """Who is told when something needs a person."""

    targets: TargetNames
    """Names of the targets that get the gateway's own events."""
