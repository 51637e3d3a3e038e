"""The values of a blueprint: all that a request or a delivery needs, looked up once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from gateway.blueprint.learned import Learned
from gateway.config.model import Config
from gateway.config.places import Places
from gateway.config.secrets import Secret
from gateway.core.failures import DisableRule
from gateway.core.handshake import Handshake
from gateway.core.identify import IdentifyRule, recall
from gateway.core.model import StoredEvent
from gateway.core.order import Order
from gateway.core.pace import Rate
from gateway.core.render import Renderer
from gateway.core.retry import Policy
from gateway.core.routing import Pattern, Route, Router
from gateway.plugin import KeyedVerifier, Replays, TargetKind, Verifier
from gateway.provider_api.poll_plan import PollerPlan
from gateway.provider_api.resource import Resource

OWN_SOURCE: Final = "hookgate"
"""The built-in source of the gateway's own events; an implicit route `alerts` takes them to `alerts.targets`."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A named secret of a source with its scheme and the events and versions it speaks for."""

    name: str
    scheme: str
    verifier: Verifier
    events: Pattern
    versions: Pattern
    secret_at: str = ""
    """Where its secret is ("file truora"), never the secret; empty if it has none."""
    secret_is_fixed: bool = False
    """True if a new secret needs a restart."""
    fingerprint: bytes = field(default=b"", repr=False)
    """Equal fingerprints = the same scheme, options, scope and secret; to tell a reload's differences."""
    keyed: KeyedVerifier | None = None
    """The verifier, if it asks for keys that are not in the configuration."""
    asks_certificate: bool = False
    """True: the listener's TLS must ask senders for a certificate."""
    learned: Learned | None = None
    """The verifier, if the provider says its secret at set-up."""


@dataclass(frozen=True, slots=True)
class Source:
    """A configured provider: who may speak."""

    name: str
    path: str
    provider: str
    credentials: tuple[Credential, ...]
    identify: IdentifyRule
    versions: Pattern
    """Events of other versions are accepted and held."""
    on_conflict: Literal["hold", "accept"]
    unmatched: Literal["keep", "ignore"]
    body_max: int
    """Bytes."""
    ack_status: int
    ack_body: bytes
    formerly: str | None = None
    fingerprint: str = ""
    """Equal fingerprints = nothing but perhaps a credential differs."""
    rule: Mapping[str, Any] = field(default_factory=dict)
    """What `identify` was compiled from."""
    handshakes: tuple[Handshake, ...] = ()
    methods: frozenset[str] = frozenset({"POST"})
    """What its path takes: POST, and the methods of its handshakes."""
    ack_type: str = "text/plain"
    former: tuple[IdentifyRule, ...] = ()
    """Rules that it replaced less than a de-dup window ago."""


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """A configured target: how to deliver."""

    name: str
    type: str
    kind: TargetKind[Any]
    options: Any
    renderer: Renderer
    policy: Policy
    timeout_seconds: float
    concurrency: int
    formerly: str | None
    fingerprint: str
    """Equal fingerprints = the running target object may be kept over a reload."""
    replay: Replays = "yes"
    """Whether it takes replayed events."""
    fixed_secrets: tuple[str, ...] = ()
    """Where secrets of its options are whose new value needs a restart."""
    rate: Rate | None = None
    """How many tries may begin in a second."""
    window_bytes: int = 8 * 1024 * 1024
    """Payload bytes held in memory at once."""
    disable: DisableRule | None = None
    """When so many failed that a person must look."""
    order: Order | None = None
    """What orders its deliveries; None = nothing."""
    fetch: Resource | None = None
    """What is fetched of the provider before a delivery; None = nothing."""


@dataclass(frozen=True, slots=True)
class Blueprint:
    """One configuration, whole; swapped at once by a reload."""

    config: Config
    """The typed configuration: server, store, admin and log settings."""
    places: Places
    """Where state, sockets and secrets are."""
    sources: Mapping[str, Source]
    """By name."""
    paths: Mapping[str, Source]
    """By path."""
    router: Router
    routes: Mapping[str, Route]
    """By name, the self-contained ones in their long form, and the implicit one for alerts."""
    targets: Mapping[str, TargetPlan]
    own_source: Source
    """The built-in source `hookgate`; it has no path and no credential, and stands in neither mapping."""
    digest: str
    """Of the files it came from; shown in `status` and the log."""
    pollers: Mapping[str, PollerPlan] = field(default_factory=dict)
    """By name."""
    admin_token: Secret | None = None
    """What a request to an admin listener on TCP must carry."""
    warnings: tuple[str, ...] = ()
    """What works but is probably not meant, each with its place."""

    def order_key(self, target: str, stored: StoredEvent) -> bytes | None:
        """Give the key that orders a stored event at `target`, as when it came; None if it is not ordered there.

        Of an event whose source is not configured any more nobody can tell.
        """
        plan = self.targets.get(target)
        source = self.own_source if stored.source == OWN_SOURCE else self.sources.get(stored.source)
        if plan is None or plan.order is None or source is None:
            return None
        return plan.order.key(recall(source.identify, stored))
