"""What threads leave behind in the C library, seen in a process of its own."""

import os
import re
import subprocess
import sys

import pytest

THREADS = 8
KEEPS_COUNT = f"""
import ctypes, sys, threading
from gateway.arenas import share_arenas
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
if sys.argv[1] == "shared":
    share_arenas()
together = threading.Barrier({THREADS})

def allocate():
    together.wait()
    kept = [bytes(5000) for _ in range(1000)]
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range({THREADS})]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
output = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, output)
libc.fflush(output)
"""


def arenas(how):
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC", "GLIBC"))}
    command = [sys.executable, "-c", KEEPS_COUNT, how]
    told = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
    return len(re.findall(r"<heap nr=", told))


@pytest.mark.skipif(os.confstr("CS_GNU_LIBC_VERSION") is None, reason="only the GNU C library has arenas")
def test_threads_share_two_arenas_where_each_would_have_its_own():
    assert arenas("shared") == 2
    assert arenas("as it comes") > 2
