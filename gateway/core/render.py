"""The verb *render*: the message that a target gets of an event.

The bytes are the same on every attempt, but for what was fetched: nothing else here may depend on attempt or time.
The forms:

- `payload`: the event's payload as it was sent; `request`: the request's body, also where the event is only a part of
  it; `empty`: nothing.
- `envelope`: one line of JSON with the event's own facts around the payload. A payload that is JSON is embedded as it
  is (without line breaks between its values, so that a file of lines stays one), any other as `payload_base64`.
- a template: `core.templates`.

What cannot be rendered is RenderError: such a delivery is dead, with the error's text as its reason.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Literal, TypeAlias

import orjson

from gateway.core.document import parse_document
from gateway.core.head import StoredHeaders, content_type
from gateway.core.model import Delivery, Json, Message, StoredEvent, event_text
from gateway.core.moments import write_moment
from gateway.core.templates import CompiledTemplate, TemplateSource, TemplateUnfitError
from gateway.errors import RequestError

__all__ = ["CompiledTemplate", "RenderError", "Renderer", "TemplateSource", "TemplateUnfitError", "message_values"]

Form: TypeAlias = Literal["payload", "request", "envelope", "empty"]
FieldsOf: TypeAlias = Callable[[StoredEvent], Mapping[str, Json]]
Content: TypeAlias = tuple[bytes, str]
"""Bytes and their content type."""

JSON_TYPE: Final = "application/json"
UNKNOWN_TYPE: Final = "application/octet-stream"


class RenderError(ValueError):
    """There is no message to deliver, and there never will be: `expired body`, or `template: …`."""


class Renderer:
    """Renders events for one target. Immutable; the template, if there is one, is compiled."""

    def __init__(self, send: Form | TemplateSource, fields: FieldsOf | None = None) -> None:
        """Prepare for the form `send`; `fields` reads what `event.NAME` stands for in an event.

        Raises ValueError for a template that cannot be compiled, or an unknown form.
        """
        self._fields = fields
        if isinstance(send, TemplateSource):
            template = CompiledTemplate(send)
            self._content: Callable[[Delivery, StoredEvent, bytes, Mapping[str, str], bytes | None], Content] = (
                lambda *what: _templated(template, fields, *what)
            )
        elif send in _FORMS:
            self._content = _FORMS[send]
        else:
            raise ValueError(f"expected a form of message, one of {', '.join(_FORMS)}; found {send!r}")

    def render(
        self,
        delivery: Delivery,
        event: StoredEvent,
        save_progress: Callable[[bytes], None] = lambda _: None,
        resource: bytes | None = None,
    ) -> Message:
        """Give the message of `event` for `delivery`; the target may call `save_progress`.

        `resource` is JSON that was fetched for it; it stands beside the payload in envelopes and templates.

        Raises RenderError if retention took the body, or the template cannot be filled.
        """
        payload = event.payload
        if payload is None:
            raise RenderError("expired body: retention removed it")
        headers = StoredHeaders(event.head)
        content, content_type = self._content(delivery, event, payload, headers, resource)
        return Message(
            event_text(event.id),
            event.source,
            event.type,
            event.version,
            content,
            content_type,
            headers,
            payload,
            delivery.target,
            delivery.route,
            delivery.attempts + 1,
            event.occurred_at,
            event.accepted_at,
            delivery.progress,
            save_progress,
            resource,
            dict if self._fields is None else _once(partial(self._fields, event)),
        )


def _once(read: Callable[[], Mapping[str, Json]]) -> Callable[[], Mapping[str, Json]]:
    """Read when it is asked for first, since most messages need none, and not again: that parses the payload."""
    found: list[Mapping[str, Json]] = []

    def fields() -> Mapping[str, Json]:
        if not found:
            found.append(read())
        return found[0]

    return fields


def _payload_type(event: StoredEvent) -> str:
    if event.part is None:
        return content_type(event.head) or UNKNOWN_TYPE
    return JSON_TYPE if _is_json(event) else UNKNOWN_TYPE


def _is_json(event: StoredEvent) -> bool:
    """Tell whether the payload is JSON, whatever its content type says. A part may be any text that `unwrap` found."""
    if event.part is None:
        return _parsed(event.body or b"") is not _NO_JSON
    try:
        orjson.loads(event.part)
    except orjson.JSONDecodeError:
        return False
    return True


def _payload(
    _delivery: Delivery, event: StoredEvent, payload: bytes, _headers: Mapping[str, str], _resource: bytes | None
) -> Content:
    return payload, _payload_type(event)


def _request(
    _delivery: Delivery, event: StoredEvent, _payload: bytes, _headers: Mapping[str, str], _resource: bytes | None
) -> Content:
    if event.body is None:
        raise RenderError("expired body: retention removed it")
    return event.body, content_type(event.head) or UNKNOWN_TYPE


def _empty(
    _delivery: Delivery, _event: StoredEvent, _payload: bytes, _headers: Mapping[str, str], _resource: bytes | None
) -> Content:
    return b"", ""


def _envelope(
    _delivery: Delivery, event: StoredEvent, payload: bytes, _headers: Mapping[str, str], resource: bytes | None
) -> Content:
    facts = _facts(event)
    facts["content_type"] = _payload_type(event)
    if _is_json(event):
        facts["payload"] = _one_line(payload)
    else:
        facts["payload_base64"] = b64encode(payload).decode("ascii")
    if resource is not None:
        facts["fetched"] = _one_line(resource)
    return orjson.dumps(facts), JSON_TYPE


def _one_line(document: bytes) -> orjson.Fragment:
    """Give JSON without its line ends, which can only stand between values."""
    has_lines = b"\n" in document or b"\r" in document
    return orjson.Fragment(document.translate(None, b"\r\n") if has_lines else document)


def _templated(
    template: CompiledTemplate,
    fields: FieldsOf | None,
    delivery: Delivery,
    event: StoredEvent,
    payload: bytes,
    headers: Mapping[str, str],
    resource: bytes | None,
) -> Content:
    facts = _facts(event) if fields is None else {**fields(event), **_facts(event)}
    values = _values(facts, payload, headers, delivery.route, delivery.target, resource)
    try:
        return template.fill(values), template.content_type
    except TemplateUnfitError as error:
        raise RenderError(f"template: {error}") from None


def message_values(message: Message) -> dict[str, Any]:
    """Give what a template may name, for a target that fills templates of its own: the same as for `send`."""
    facts = _written(
        message.id, message.source, message.type, message.version, message.occurred_at, message.accepted_at
    )
    known = {**message.fields, **facts}
    return _values(known, message.payload, message.headers, message.route, message.target, message.resource)


def _values(
    facts: dict[str, Any],
    payload: bytes,
    headers: Mapping[str, str],
    route: str,
    target: str,
    resource: bytes | None,
) -> dict[str, Any]:
    body = _parsed(payload)
    return {
        "source": facts["source"],
        "event": facts,
        "body": None if body is _NO_JSON else body,
        "payload": payload.decode("utf-8", "replace"),
        "header": dict(headers),
        "route": route,
        "target": target,
        "fetched": None if resource is None else orjson.loads(resource),
    }


def _facts(event: StoredEvent) -> dict[str, Any]:
    return _written(event_text(event.id), event.source, event.type, event.version, event.occurred_at, event.accepted_at)


def _written(
    event_id: str, source: str, event_type: str, version: str, occurred_at: int | None, accepted_at: int
) -> dict[str, Any]:
    return {
        "id": event_id,
        "source": source,
        "type": event_type,
        "version": version,
        "occurred_at": None if occurred_at is None else write_moment(occurred_at),
        "accepted_at": write_moment(accepted_at),
    }


_NO_JSON: Final = object()


def _parsed(payload: bytes) -> Json:
    try:
        return parse_document(payload)
    except RequestError:
        return _NO_JSON


_FORMS: Final = {"payload": _payload, "request": _request, "envelope": _envelope, "empty": _empty}
