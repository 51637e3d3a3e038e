"""What is left of large pieces of memory once they are free, seen in a process of its own."""

import os
import subprocess
import sys

import pytest

ROUNDS = 20
PIECE_BYTES = 4 * 1024 * 1024
GROWN = f"""
from gateway.allocator import give_back_large_pieces

def anonymous():
    with open("/proc/self/smaps_rollup") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Anonymous:"))

give_back_large_pieces()
before, lasting = anonymous(), []
for _ in range({ROUNDS}):
    piece = bytearray(b"x") * {PIECE_BYTES}
    del piece
    lasting.append(bytes(100_000))  # one that is no small object of Python's own pools
print(anonymous() - before - sum(map(len, lasting)))
"""


def grown():
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC", "GLIBC"))}
    command = [sys.executable, "-c", GROWN]
    return int(subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="other C libraries have no such heap")
def test_a_large_piece_goes_back_to_the_system_once_it_is_free():
    assert grown() < PIECE_BYTES / 2
