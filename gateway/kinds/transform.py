"""A transform: how a function becomes a way to make a message's content."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

from gateway.core.model import Message
from gateway.kinds.options import OptionsT


@dataclass(frozen=True, slots=True)
class TransformKind(Generic[OptionsT]):
    """A way to make a message's content, as the operator names it in `send = { transform = "…" }`."""

    options: type[OptionsT]
    apply: Callable[[Message, OptionsT], Any]
    """Give bytes, or bytes and their content type; plain or async."""


def transform(options: type[OptionsT]) -> Callable[[Callable[[Message, OptionsT], Any]], TransformKind[OptionsT]]:
    """Mark a function `(message, options) -> bytes | (bytes, content type)` as a transform."""

    def mark(function: Callable[[Message, OptionsT], Any]) -> TransformKind[OptionsT]:
        return TransformKind(options, function)

    return mark
