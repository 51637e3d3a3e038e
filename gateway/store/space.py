"""Minds the low-water mark of the disk, and the reserve that is given up below it."""

from pathlib import Path
from typing import Final

from gateway.errors import StoreFullError
from gateway.runtime import Runtime
from gateway.store.disk import Reserve, free_bytes, used_bytes
from gateway.store.settings import StoreSettings

CHECK_SECONDS: Final = 0.25


class Space:
    """Free space as last seen. The writer thread calls `check`; what it found may be read anywhere."""

    def __init__(self, path: Path, runtime: Runtime, settings: StoreSettings) -> None:
        self._path = path
        self._runtime = runtime
        self._low_water = settings.low_water_bytes
        self._reserve_bytes = settings.reserve_bytes
        self._reserve = Reserve(path, settings.reserve_bytes)
        self._gave_up = False
        """True: what is free may be what the reserve held; deliveries have it until there is room for both again."""
        self.free = 0
        self.used = 0
        self.low = False
        self._look()

    def check(self) -> None:
        """Look at the disk unless that was done within the last quarter of a second."""
        if self.stale:
            self._look()

    @property
    def stale(self) -> bool:
        """True if it is time to look again."""
        return self._runtime.monotonic() - self._checked >= CHECK_SECONDS

    def _look(self) -> None:
        self._checked = self._runtime.monotonic()
        self.free = free_bytes(self._path.parent)
        self.used = used_bytes(self._path)
        if self.free >= self._low_water + self._reserve_bytes:
            self._reserve.restore()
            self._gave_up = False
        elif self.free < self._reserve_bytes // 4:
            self._gave_up |= self._reserve.release()
        self.low = self.free < self._low_water or self._gave_up

    def give_up_reserve(self) -> None:
        """The disk is full: free what was kept for this."""
        self._gave_up |= self._reserve.release()
        self.low = True

    @property
    def _wanted(self) -> int:
        return self._low_water + (self._reserve_bytes if self._gave_up else 0)

    def refusal(self) -> StoreFullError:
        """Give what a newcomer is told."""
        return StoreFullError(
            f"{self._path.parent}: {self.free} bytes are free, expected at least {self._wanted}; "
            "nothing new is accepted until there is room, deliveries go on"
        )
