"""The tables `[routes.*]` and `alerts`: what goes where."""

from typing import Annotated

from pydantic import AfterValidator, Field, JsonValue, WithJsonSchema

from gateway.config.model_sources import Verify
from gateway.config.secrets import SecretReference
from gateway.config.sentences import did_you_mean
from gateway.config.table import Globs, Name, Table, written
from gateway.config.units import Duration, Share, duration_between
from gateway.core.own_events import KINDS

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


def _check_kind(kind: str) -> str:
    if kind not in KINDS:
        hint = did_you_mean(kind, KINDS) or f"; known are {', '.join(KINDS)}"
        raise ValueError(f'unknown kind of own event "{kind}"{hint}')
    return kind


_Period = Annotated[Duration, duration_between("1m", "365d")]


class Refusing(Table):
    """When a source that refuses requests is told of."""

    share: Share = written("50%")
    """The share of its requests that must have been refused."""
    within: Annotated[Duration, duration_between("1m", "1d")] = written("10m")
    """The time that is looked back on."""
    at_least: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    """The fewest refused requests within that time."""


class Alerts(Table):
    """Who is told when something needs a person, and when it is told."""

    targets: TargetNames
    """Names of the targets that get the gateway's own events."""
    again: dict[Annotated[str, AfterValidator(_check_kind)], _Period] = Field(
        default={}, examples=[{"delivery.dead": "1h"}]
    )
    """For a kind of own event, the time in which one subject (a target, a type) is told once, where it differs from
    docs/own-events.md."""
    refusing: Refusing = written({})
    """When a source that refuses requests is told of."""
    unused: _Period = written("30d")
    """How long a credential may go without use, while others of its source are used, until that is told."""
    expiry: _Period = written("21d")
    """How long before its end a certificate, or a secret with `expires`, is told of, once a day."""
