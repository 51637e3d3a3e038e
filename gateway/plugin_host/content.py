"""What a transform gives, and how it is called and judged: the same in a worker and inline."""

import inspect
from functools import partial
from typing import Any, Final, NamedTuple

from gateway.core.model import Message, Rejected
from gateway.plugin import Options, TransformKind
from gateway.runtime import Runtime

CONTENT_MAX: Final = 8 * 1024 * 1024
"""Bytes."""


class Content(NamedTuple):
    """The new content of a message."""

    body: bytes
    content_type: str | None
    """None leaves the message's own."""


async def call_transform(kind: TransformKind[Any], message: Message, options: Options, runtime: Runtime) -> object:
    """Call a transform's function, a plain one in a thread; give whatever it gives."""
    apply = partial(kind.apply, message, options)
    if inspect.iscoroutinefunction(kind.apply):
        return await apply()
    return await runtime.in_file_thread(apply)


def judge_content(given: object) -> Content | Rejected:
    """Give the content if it is some, else why the message is rejected."""
    content, content_type = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    if not isinstance(content, bytes) or not isinstance(content_type, str | None):
        return Rejected(f"transform: it gave {type(given).__name__}: expected bytes, or bytes and their content type")
    if len(content) > CONTENT_MAX:
        return Rejected(f"transform: it gave {len(content)} bytes: expected at most {CONTENT_MAX}")
    return Content(content, content_type)
