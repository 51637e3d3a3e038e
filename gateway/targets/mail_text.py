"""What a mail says unless the operator writes templates: the facts of an event, where to look, and what to do.

No payload: mail is read on telephones and kept by others. The gateway's own events (source `hookgate`) are the
exception: theirs holds only what the gateway says itself, and is what somebody who was woken needs.

Pure.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.plugin import Json, Message
from gateway.targets.mail_own import MEANINGS, TITLES, Advice

OWN_SOURCE: Final = "hookgate"
VALUE_MAX: Final = 500

_TYPED: Final = ("target", "event_id", "source", "credential")
"""What of an event's data the commands name; where it is not told, its name in capitals stands there."""
_UNKNOWN: Final = Advice("", (("hookgate status", "how things are"),))


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
    meaning, commands = MEANINGS.get(message.type, _UNKNOWN)
    known = {name: _line(data.get(name, name.upper().removesuffix("_ID"))) for name in _TYPED}
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
    known = TITLES.get(message.type)
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
