"""Configuration and plugins, checked and compiled into one immutable value: all that a request or a delivery needs, looked up once.

`build` turns a loaded configuration into a `Blueprint`, or raises ConfigError with every problem. It starts nothing and
opens nothing: `hookgate check` builds one and throws it away; a reload builds one beside the running one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from gateway.core.identify import IdentifyRule
from gateway.core.render import Renderer
from gateway.core.retry import Policy
from gateway.core.routing import Pattern, Router
from gateway.plugin import TargetKind, Verifier


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


@dataclass(frozen=True, slots=True)
class Blueprint:
    """One configuration, whole; swapped at once by a reload."""

    config: Any
    """The typed configuration (`gateway.config.model.Config`): server, store, admin and log settings."""
    sources: Mapping[str, Source]
    """By name."""
    paths: Mapping[str, Source]
    """By path."""
    router: Router
    targets: Mapping[str, TargetPlan]
    own_source: Source
    """The built-in source `hookgate`; it has no path and no credential, and stands in neither mapping."""
    digest: str
    """Of the files it came from; shown in `status` and the log."""
