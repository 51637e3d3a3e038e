"""Messages and outcomes as frames.

A message goes to a worker as a copy, so that nothing a plugin does to it reaches the original. An outcome comes back as
plain values, cut to their bounds in the worker and checked once more here: the daemon believes no worker.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from gateway.core.model import Delivered, Message, NotTried, Outcome, Rejected, Retry, TargetDown
from gateway.plugin_host.frames import Frame, FrameError, write_frame

DETAIL_MAX: Final = 200
REASON_MAX: Final = 500
PROGRESS_MAX: Final = 64 * 1024
AFTER_MAX: Final = 30 * 86_400.0
"""Seconds."""

_FACTS: Final = (
    "id",
    "source",
    "type",
    "version",
    "content_type",
    "target",
    "route",
    "attempt",
    "occurred_at",
    "accepted_at",
)
_NAMES: Final = {
    Delivered: "delivered",
    Retry: "retry",
    Rejected: "rejected",
    TargetDown: "target_down",
    NotTried: "not_tried",
}


def write_message(call: int, message: Message) -> list[bytes]:
    """Give the pieces of the frame that asks a worker to deliver `message` as call number `call`."""
    same = message.payload is message.content
    payload = b"" if same else message.payload
    progress, resource = message.progress, message.resource
    header = {
        "do": "deliver",
        "call": call,
        "facts": [getattr(message, name) for name in _FACTS],
        "headers": dict(message.headers),
        "fields": dict(message.fields),
        "content": len(message.content),
        "payload": None if same else len(payload),
        "progress": None if progress is None else len(progress),
        "resource": None if resource is None else len(resource),
    }
    return write_frame(header, message.content, payload, progress or b"", resource or b"")


def read_message(frame: Frame, save_progress: Callable[[bytes], None]) -> Message:
    """Give the message of a frame that `write_message` made."""
    header, body = frame
    end = header["content"]
    content = payload = body[:end]
    if header["payload"] is not None:
        payload = body[end : end + header["payload"]]
        end += header["payload"]
    after = end + (header["progress"] or 0)
    return Message(
        **dict(zip(_FACTS, header["facts"], strict=True)),
        content=content,
        payload=payload,
        headers=MappingProxyType(header["headers"]),
        progress=None if header["progress"] is None else body[end:after],
        save_progress=save_progress,
        resource=None if header["resource"] is None else body[after:],
        read_fields=lambda: MappingProxyType(header["fields"]),
    )


def write_outcome(outcome: object) -> dict[str, Any]:
    """Give an outcome as plain values, cut to their bounds; anything else is a broken contract: `TargetDown`."""
    name = _NAMES.get(type(outcome))
    if name is None:
        return broken(f"it returned {type(outcome).__name__}: expected Delivered, Retry, Rejected or TargetDown")
    text = outcome.detail if isinstance(outcome, Delivered) else outcome.reason  # type: ignore[attr-defined] # by name
    after = getattr(outcome, "after", None)
    if not isinstance(text, str) or not _is_wait(after):
        return broken(f"its {type(outcome).__name__} holds no text, or no number of seconds")
    limit = DETAIL_MAX if isinstance(outcome, Delivered) else REASON_MAX
    disable = getattr(outcome, "disable", False) is True
    throttle = getattr(outcome, "throttle", False) is True
    return {"outcome": name, "text": _text(text, limit), "after": after, "disable": disable, "throttle": throttle}


def broken(problem: str) -> dict[str, Any]:
    """Give the outcome of a plugin that does not keep its contract."""
    text = f"the plugin broke its contract: {problem}"
    return {"outcome": "target_down", "text": one_line(text, REASON_MAX), "after": None, "disable": False}


def read_outcome(header: Mapping[str, Any]) -> Outcome:
    """Give the outcome that a worker wrote. Raises FrameError for anything that `write_outcome` does not write."""
    name, text, after, disable = (header.get(key) for key in ("outcome", "text", "after", "disable"))
    if not isinstance(text, str) or not _is_wait(after):
        raise FrameError("an outcome without its text or with a senseless wait")
    match name:
        case "delivered":
            return Delivered(_text(text, DETAIL_MAX))
        case "retry":
            return Retry(_text(text, REASON_MAX), after, header.get("throttle") is True)
        case "rejected":
            return Rejected(_text(text, REASON_MAX))
        case "target_down":
            return TargetDown(_text(text, REASON_MAX), after, disable is True)
        case "not_tried":
            return NotTried(_text(text, REASON_MAX))
        case _:
            raise FrameError("an outcome of no known name")


def one_line(text: str, limit: int) -> str:
    """Give `text` as one printable line of at most `limit` characters; foreign code may give anything."""
    cut = text[: limit * 2]
    clean = "".join(letter if letter.isprintable() else " " for letter in cut)
    return " ".join(clean.split())[:limit]


def _text(text: str, limit: int) -> str:
    return one_line(text, limit) or ("" if limit == DETAIL_MAX else "no reason given")


def _is_wait(after: object) -> bool:
    if after is None:
        return True
    # No question whether it is finite: that raises for an integer beyond all floats, and these bounds answer it.
    return isinstance(after, int | float) and not isinstance(after, bool) and 0 <= after <= AFTER_MAX
