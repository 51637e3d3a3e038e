"""The tables `[targets.*]` and `[policies.*]`: how a delivery is made, and how often it is tried."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, JsonValue, Tag

from gateway.config.table import Name, Table, written
from gateway.config.units import ByteCount, Duration, PerSecond, Share, duration_between, size_between

_Delay = Annotated[Duration, duration_between("1s", "30d")]


def _jitter_form(value: Any) -> str:  # noqa: ANN401 - whatever the operator wrote
    return "<text>" if isinstance(value, str) else "<number>"


_Jitter = Annotated[
    Annotated[float, Field(ge=0, le=1), Tag("<number>")] | Annotated[Literal["full"], Tag("<text>")],
    Discriminator(_jitter_form),
]


class Policy(Table):
    """When a failed delivery is tried again: by a list of `delays`, or growing from `first` by `factor`.

    With neither it is the policy "default" but for what is written.
    """

    delays: Annotated[tuple[_Delay, ...], Field(min_length=1, max_length=100)] | None = Field(
        default=None, examples=[["30s", "2m", "8m", "32m", "2h"]]
    )
    """Waits before the second try, the third, and so on."""
    then: _Delay | None = Field(default=None, examples=["6h"])
    """With `delays`: the wait between all further tries; without it the last of the list is the last try."""
    first: _Delay | None = Field(default=None, examples=["30s"])
    """Without `delays`: the wait before the second try."""
    factor: Annotated[float, Field(ge=1, le=100)] | None = Field(default=None, examples=[2.0])
    """With `first`: each wait is this many times the one before."""
    max: _Delay | None = Field(default=None, examples=["6h"])
    """With `first`: the longest wait."""
    attempts: Annotated[int, Field(ge=1, le=10_000)] | None = Field(default=None, examples=[20])
    """Tries in all, the first one included, after which the delivery is dead."""
    give_up: Annotated[Duration, duration_between("1m", "365d")] | None = Field(default=None, examples=["3d"])
    """How long the delivery may wait between its tries, all waits together, until it is dead. Time behind a closed
    gate (breaker, hold, disabled or missing target, restored store) does not count."""
    jitter: _Jitter | None = Field(default=None, examples=[0.1, "full"])
    """So that tries do not come in waves, each wait grows at random by up to this part of it; or it is at random
    anything from 1 s up to its length: "full"."""
    pause: Annotated[Duration, duration_between("0s", "24h")] | None = Field(default=None, examples=["1h"])
    """How long a target that has too much to do and asks for time (429, 502, 503 or 504 with Retry-After of 5 s or
    more) is left alone as a whole, at most: its other deliveries wait, too, and spend no attempt. "5m" unless written;
    "0s": only the delivery that was answered so waits."""
    expires: Annotated[Duration, duration_between("1s", "365d")] | None = Field(default=None, examples=["10m"])
    """How long after the event came (or its replay was asked for) the delivery is of use, wherever it waits, also
    behind a closed gate; then it is cancelled."""


class SendTemplate(Table):
    """A message written by a template of your own."""

    template: str = Field(min_length=1, examples=["crm.j2"])
    """A minijinja file, relative to the configuration file."""
    content_type: str = "application/json"
    """The Content-Type of what it writes."""


class SendTransform(Table):
    """A message written by a transform plugin. Besides these keys it takes the options of the transform."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"x-options": "transforms"})
    __pydantic_extra__: dict[str, JsonValue]

    transform: str = Field(min_length=1, examples=["flatten"])
    """The transform's name: an installed one, or a file in the plugins folder."""


def _form(value: Any) -> str:  # noqa: ANN401 - whatever the operator wrote
    return "<table>" if isinstance(value, (dict, Table)) else "<text>"


def _send_form(value: Any) -> str:  # noqa: ANN401 - whatever the operator wrote
    if isinstance(value, SendTransform) or (isinstance(value, dict) and "transform" in value):
        return "<transform>"
    return _form(value)


Send = Annotated[
    Annotated[Literal["payload", "request", "envelope", "empty"], Tag("<text>")]
    | Annotated[SendTemplate, Tag("<table>")]
    | Annotated[SendTransform, Tag("<transform>")],
    Discriminator(_send_form),
]
Retry = Annotated[Annotated[Name, Tag("<text>")] | Annotated[Policy, Tag("<table>")], Discriminator(_form)]


class Disable(Table):
    """When a target that fails is closed until somebody opens it: `hookgate targets enable`. Its deliveries wait."""

    failures: Share = Field(examples=["80%"])
    """Of what was due to be delivered within that time, the share that must have failed."""
    within: Annotated[Duration, duration_between("1m", "7d")] = Field(examples=["60m"])
    """The time that is looked back on."""
    at_least: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    """The fewest deliveries within that time by which a target is judged."""


class Target(Table):
    """A configured place to deliver to. Besides these keys it takes the options of its kind."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"x-options": "targets"})
    __pydantic_extra__: dict[str, JsonValue]

    type: str = Field(examples=["http", "file", "shell"])
    """The kind of target."""
    send: Send | None = None
    """What is sent: the event's payload, the whole request, an envelope around the payload, nothing, or what a template
    or a transform writes. Each kind has its own default."""
    retry: Retry = "default"
    """When a failed delivery is tried again: the name of a policy ("default", "truora", "truework", or one of
    `[policies.*]`), or a policy."""
    timeout: Annotated[Duration, duration_between("100ms", "10m")] | None = None
    """How long one try may take; each kind has its own default."""
    concurrency: Annotated[int, Field(ge=1, le=256)] | None = None
    """Deliveries at the same time; each kind has its own default."""
    rate: PerSecond | None = Field(default=None, examples=["50/s"])
    """How many deliveries may begin in a second, minute or hour; without it, as many as the target takes."""
    burst: Annotated[int, Field(ge=1, le=100_000)] | None = Field(default=None, examples=[10])
    """With `rate`: how many may begin at once after a pause; a tenth of a second's worth unless written, at least 1."""
    window: Annotated[ByteCount, size_between("64KiB", "1GiB")] = written("8MiB")
    """Payload bytes in flight: what is held in memory for this target at once, written as "16MiB"; a larger single
    payload goes alone."""
    disable: Disable | None = None
    """When the target is closed until somebody enables it; without it only an HTTP 410 does that."""
    isolation: Literal["worker", "inline"] = "worker"
    """Where a plugin runs, as target or transform: in a process of its own, or inside the gateway, which it can then
    harm. What the gateway brings along always runs inside."""
    order_by: str | None = Field(default=None, min_length=1, examples=["body.data.order_id"])
    """What orders events: those with the same value here are delivered one after the other, in order of acceptance,
    each only once the one before is settled. Values are compared within their source. An event without it is not
    ordered."""
    on_dead: Literal["block", "skip"] | None = None
    """With `order_by`: whether a dead delivery stops what comes after it with the same value until it is retried or
    cancelled ("block"), or the next one goes ("skip"). The default is "block", with `keep = "latest"` "skip"."""
    keep: Literal["all", "latest"] = "all"
    """With `order_by`: "latest" delivers of what waits only the newest with the same value and cancels the older ones,
    also those that wait for another try; one that is being delivered is left alone."""
    replay: Literal["yes", "ask", "never"] | None = None
    """Whether `hookgate replay` may send events here again: "yes"; "ask": only if the command names the target; or
    "never". Default: "ask" for email and shell, else "yes". A retry of what is dead is no replay."""
    fetch: dict[str, JsonValue] | None = Field(default=None, json_schema_extra={"x-options": "fetch"})
    """A resource of the provider to get before each delivery; it goes beside the payload: as `fetched` in an envelope,
    a template, and a plugin's message."""
    formerly: Name | None = None
    """The target's name before; what waited for that name is delivered here."""
