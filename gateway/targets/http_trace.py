"""Trace context (W3C, level 1) of a delivery: the trace that the provider began goes on, or one begins here.

The gateway records no spans, so it passes an incoming `traceparent` on as it is: a parent of our own would be a span
that no tracing system ever sees. A trace that begins here is made of the event, so that all of its deliveries and
tries are one trace, and has the sampled flag, for without it most services would record nothing.
"""

import re
from hashlib import blake2b
from typing import Final

from gateway.plugin import Message

TRACE_NAMES: Final = ("traceparent", "tracestate")
STATE_CHARACTERS_MAX: Final = 512

_PARENT: Final = re.compile(r"([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE: Final = re.compile(r"[\x20-\x7e]+")


def trace_headers(message: Message) -> list[tuple[str, str]]:
    """Give `traceparent`, and `tracestate` if a trace goes on that has one."""
    found = _PARENT.fullmatch(message.headers.get("traceparent", ""))
    if not found or found[1] == "ff" or (found[1] == "00" and found[5]):
        return [("traceparent", _begun(message))]
    # Of a later version only what this one knows may be passed on: the ids and the sampled flag.
    flags = found[4] if found[1] == "00" else f"{int(found[4], 16) & 1:02x}"
    headers = [("traceparent", f"00-{found[2]}-{found[3]}-{flags}")]
    state = message.headers.get("tracestate", "")
    if len(state) <= STATE_CHARACTERS_MAX and _STATE.fullmatch(state):
        headers.append(("tracestate", state))
    return headers


def _begun(message: Message) -> str:
    digest = blake2b(f"{message.id} {message.source} {message.accepted_at}".encode(), digest_size=24).hexdigest()
    return f"00-{digest[:32]}-{digest[32:]}-01"
