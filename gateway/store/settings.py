"""What an operator or a test may set of a store; the defaults are those of the configuration."""

from dataclasses import dataclass
from typing import Final

DAY_MS: Final = 86_400_000
MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Limits of a store. Sizes in bytes, times as their names say."""

    queue_bytes: int = 64 * MEBIBYTE
    """Bodies that may wait for a commit; beyond it `accept` raises StoreBusyError."""
    queue_wait_seconds: float = 1.0
    """How long the oldest may have waited for its commit before newcomers get StoreBusyError."""
    low_water_bytes: int = 256 * MEBIBYTE
    """Free disk below which nothing new is accepted."""
    reserve_bytes: int = 16 * MEBIBYTE
    """Size of the file that is given up when the disk is full, so that deliveries still settle."""
    dedup_window_ms: int = 7 * DAY_MS
    """How long a de-dup key is known, at least."""
    filter_bytes: int = 64 * MEBIBYTE
    """Most memory for the filters over old de-dup keys; with less, more keys are looked up on disk for nothing."""
    allow_network_file_system: bool = False
    """True accepts NFS, CIFS and FUSE, whose locks and flushes nobody vouches for."""
