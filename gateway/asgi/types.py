"""The shapes of ASGI, as far as they are used here: a scope and messages are dictionaries (ASGI 3.0, HTTP)."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Message: TypeAlias = MutableMapping[str, Any]
AsgiReceive: TypeAlias = Callable[[], Awaitable[Message]]
AsgiSend: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Message, AsgiReceive, AsgiSend], Awaitable[None]]
