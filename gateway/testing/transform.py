"""The public conformance check of transforms: what each of them owes the gateway, whatever it writes."""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from gateway.plugin import Message, Runtime, TransformKind
from gateway.testing.target import sample_message

CONTENT_MAX: Final = 8 * 1024 * 1024


async def check_transform(kind: TransformKind[Any], options: Mapping[str, Any], payload: bytes | None = None) -> None:
    """Check a transform with one set of options. Raises AssertionError that tells the broken promise.

    Args:
        kind: What `@gateway.plugin.transform` made.
        options: As the operator would write them.
        payload: JSON text, as bytes, that it must take; a plain object unless given.
    """
    _demand(
        kind.options.model_config.get("extra") == "forbid",
        "options must refuse unknown keys: derive them from gateway.plugin.Options",
    )
    chosen = kind.options.model_validate(options)
    message = sample_message() if payload is None else replace(sample_message(), content=payload, payload=payload)
    first = await _apply(kind, message, chosen)
    _demand(_is_content(first), f"expected bytes, or bytes and a content type, found {type(first).__name__}")
    again = await _apply(kind, replace(message, attempt=2), chosen)
    _demand(first == again, "the same event must give the same content on every attempt")
    for odd in (b"", b"{", b"\xff\x00", b"[]", b"null", b'"' + b"x" * 2**20 + b'"'):
        try:
            given = await _apply(kind, replace(message, content=odd, payload=odd), chosen)
        except Exception:  # noqa: BLE001, S112 - a payload it cannot take is an exception, of whatever kind
            continue
        _demand(
            _is_content(given), f"a payload of {odd[:8]!r}… must give content or raise, found {type(given).__name__}"
        )


async def _apply(kind: TransformKind[Any], message: Message, options: Any) -> object:  # noqa: ANN401 - its own model
    if inspect.iscoroutinefunction(kind.apply):
        return await kind.apply(message, options)
    return await Runtime().in_file_thread(partial(kind.apply, message, options))


def _is_content(given: object) -> bool:
    content, content_type = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    return isinstance(content, bytes) and len(content) <= CONTENT_MAX and isinstance(content_type, str | None)


def _demand(kept: bool, promise: str) -> None:
    if not kept:
        raise AssertionError(promise)
