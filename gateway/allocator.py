"""The C library's allocator, told to give large pieces of memory back."""

import ctypes
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
LARGE_BYTES: Final = 1024 * 1024


def give_back_large_pieces() -> None:
    """Have pieces of a mebibyte and more mapped alone, so that they go back to the system once they are free.

    By itself the GNU C library takes such a piece from its heap as soon as one like it was freed, and small ones that
    last then settle in the hole: the table of interned strings, 4 MiB that reloads renew again and again, grew a
    process by 12 MiB in a thousand. Other C libraries have no such call: nothing happens. Source: mallopt(3).
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
