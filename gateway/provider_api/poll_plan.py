"""A configured poller: what to ask, how often, and how items become events."""

from dataclasses import dataclass

from gateway.core.identify import IdentifyRule
from gateway.core.match import Match
from gateway.core.selector import Selector
from gateway.provider_api.options import ApiOptions
from gateway.provider_api.paging import Paging


@dataclass(frozen=True, slots=True)
class PollerPlan:
    """How one list is polled."""

    name: str
    source: str
    options: ApiOptions
    paging: Paging
    rule: IdentifyRule
    holder: Selector
    """The list itself in an answer."""
    match: Match | None
    type: str | None
    version: str | None
    every_seconds: float
    grace_ms: int
    overlap_ms: int
    since_form: str
    newest_first: bool
    pages: int
    formerly: str | None
    fingerprint: str
    """Equal fingerprints = the running poller may go on over a reload."""
    fixed_secrets: tuple[str, ...] = ()
