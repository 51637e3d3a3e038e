"""The C library's places to take memory from ("arenas"), kept few."""

import ctypes
from typing import Final

_M_ARENA_MAX: Final = -8
ARENAS: Final = 2


def share_arenas() -> None:
    """Have all threads of this process take memory from two places: by itself the GNU C library gives each thread one.

    Reading a configuration takes some 4 MiB for a moment. Whichever thread reads one keeps such a piece in its own
    arena, so a dozen threads kept a dozen after enough reloads. It costs nothing where one thread computes at a time.
    Other C libraries have no arenas and no such call: nothing happens. Source: mallopt(3).
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_ARENA_MAX, ARENAS)
