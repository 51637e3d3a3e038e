"""What of a message an `http` target may put into its url and headers, and how a header's value is written.

A value is only ever a value: it cannot end its header, make another one, or name one. Text goes out as UTF-8.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Final, TypeAlias

import orjson
from pydantic import Discriminator, Tag

from gateway.plugin import Message, Scope, SecretText, Selector, Template, check_headers, message_field, parse_template

VALUE_BYTES_MAX: Final = 4096
"""Of a header that is filled from a message."""

_FIELDS: Final = re.compile(r"event\.(id|type|version|source|occurred_at)|source|body\..+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class UnfitMessageError(ValueError):
    """A message cannot be sent as the target says; names place and cause, never a value."""


def _form(value: object) -> str:
    return "<text>" if isinstance(value, str) else "<secret>"


HeaderValue: TypeAlias = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[SecretText, Tag("<secret>")], Discriminator(_form)
]
"""A header's value, which may hold `{selectors}`, or where it is."""

Filled: TypeAlias = tuple[tuple[str, Template], ...]
"""Headers that are filled from each message: name and value."""


def split_headers(headers: Mapping[str, str | SecretText]) -> tuple[dict[str, str], Filled]:
    """Give the headers that are the same for every message, and the others.

    A secret is never a template; one that was not read is empty. Raises ValueError for what cannot be sent.
    """
    templates = {name: _template(name, value) for name, value in headers.items() if isinstance(value, str)}
    fixed = {
        name: templates[name].render(_NOTHING) if name in templates else secret_text(value)
        for name, value in headers.items()
        if not (name in templates and templates[name].selectors)
    }
    filled = tuple((name, template) for name, template in templates.items() if template.selectors)
    check_headers([*fixed.items(), *((name, _as_sent(template.fixed_text)) for name, template in filled)])
    for name, template in filled:
        check_fields(template.selectors, f"header {name}")
    return fixed, filled


def _template(name: str, text: str) -> Template:
    try:
        return parse_template(text, message_field)
    except ValueError as error:
        raise ValueError(f"header {name[:80]}: {error}; {{{{ and }}}} write braces") from None


def check_fields(selectors: Iterable[Selector], where: str) -> None:
    """Refuse selectors that a message cannot answer. Raises ValueError that names the first."""
    unfit = [each.text for each in selectors if each.root != "field" and not _FIELDS.fullmatch(each.text)]
    if unfit:
        raise ValueError(
            f"{{{unfit[0]}}} cannot stand in {where}: expected body.…, event.id, event.type, event.version, "
            "event.source, event.occurred_at or source; {{ and }} write braces"
        )


def secret_text(value: object) -> str:
    """Give a secret's text; empty if it was not read."""
    return value.reveal() if isinstance(value, SecretText) and value.is_read else ""


def reads_body(selectors: Iterable[Selector]) -> bool:
    """Tell whether the payload must be parsed."""
    return any(selector.root == "body" for selector in selectors)


def scope_of(message: Message, *, with_body: bool) -> Scope:
    """Give what selectors may look at. Raises UnfitMessageError if the payload is needed and no JSON."""
    try:
        body = orjson.loads(message.payload) if with_body else None
    except ValueError:
        raise UnfitMessageError("payload: it is no JSON, so nothing of it can be put into url or headers") from None
    return Scope(request=None, body=body, claims=None, event=message, source=message.source)


def fill_headers(filled: Filled, scope: Scope) -> list[tuple[str, str]]:
    """Write the filled headers of a message. Raises UnfitMessageError."""
    return [(name, _written(name, template, scope)) for name, template in filled]


def _written(name: str, template: Template, scope: Scope) -> str:
    try:
        value = template.render(scope, _checked)
    except ValueError as error:
        raise UnfitMessageError(f"header {name}: {error}") from None
    sent = _as_sent(value)
    if len(sent) > VALUE_BYTES_MAX:
        raise UnfitMessageError(f"header {name}: longer than {VALUE_BYTES_MAX} bytes")
    return sent


def _as_sent(text: str) -> str:
    """Give the bytes of `text` in UTF-8 as the client takes them, one character a byte."""
    return text.encode().decode("latin-1")


def _checked(value: str) -> str:
    if _CONTROL.search(value):
        raise ValueError("a value holds a line end or another control character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("a value holds half a character (a lone surrogate)") from None
    return value


_NOTHING: Final = Scope(request=None, body=None, claims=None, event=None, source="")
