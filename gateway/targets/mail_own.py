"""What a mail says of each kind of the gateway's own events: a title, what it means, and what to type.

Pure text; a test compares the kinds with those that there are.
"""

from typing import Final, NamedTuple

TITLES: Final = {
    "target.down": "Target {subject} is down",
    "target.disabled": "Target {subject} is disabled",
    "target.up": "Target {subject} is back",
    "delivery.dead": "A delivery to {subject} is dead",
    "event.unmatched": "Nobody takes {subject}",
    "event.version_unseen": "An unexpected version: {subject}",
    "event.conflict": "Two events of {subject} with one key",
    "source.refusing": "Source {subject} refuses requests",
    "credential.unused": "Nobody uses credential {subject}",
    "poller.behind": "Poller {subject} is behind",
    "poller.caught_up": "Poller {subject} has caught up",
    "webhook.missed": "Poller {subject} found webhooks that never came",
    "certificate.expiring": "Certificate {subject} ends soon",
    "secret.expiring": "Secret {subject} ends soon",
    "secret.learned": "The secret of {subject} was learned",
    "store.troubled": "New events are not accepted",
}


class Advice(NamedTuple):
    """What it means, and what helps."""

    meaning: str
    commands: tuple[tuple[str, str], ...]
    """What to type, and what for."""


MEANINGS: Final = {
    "target.down": Advice(
        "Nothing is lost: its deliveries wait and are tried again by themselves. Other targets are not affected.",
        (
            ("hookgate targets list", "what waits, and when it is tried next"),
            ("hookgate targets enable {target}", "try again now, once it is repaired"),
        ),
    ),
    "target.disabled": Advice(
        "It gets nothing more until somebody enables it. Nothing is lost: its deliveries wait.",
        (
            ("hookgate targets list", "what waits"),
            ("hookgate targets enable {target}", "go on, once it is repaired or its settings are right"),
        ),
    ),
    "target.up": Advice(
        "It takes deliveries again; what waited is on its way. There is nothing to do.",
        (("hookgate status", "how things are"),),
    ),
    "delivery.dead": Advice(
        "It will not be tried again by itself. More may have died: a target is told of once in ten minutes.",
        (
            ("hookgate events show {event_id}", "the event, its payload and deliveries"),
            ("hookgate deliveries list --state dead --target {target}", "all that died"),
            ("hookgate retry {event_id}", "send it again, once the cause is gone"),
        ),
    ),
    "event.unmatched": Advice(
        "Such events are accepted and kept, but no route takes them. Told once a day for each type.",
        (
            ("hookgate events show {event_id}", "the event, and which conditions of which routes it does not meet"),
            ("hookgate events list --hold unmatched", "all that was kept"),
            ("hookgate replay {event_id}", "deliver it, once a route takes it"),
        ),
    ),
    "event.version_unseen": Advice(
        "Such events are accepted and kept, but not delivered: the source expects other versions. Told once a day.",
        (
            ("hookgate events list --hold version", "what was kept"),
            ("hookgate replay {event_id}", "deliver it, once the source expects its version"),
        ),
    ),
    "event.conflict": Advice(
        "An event came again with another payload. The later one is kept without deliveries.",
        (
            ("hookgate events show {event_id}", "the later one; `replaces` in it names the first"),
            ("hookgate events list --hold conflict", "all that was kept"),
            ("hookgate replay {event_id}", "deliver it after all"),
        ),
    ),
    "source.refusing": Advice(
        "Its requests fail verification or limits, and their events are lost unless the provider sends them again. "
        "Often a secret was changed on one side only.",
        (
            ("hookgate status", "the newest refusals, with their reasons"),
            ("hookgate reload", "once the secret or scheme is right"),
        ),
    ),
    "credential.unused": Advice(
        "Other credentials of its source are used. Perhaps its subscription ended, or it is what a rotation left over.",
        (("hookgate status", "the uses of each credential"),),
    ),
    "poller.behind": Advice("Nothing is lost: it asks again by itself.", (("hookgate status", "how things are"),)),
    "webhook.missed": Advice(
        "They are delivered now. Ask the provider why it does not send them.",
        (("hookgate status", "how things are"),),
    ),
    "poller.caught_up": Advice("There is nothing to do.", (("hookgate status", "how things are"),)),
    "certificate.expiring": Advice(
        "Once it has ended, connections fail.", (("hookgate reload", "read a new certificate"),)
    ),
    "secret.expiring": Advice(
        "Its issuer ends it on that day, as the configuration says: put a new one in its place and write the new day.",
        (("hookgate reload", "read the new secret"),),
    ),
    "secret.learned": Advice(
        "A provider said it at set-up, and it is kept. If that was not the provider, whoever it was can sign events: "
        "learn again at once.",
        (
            ("hookgate sources list", "which secrets are learned"),
            ("hookgate sources learn {source} --credential {credential}", "forget this one, and learn once more"),
        ),
    ),
    "store.troubled": Advice(
        "Senders get 503 and try again; deliveries go on as far as the disk allows. This mail came past the store.",
        (("hookgate status", "free space, and what waits"),),
    ),
}
