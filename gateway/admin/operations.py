"""What the daemon offers to the admin API: one Protocol and the values it gives. Implemented by `gateway.daemon`.

All values are ready for JSON: times are milliseconds since 1970 (UTC), names are the configuration's, nothing holds a
secret, a header or a payload.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.admin.desk import Asker, Desk
from gateway.config.sentences import did_you_mean
from gateway.core.model import Json
from gateway.core.routing import Miss
from gateway.errors import HookgateError
from gateway.store.contract import GateKind, Store


class NotPossibleError(HookgateError):
    """What was asked cannot be done now; `remedy` is the command, or the change, that helps."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


def no_source(name: str, known: Iterable[str]) -> NotPossibleError:
    """Make the error for a source that nobody knows, with the nearest name, or those there are."""
    names = sorted(known)
    hint = did_you_mean(name, names) or f"; known: {', '.join(names) or 'none'}"
    return NotPossibleError(f"there is no source {name[:64]!r}{hint}", "hookgate sources list")


def no_target(name: str, known: Iterable[str]) -> NotPossibleError:
    """Make the error for a target that nobody knows, with the nearest name, or those there are."""
    names = sorted(known)
    hint = did_you_mean(name, names) or f"; known: {', '.join(names) or 'none'}"
    return NotPossibleError(f"there is no target {name[:64]!r}{hint}", "hookgate targets list")


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """What a reload did: the new configuration is live (`ok`), or the old one stays and `problems` says why."""

    ok: bool
    at: int
    changes: Sequence[str] = ()
    """One line each; what needs a restart says so."""
    problems: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class IngressStatus:
    """How receiving goes, over all sources, since the start."""

    listeners: Sequence[str]
    connections: int
    answered: int
    """Requests answered 2xx."""
    duplicates: int
    conflicts: int
    refused: Mapping[str, int]
    """Requests by reason."""
    last_accepted_at: int | None
    held: Mapping[str, int] = field(default_factory=dict)
    """New events kept without deliveries, by hold reason."""


@dataclass(frozen=True, slots=True)
class RefusalStatus:
    """The newest refused request of one source and reason."""

    at: int
    source: str
    client: str
    status: int
    reason: str
    detail: str
    count: int = 1
    """How many of that source and reason there were."""


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """How the store is."""

    path: str
    """Of its main file, from the root on."""
    accepting: bool
    reason: str
    commit_age_seconds: float
    """Since the last durable commit."""
    queued: int
    queued_bytes: int
    free_bytes: int
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class LearningStatus:
    """A credential whose secret the provider says at set-up."""

    known: bool
    """True once it has said it."""
    open_seconds: float
    """For so long the next one to say a secret is believed; 0: nobody is."""
    file: str
    """Where the secret is kept: a path, never the secret."""


@dataclass(frozen=True, slots=True)
class CredentialStatus:
    """A credential and how often it proved a request since the start: never the secret."""

    name: str
    scheme: str
    used: int
    used_alone: int
    """Requests that no other credential proved: while this grows, it must not be removed."""
    learning: LearningStatus | None = None
    """None: its secret is in the configuration."""


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """One source since the start."""

    name: str
    provider: str
    path: str
    last_event_at: int | None
    """None: there was none since the start."""
    answered: int
    duplicates: int
    conflicts: int
    refused: Mapping[str, int]
    credentials: Sequence[CredentialStatus]


@dataclass(frozen=True, slots=True)
class GateStatus:
    """A closed gate."""

    kind: GateKind
    reason: str
    since: int
    until: int | None


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """One target, also one that only the store still knows."""

    name: str
    type: str
    """Empty if the configuration does not name it."""
    gates: Sequence[GateStatus]
    pending: int
    in_flight: int
    dead: int
    oldest_due: int | None
    """When the oldest waiting delivery became, or becomes, due."""
    last_error: str
    last_error_at: int | None
    last_delivered_at: int | None
    """None, as for `last_error_at`: there was none since the start."""
    next_step: str
    """A command, or a few words; empty if nothing needs to be done."""
    slow_start: bool = False
    """True while it gets little at a time: a gate opened, or it said that it has too much to do."""
    behind: int = 0
    """Of `pending`: those that wait for another of their order key."""
    blocks: bool = False
    """True if each dead delivery stops its order key."""
    gathers_seconds: float | None = None
    """From when the oldest was due it waits so long for more; None: it takes what there is."""


@dataclass(frozen=True, slots=True)
class PollerStatus:
    """One poller. Times are milliseconds since 1970."""

    name: str
    source: str
    asked_at: int | None
    cursor: int | None
    """When the newest event that it knows of happened."""
    missed: int
    """Events since the start whose webhook never came."""
    failures: int
    """How many polls in a row failed."""
    problem: str
    """Why the last one did; empty = it did not."""


@dataclass(frozen=True, slots=True)
class Status:
    """All that `hookgate status` shows."""

    at: int
    version: str
    pid: int
    started_at: int
    config_path: str
    config_digest: str
    last_reload: ReloadResult | None
    not_ready: Sequence[str]
    """Why new events are not accepted; empty = ready."""
    ingress: IngressStatus
    store: StoreStatus
    sources: Sequence[SourceStatus] = field(default=())
    targets: Sequence[TargetStatus] = field(default=())
    pollers: Sequence[PollerStatus] = field(default=())
    refusals: Sequence[RefusalStatus] = field(default=())
    """The newest, newest first; at most 10."""


class Operations(Protocol):
    """What may be asked of a running daemon. A cancelled caller stops waiting; what it began is carried out whole."""

    @property
    def store(self) -> Store:
        """The open store, for reading."""
        ...

    @property
    def desk(self) -> Desk:
        """Where an operator's orders are taken."""
        ...

    async def status(self) -> Status:
        """Give the whole picture, from memory."""
        ...

    def ready(self) -> list[str]:
        """Tell what is wrong; empty = the store accepts, a commit ended within 10 s, nothing due is overlooked."""
        ...

    async def reload(self) -> ReloadResult:
        """Build the configuration anew and go over to it, or keep the old one and say why."""
        ...

    async def misses(self, event_id: int) -> list[Miss]:
        """Tell why today's routes do not take a stored event; empty if none is for its type."""
        ...

    async def fields(self, event_id: int) -> dict[str, Json]:
        """Give what `event.NAME` stands for in a stored event, by the fields of its source."""
        ...

    async def learn(self, source: str, credential: str, seconds: float, asker: Asker) -> LearningStatus:
        """Let a credential learn one secret within `seconds`; raises NotPossibleError if it is none that learns."""
        ...

    async def hold(self, target: str, reason: str) -> bool:
        """Close the operator's gate on a target; False if it was closed."""
        ...

    async def release(self, target: str, reason: str) -> bool:
        """Open the operator's gate, and that of a restored backup; False if neither was closed."""
        ...

    async def enable(self, target: str, reason: str) -> bool:
        """Open the gates that the daemon closed (disabled, breaker); False if none was closed."""
        ...

    async def render_metrics(self) -> bytes:
        """Give the Prometheus text; rendered outside the trio thread."""
        ...
