"""What the admin listener may cost; every limit has a number."""

from typing import Final

from gateway.wire.limits import Limits

ADMIN_LIMITS: Final = Limits(
    header_bytes=16 * 1024,
    header_count=64,
    header_seconds=10.0,
    body_seconds=10.0,
    idle_seconds=10.0,
    send_seconds=10.0,
    connections=32,
    body_memory=2 * 1024 * 1024,
)
BODY_BYTES: Final = 64 * 1024
REQUEST_SECONDS: Final = 60.0
"""From a request's body to the end of its answer."""
GRACE_SECONDS: Final = 5.0
"""At stop, for requests under way."""
