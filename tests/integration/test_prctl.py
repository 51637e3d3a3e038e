"""What the daemon asks of the kernel for its own memory's sake, seen by another process of the same user."""

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

NOBODY = 65534
HIDES = """
import os, sys
from gateway.prctl import hide_memory, prctl
os.setuid(int(sys.argv[1]))
prctl(4, 1)  # setuid closed it already
if sys.argv[2] == "hidden":
    hide_memory()
print(flush=True)
sys.stdin.read()
"""
READS = """
import os, sys
os.setuid(int(sys.argv[1]))
for name in ("environ", "mem"):
    try:
        with open(f"/proc/{sys.argv[2]}/{name}", "rb"):
            print(name)
    except PermissionError:
        pass
"""


@contextmanager
def process(how):
    command = [sys.executable, "-c", HIDES, str(NOBODY), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        started.stdout.readline()
        yield started.pid
        started.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two processes of another user")
@pytest.mark.parametrize(("how", "seen"), [("hidden", []), ("open", ["environ", "mem"])])
def test_P23_a_process_that_hides_its_memory_shows_it_to_nobody_of_its_user(how, seen):
    with process(how) as pid:
        done = subprocess.run(
            [sys.executable, "-c", READS, str(NOBODY), str(pid)], capture_output=True, text=True, check=True
        )
    assert done.stdout.split() == seen
