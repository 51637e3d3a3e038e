"""The kinds of the gateway's own events: what each says, and how often one subject is told.

docs/own-events.md is this table for people; a test compares them. Pure.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86_400.0


class Kind(NamedTuple):
    """One kind of own event."""

    fields: tuple[str, ...]
    """What its `data` holds."""
    again: float
    """Seconds in which one subject is told once; `alerts.again` says otherwise."""
    topic: str = ""
    """Kinds of one topic tell its state: of a subject whose state was last told otherwise, the newest is told once it
    may be. Empty: what comes too early is only counted."""


KINDS: Final[Mapping[str, Kind]] = {
    "target.down": Kind(("target", "reason"), 10 * MINUTE, "target"),
    "target.disabled": Kind(("target", "reason"), 10 * MINUTE, "target"),
    "target.up": Kind(("target", "reason"), 10 * MINUTE, "target"),
    "delivery.dead": Kind(("target", "source", "type", "event_id", "reason"), 10 * MINUTE),
    "source.refusing": Kind(("source", "refused", "requests", "seconds", "reason", "credentials"), HOUR),
    "credential.unused": Kind(("source", "credential", "last_used", "days"), 7 * DAY),
    "secret.learned": Kind(("source", "credential", "client"), MINUTE),
    "event.version_unseen": Kind(("source", "type", "version", "event_id"), DAY),
    "event.unmatched": Kind(("source", "type", "version", "event_id", "unmet"), DAY),
    "event.conflict": Kind(("source", "type", "event_id"), HOUR),
    "poller.behind": Kind(("poller", "reason"), HOUR, "poller"),
    "poller.caught_up": Kind(("poller", "reason"), HOUR, "poller"),
    "webhook.missed": Kind(("poller", "source", "missed", "event_id"), HOUR),
    "certificate.expiring": Kind(("certificate", "used_by", "expires", "days"), DAY),
    "secret.expiring": Kind(("secret", "used_by", "expires", "days"), DAY),
    "store.troubled": Kind(("reason",), HOUR),
}
"""Each kind. `store.troubled` needs no store: it goes straight to `alerts.targets`."""

ALWAYS: Final = ("untold", "more")
"""What `data` may hold besides: how many came since this was last told; that no more subjects are told for a while."""
