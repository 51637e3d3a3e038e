"""The tables `[sources.*]`: who may speak, how it is proven, and how what it says is identified."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, WithJsonSchema

from gateway.config.secrets import SecretReference
from gateway.config.table import Globs, Name, Table, written
from gateway.config.units import ByteCount, size_between

_SELECTOR = {"type": "string", "examples": ["body.id", "header.x-request-id", "claims.events[]"]}

Selector = Annotated[Any, WithJsonSchema(_SELECTOR)]
"""A selector; read by `gateway.core.identify_reader`, which tells what is wrong with it."""

Selectors = Annotated[Any, WithJsonSchema({"anyOf": [_SELECTOR, {"type": "array", "items": _SELECTOR}]})]
"""A selector or a list of them."""


def _check_path(path: str) -> str:
    unreserved = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/")
    if not path.startswith("/") or not set(path) <= unreserved or not 1 < len(path) <= 256 or "//" in path:
        raise ValueError(
            f'expected a path such as "/hooks/acme" of letters, digits, "-._~" and "/", found "{path[:80]}"'
        )
    return path


class Verify(Table):
    """How a request is proven genuine: the scheme and its options. What is not written comes from the preset."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"x-options": "verifiers"})
    __pydantic_extra__: dict[str, JsonValue]

    scheme: str | None = Field(default=None, examples=["hmac", "token", "jwt", "basic", "none"])
    """The verification scheme; the preset's unless written."""
    all_of: tuple[dict[str, JsonValue], ...] = Field(
        default=(),
        examples=[[{"scheme": "hmac", "header": "X-Signature"}, {"scheme": "ip", "ranges": ["203.0.113.0/24"]}]],
    )
    """Instead of a scheme: tables of schemes which all must prove a request, each with its own `secret` or the
    credential's."""
    any_of: tuple[dict[str, JsonValue], ...] = ()
    """Instead of a scheme: tables of schemes of which one must."""


class Identify(Table):
    """How a verified request becomes events. What is not written comes from the preset, key by key."""

    format: Literal["json", "xml"] = "json"
    """How the body is read: as JSON (and forms by their Content-Type), or as XML. Of XML an element is its text, or a
    table of its children by name, attributes as `@name` and text beside them as `#text`; prefixes are left out."""
    lists: tuple[str, ...] = Field(default=(), examples=[["Notification"]])
    """Names of XML elements that are lists even where there is one: what stands there several times always is."""
    json_texts: tuple[str, ...] = Field(default=(), examples=[["mandrill_events"]])
    """Names of fields of the body whose text is JSON, as in a form: rules and routes see what it holds."""
    type: Selectors = None
    """The type: a selector, a template as `{body.event_type}.{body.event_action}`, or a list of them: the first that
    finds one counts. Finds nothing: `unknown`."""
    type_where: dict[str, str] = Field(default={}, examples=[{"body.callback_query": "callback_query"}])
    """Selectors and types: where `type` finds none, the first selector that finds something gives the type."""
    version: Selector = None
    """Selector of the version; read before anything else."""
    id: Selectors = None
    """Selector (or list) of the provider's own id of the event: its de-dup key. Finds nothing: no de-dup."""
    key: Selectors = None
    """Selectors that together tell one event from another, where there is no id. None found: no de-dup."""
    occurred_at: Selectors = None
    """Selector of the time at which it happened, or a list of which the first that finds one counts; one that cannot be
    read counts as none."""
    occurrence: Selectors = None
    """Selector or list of selectors of what is the same in a webhook and in a poller's item about the same thing, and
    differs from one occurrence to the next; counts only where a poller of `[pollers.*]` names the source."""
    repeats_differ_in: Selectors = Field(default=None, examples=[["body.meta.attempt"]])
    """Selectors of what the provider writes anew into each repeat, such as a count of its tries: left out when an event
    is compared with an earlier one of the same key. What else differs makes it a conflict."""
    split: Selector = None
    """Selector ending in `[]`: each item becomes an event of its own; `body.*` then means the item."""
    split_content_type: str = Field(default="", examples=["application/cloudevents-batch+json"])
    """The only Content-Type whose bodies are split, for a provider that sends both batches and single events."""
    unwrap: Selector = None
    """Selector of a text of the body that is the event's own payload: routes and targets see what it holds, the other
    rules here the body as it was sent. Finds nothing: the event is as it was sent."""
    unwrap_encoding: Literal["text", "base64"] = "text"
    """How that text is written."""
    fields: dict[str, Selectors] = Field(
        default={}, examples=[{"state": "body.data.state", "subject": ["body.data.order_id", "body.data.request_id"]}]
    )
    """Names for what events of this source have: `event.state` in `match`, `order_by`, templates and texts of targets.
    Of a list the first that finds something counts. Read of what routes see."""
    type_aliases: dict[str, str] = Field(default={}, examples=[{"DigitalIdentity.*": "digital_identity.*"}])
    """Types as sent and as meant; one `*` on both sides stands for the same text."""
    aliases: dict[str, dict[str, str]] = Field(
        default={}, examples=[{"body.data.state": {"action-requred": "action-required"}}]
    )
    """For a selector, values as sent and as meant; rules see the meaning, targets get what was sent."""
    versions: dict[str, dict[str, JsonValue]] = Field(default={}, examples=[{"1.*": {"type": "body.kind"}}])
    """For a glob of versions, what is different there."""


class Dedup(Table):
    """What makes two requests the same event."""

    key: Selectors
    """Selector or list of selectors, in place of the preset's; keys are known for `[store] keep.keys`.

    After a change of the rule, a repeat with the same payload is still found by the rules before, for as long.
    """


class Ack(Table):
    """The answer to a request that was accepted."""

    status: Annotated[int, Field(ge=200, le=299)] | None = None
    """Status code; the preset's, else 200."""
    body: Annotated[str, Field(max_length=4096)] | None = None
    """The body; the preset's, else empty."""


class Credential(Table):
    """A named secret of a source, and the events and versions that it speaks for."""

    secret: SecretReference | None = None
    """Where the secret is; every scheme but `none` needs one."""
    learned: bool = False
    """True: the provider says the secret at set-up, after `hookgate sources learn`; it is kept in the state folder, in
    the place of `secret`."""
    event: Globs = ("*",)
    """Types of events it speaks for; others are refused."""
    version: Globs = ("*",)
    """Versions it speaks for."""
    verify: Verify | None = None
    """Scheme and options of this credential, over those of the source."""


class SourceHandshake(Table):
    """What the provider's question at set-up must hold, where the preset asks for it (Meta: the verify token)."""

    secret: SecretReference
    """The text that was entered at the provider."""


class Source(Table):
    """A configured provider: who may speak."""

    provider: str = Field(examples=["truework", "generic"])
    """Name of the preset that says how to verify and identify; "generic" assumes nothing."""
    path: Annotated[str, AfterValidator(_check_path)] | None = Field(default=None, examples=["/hooks/acme"])
    """Where the provider posts to; `/hooks/` and the source's name unless written."""
    version: Globs = ("*",)
    """Versions that are expected; events of others are accepted, held and told."""
    verify: Verify = written({})
    """Scheme and options for all credentials."""
    credentials: dict[Name, Credential] = written({})
    """By name; several for several subscriptions or while a secret is changed."""
    identify: Identify = Identify()
    """How requests become events."""
    dedup: Dedup | None = None
    """The de-dup key."""
    on_conflict: Literal["hold", "accept"] = "hold"
    """What becomes of an event with a known key and another payload: kept without deliveries, or delivered."""
    unmatched: Literal["keep", "ignore"] = "keep"
    """What becomes of an event that no route takes: kept and told once a day, or kept silently."""
    formerly: Name | None = None
    """The source's name before; its de-dup keys stay known."""
    body: Annotated[ByteCount, size_between("1KiB", "64MiB")] | None = None
    """Bytes of one body; `[server] limits.body` unless written."""
    ack: Ack = Ack()
    """The answer to what was accepted."""
    handshake: SourceHandshake | None = None
    """The secret of the provider's question at set-up."""
