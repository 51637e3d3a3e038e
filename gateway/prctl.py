"""What a process may ask of the kernel about itself by prctl(2), and nothing else."""

import ctypes
import os
import resource
from typing import Final

_PR_SET_DUMPABLE: Final = 4

_libc: Final = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    """Set an option of this process. Raises OSError."""
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl {option}: {os.strerror(number)}")


def hide_memory() -> None:
    """Keep what this process holds in memory, secrets and payloads, out of core files and from all but root.

    No core is written, to a file or to a program, here or in programs started from here; nobody else of our own user
    reads memory, environment or descriptors under /proc, or attaches a debugger. Started programs are as open as ever.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl(_PR_SET_DUMPABLE, 0)
