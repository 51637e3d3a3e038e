"""The values that travel through the ten verbs: request, event, delivery, outcome, message.

All are immutable. What is made once per request is a `NamedTuple` (a frozen dataclass costs three times as much to
make); what an operator or a plugin meets is a frozen dataclass.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import orjson

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""Name and value pairs as received, in order; names in lower case."""

Json: TypeAlias = Any
"""A parsed JSON document: dict, list, str, int, float, bool or None."""


class Request(NamedTuple):
    """One inbound HTTP message, whole and bounded, before anything in it is believed."""

    method: str
    path: str
    """The path as sent, without the query; never decoded, never a file path."""
    query: str
    headers: Headers
    body: bytes
    """The exact bytes of the body, after transfer decoding, before content decoding."""
    client: str
    """The sender's address: the peer, or what a trusted proxy says it is."""
    received_at: int
    """Milliseconds since 1970 (UTC), when the last byte arrived."""
    certificates: tuple[bytes, ...] = ()
    """What the peer showed in the TLS handshake (DER), its own first, whose key it holds; nobody has judged them. Empty
    if it showed none, or was not asked."""

    def header(self, name: bytes) -> bytes | None:
        """Give the only value of the header `name` (lower case); None if it is absent or sent more than once."""
        found = None
        for key, value in self.headers:
            if key == name:
                if found is not None:
                    return None
                found = value
        return found


class Proof(NamedTuple):
    """What a verifier learnt from a request that it found genuine."""

    claims: Json = None
    """The claims of a verified JWT, else None."""
    claims_are_payload: bool = False
    """True if the body itself was the token, so that the claims are what was sent."""
    consumed: tuple[bytes, ...] = ()
    """Names (lower case) of headers that carried a secret: they are stored nowhere."""
    consumed_query: tuple[str, ...] = ()
    """Names of query parameters that carried a secret."""


class Event(NamedTuple):
    """A verified, identified message, as `identify` gives it; immutable from here on."""

    source: str
    credential: str
    type: str
    version: str
    """Empty if the provider sends none."""
    key: bytes | None
    """16 bytes: the digest of the de-dup key within the source; None = no de-dup."""
    occurred_at: int | None
    """Milliseconds since 1970 as the provider says; None if it says nothing usable."""
    part: bytes | None
    """The event's own payload where it is not the request's body: a part of a split request, or a JWT's claims."""
    digest: bytes
    """16 bytes: the digest of the payload, without what a repeat may have otherwise: tells a repeat from a conflict."""
    body: Json
    """The parsed payload, for `match` and selectors; None if it is no JSON."""
    claims: Json
    """The verified claims of the whole request, for `claims.x` selectors; None if there are none."""
    former: tuple[tuple[bytes, bytes], ...] = ()
    """What `key` and `digest` would be by rules that the source had until lately, where they differ: only looked up."""
    mark: bytes | None = None
    """16 bytes: kept beside `key`, so that `seen_as` of another event finds this one. Needs a key."""
    seen_as: bytes | None = None
    """16 bytes: an event that has this as key or mark came before this one, whatever its payload; only looked up."""
    polled: bool = False
    """True: it was found by asking. Its repeats are no word of the provider's that what is dead be tried again."""


HoldReason: TypeAlias = Literal["unmatched", "version", "conflict", "ignored"]
"""Why an event was kept without deliveries."""

State: TypeAlias = Literal["pending", "in_flight", "delivered", "dead", "cancelled"]

UNSETTLED: Final[frozenset[State]] = frozenset({"pending", "in_flight"})


@dataclass(frozen=True, slots=True)
class Delivered:
    """The target has the message."""

    detail: str = ""
    """At most 200 characters for the operator, for example `200 in 12 ms`."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The target may take this message later; costs an attempt."""

    reason: str
    after: float | None = None
    """Seconds the target asked us to wait (Retry-After), clamped by the policy; None = the policy's own delay."""
    throttle: bool = False
    """True: the target has too much to do, with any message; it is given fewer of them for a while."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The target will never take this message: it is dead at once."""

    reason: str


@dataclass(frozen=True, slots=True)
class TargetDown:
    """The target is broken, not this message: opens its breaker, costs no attempt."""

    reason: str
    after: float | None = None
    disable: bool = False
    """True closes the target until an operator enables it again (HTTP 410)."""


@dataclass(frozen=True, slots=True)
class NotTried:
    """Our own trouble (descriptors, DNS limiter, stop): costs no attempt."""

    reason: str


Outcome: TypeAlias = Delivered | Retry | Rejected | TargetDown | NotTried


class Delivery(NamedTuple):
    """The duty "this event to this target" while this process owns it."""

    event_id: int
    n: int
    """The delivery's number within its event."""
    target: str
    route: str
    claims: int
    """The fencing token: a record with another number changes nothing."""
    attempts: int
    """Tries that cost something, so far."""
    interrupted: int
    """Claims that ended without an outcome because the process did."""
    progress: bytes | None
    """What the target wrote down at an earlier attempt (accepted recipients); opaque to all others."""
    accepted_at: int
    """Milliseconds since 1970 at which the event was accepted."""
    waited: int = 0
    """Milliseconds that its policy had it wait between tries, so far: what `give_up` counts."""
    expires_at: int | None = None
    """Milliseconds since 1970 from which on it is of no use; None: it always is."""


class StoredEvent(NamedTuple):
    """An event as the store gives it back for delivery or display."""

    id: int
    source: str
    credential: str
    type: str
    version: str
    occurred_at: int | None
    accepted_at: int
    head: bytes
    """The request's head (`encode_head`); empty once retention took it."""
    body: bytes | None
    """The request's body; None once retention took it."""
    part: bytes | None

    @property
    def payload(self) -> bytes | None:
        """The event's own part, else the request's body; None once retention took it."""
        return self.body if self.part is None else self.part


@dataclass(frozen=True, slots=True)
class Message:
    """What a target gets to deliver: one event, rendered for it. Plugins see nothing else of an event."""

    id: str
    """The event id as it goes out (`webhook-id`), the same on every attempt."""
    source: str
    type: str
    version: str
    content: bytes
    """The bytes to deliver, as the target's `send` says: payload, envelope, empty, or a rendered template."""
    content_type: str
    headers: Mapping[str, str]
    """The request's own headers without secrets; names in lower case."""
    payload: bytes
    """The event's payload, whatever `content` is."""
    target: str
    route: str
    attempt: int
    """1 for the first try."""
    occurred_at: int | None
    accepted_at: int
    progress: bytes | None = None
    save_progress: Callable[[bytes], None] = field(default=lambda _: None, repr=False, compare=False)
    """Write down what must be remembered before the next attempt; stored with this attempt's record."""
    resource: bytes | None = None
    """What was fetched of the provider for this event, as JSON; None if the target fetches nothing for it."""

    read_fields: Callable[[], Mapping[str, Json]] = field(default=dict, repr=False, compare=False)
    """Gives `fields`; the gateway gives one only where the target's configuration names a field."""

    @property
    def fields(self) -> Mapping[str, Json]:
        """What the source's `identify.fields` name and the event has, if the target's configuration names any."""
        return self.read_fields()

    @property
    def fetched(self) -> Json:
        """The resource, parsed anew at each look; None if there is none."""
        return None if self.resource is None else orjson.loads(self.resource)

    @property
    def data(self) -> Json:
        """The payload, parsed anew at each look. Raises ValueError if it is no JSON."""
        return orjson.loads(self.payload)


def event_text(event_id: int) -> str:
    """Write an event id as it goes out: `evt_` and 16 hex digits. Sorts by acceptance, holds no dot."""
    return f"evt_{event_id:016x}"


def event_number(text: str) -> int:
    """Read an event id as people paste it. Raises ValueError for anything that `event_text` did not write."""
    digits = text.removeprefix("evt_")
    if len(digits) != 16 or digits[0] > "7" or not set(digits) <= set("0123456789abcdef"):
        raise ValueError(f"{text[:40]!r} is no event id: expected evt_ and 16 hex digits")
    return int(digits, 16)
