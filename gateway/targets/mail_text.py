"""What a mail says unless the operator writes templates: the facts of an event, where to look, and what to do.

No payload: mail is read on telephones and kept by others. The gateway's own events (source `hookgate`) are the
exception: theirs holds only what the gateway says itself, and is what somebody who was woken needs.

Pure.
"""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from gateway.plugin import Json, Message

OWN_SOURCE: Final = "hookgate"
VALUE_MAX: Final = 500

_TITLES: Final = {
    "target.down": "Target {subject} is down",
    "target.disabled": "Target {subject} is disabled",
    "target.up": "Target {subject} is back",
    "delivery.dead": "A delivery to {subject} is dead",
    "event.unmatched": "Nobody takes {subject}",
    "event.version_unseen": "An unexpected version: {subject}",
    "event.conflict": "Two events of {subject} with one key",
}


class _Advice(NamedTuple):
    meaning: str
    commands: tuple[tuple[str, str], ...]
    """What to type, and what for."""


_MEANINGS: Final = {
    "target.down": _Advice(
        "Nothing is lost: its deliveries wait and are tried again by themselves. Other targets are not affected.",
        (
            ("hookgate targets list", "what waits, and when it is tried next"),
            ("hookgate targets enable {target}", "try again now, once it is repaired"),
        ),
    ),
    "target.disabled": _Advice(
        "It gets nothing more until somebody enables it. Nothing is lost: its deliveries wait.",
        (
            ("hookgate targets list", "what waits"),
            ("hookgate targets enable {target}", "go on, once it is repaired or its settings are right"),
        ),
    ),
    "target.up": _Advice(
        "It takes deliveries again; what waited is on its way. There is nothing to do.",
        (("hookgate status", "how things are"),),
    ),
    "delivery.dead": _Advice(
        "It will not be tried again by itself. More may have died: a target is told of once in ten minutes.",
        (
            ("hookgate events show {event_id}", "the event, its payload and deliveries"),
            ("hookgate deliveries list --state dead --target {target}", "all that died"),
            ("hookgate retry {event_id}", "send it again, once the cause is gone"),
        ),
    ),
    "event.unmatched": _Advice(
        "Such events are accepted and kept, but no route takes them. Told once a day for each type.",
        (
            ("hookgate events show {event_id}", "the event, and which conditions of which routes it does not meet"),
            ("hookgate events list --hold unmatched", "all that was kept"),
            ("hookgate replay {event_id}", "deliver it, once a route takes it"),
        ),
    ),
    "event.version_unseen": _Advice(
        "Such events are accepted and kept, but not delivered: the source expects other versions. Told once a day.",
        (
            ("hookgate events list --hold version", "what was kept"),
            ("hookgate replay {event_id}", "deliver it, once the source expects its version"),
        ),
    ),
    "event.conflict": _Advice(
        "An event came again with another payload. The later one is kept without deliveries.",
        (
            ("hookgate events show {event_id}", "the later one; `replaces` in it names the first"),
            ("hookgate events list --hold conflict", "all that was kept"),
            ("hookgate replay {event_id}", "deliver it after all"),
        ),
    ),
}
_UNKNOWN: Final = _Advice("", (("hookgate status", "how things are"),))


def default_subject(message: Message, body: Json) -> str:
    """Give the subject of a mail whose own cannot be written, or was not asked for."""
    if message.source == OWN_SOURCE:
        return f"Hookgate: {_title(message, body)}"
    return f"{message.source}: {message.type}"


def default_text(message: Message, body: Json) -> str:
    """Give the text of a mail without templates."""
    if message.source == OWN_SOURCE:
        return "\n".join(_own_lines(message, body))
    rows = {
        "source": message.source,
        "type": message.type,
        **({"version": message.version} if message.version else {}),
        "event": message.id,
        "accepted at": _moment(message.accepted_at),
        "route": message.route,
        "target": message.target,
    }
    return "\n".join(
        [
            f"{message.source} sent {_line(message.type)}.",
            "",
            *_rows(rows),
            "",
            "The payload is not in this mail. On the machine that runs Hookgate:",
            "",
            f"    hookgate events show {message.id}",
            "",
        ]
    )


def _own_lines(message: Message, body: Json) -> list[str]:
    data = _data(body)
    rows = {name: value for name, value in data.items() if name != "version" or value}
    meaning, commands = _MEANINGS.get(message.type, _UNKNOWN)
    known = {"target": "TARGET", "event_id": "EVENT"} | {
        key: _line(value) for key, value in data.items() if key in ("target", "event_id")
    }
    typed = [(command.format(**known), purpose) for command, purpose in commands]
    width = max(len(command) for command, _ in typed)
    return [
        f"{_title(message, body)}.",
        "",
        *_rows({**rows, "told at": _moment(message.accepted_at)}),
        "",
        *([meaning, ""] if meaning else []),
        "On the machine that runs Hookgate:",
        "",
        *(f"    {command:<{width}}  {purpose}" for command, purpose in typed),
        "",
    ]


def _title(message: Message, body: Json) -> str:
    subject = body.get("subject") if isinstance(body, dict) else None
    known = _TITLES.get(message.type)
    if known is None:
        return f"{message.type} {_line(subject)}".rstrip() if subject else message.type
    return known.format(subject=_line(subject or "?"))


def _data(body: Json) -> dict[str, Json]:
    data = body.get("data") if isinstance(body, dict) else None
    return data if isinstance(data, dict) else {}


def _rows(values: dict[str, Json]) -> list[str]:
    width = max(len(name) for name in values)
    return [f"    {name.replace('_', ' '):<{width}}  {_line(value)}" for name, value in values.items()]


def _line(value: Json) -> str:
    """Write a value on one line: what a sender chose shall not look like a line of ours."""
    if isinstance(value, list):
        return "; ".join(map(_line, value))[:VALUE_MAX]
    return "".join(each if each.isprintable() else " " for each in str(value))[:VALUE_MAX]


def _moment(milliseconds: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
