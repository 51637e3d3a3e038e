"""A message as a CloudEvent 1.0: its attributes in headers (binary mode) or around its data (structured mode).

By the HTTP protocol binding 1.0.2 and the JSON format 1.0.2. The id is that of the event, so that what comes again over
another target or try is known by it; the source, unless the operator writes one, is `/hookgate/` and the source's name.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias
from urllib.parse import quote

import orjson
from pydantic import AfterValidator, Field

from gateway.plugin import Message, Scope, Selector, Template, message_field, parse_template, write_moment
from gateway.targets.http_values import VALUE_BYTES_MAX, UnfitMessageError, check_fields

Format: TypeAlias = Literal["cloudevents", "cloudevents-structured"]

STRUCTURED_TYPE: Final = "application/cloudevents+json"
OURS: Final = frozenset({"specversion", "id", "time", "datacontenttype", "data", "data_base64"})
PREFIX: Final = "ce-"

_NAME: Final = re.compile(r"[a-z0-9]{1,20}")
_SAFE: Final = "".join(map(chr, range(0x21, 0x7F))).replace('"', "").replace("%", "")
"""What a header's value may hold as it is (HTTP binding, section 3.1.3.2)."""
_JSON: Final = re.compile(r"application/json|[^;]+/[^;]+\+json|text/json", re.IGNORECASE)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _check_attributes(written: dict[str, str]) -> dict[str, str]:
    for name, text in written.items():
        if name in OURS:
            raise ValueError(f"{name} is written by the gateway: remove it")
        if not _NAME.fullmatch(name):
            raise ValueError(f'expected a name of 1 to 20 small letters and digits, found "{name[:60]}"')
        check_fields(_template(text).selectors, f"attribute {name}")
    return written


Attributes: TypeAlias = Annotated[
    dict[str, str],
    AfterValidator(_check_attributes),
    Field(max_length=50, examples=[{"source": "https://hooks.acme.example/{source}", "subject": "{event.subject}"}]),
]
"""Attributes by name, as texts that may hold values of the message."""


class CloudEvents:
    """Writes the messages of one target."""

    def __init__(self, mode: Format, attributes: Mapping[str, str]) -> None:
        self.structured = mode == "cloudevents-structured"
        self._attributes = {name: _template(text) for name, text in attributes.items()}
        self.selectors: Sequence[Selector] = [
            selector for template in self._attributes.values() for selector in template.selectors
        ]
        """What is asked of a message for its attributes."""

    def headers(self, message: Message, scope: Scope) -> list[tuple[str, str]]:
        """Give the headers of binary mode. Raises UnfitMessageError."""
        return [(f"{PREFIX}{name}", quote(value, _SAFE)) for name, value in self._values(message, scope)]

    def document(self, message: Message, scope: Scope) -> bytes:
        """Give the content of structured mode, with data that is no JSON as base64. Raises UnfitMessageError."""
        event: dict[str, Any] = dict(self._values(message, scope))
        if message.content_type:
            event["datacontenttype"] = message.content_type
        if message.content and _is_json(message):
            event["data"] = orjson.Fragment(message.content)
        elif message.content:
            event["data_base64"] = b64encode(message.content).decode("ascii")
        return orjson.dumps(event)

    def _values(self, message: Message, scope: Scope) -> Iterator[tuple[str, str]]:
        yield "specversion", "1.0"
        yield "id", message.id
        given = dict(self._filled(scope))
        yield "source", given.pop("source", "") or f"/hookgate/{message.source}"
        yield "type", given.pop("type", "") or message.type
        at = message.accepted_at if message.occurred_at is None else message.occurred_at
        yield "time", write_moment(at)
        yield from given.items()

    def _filled(self, scope: Scope) -> Iterable[tuple[str, str]]:
        """Give the operator's attributes; one whose value a message does not have is left out."""
        for name, template in self._attributes.items():
            try:
                value = template.render(scope)
            except ValueError:
                continue
            if _CONTROL.search(value) or len(value) > VALUE_BYTES_MAX or not _is_unicode(value):
                raise UnfitMessageError(f"attribute {name}: it is too long, or holds a control character")
            if value:
                yield name, value


def _template(text: str) -> Template:
    return parse_template(text, message_field)


def _is_json(message: Message) -> bool:
    if not _JSON.match(message.content_type):
        return False
    try:
        orjson.loads(message.content)
    except ValueError:
        return False
    return True


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
