"""The killer strikes where it says, so that "inside a commit" is a measurement and not a hope."""

import random
import subprocess
import sys

import pytest
import trio

from harness.killer import AT_RANDOM, CALLS, Landing, Plan, draw, is_installed, kill, landing

WRITER = """
import os, sys, threading
store = os.open("hookgate.db-wal", os.O_RDWR | os.O_CREAT)
other = os.open("audit.jsonl", os.O_RDWR | os.O_CREAT)
def write():
    count = 0
    while True:
        os.pwrite(store, b"%8d" % count, 0)
        os.fsync(other)
        os.fdatasync(store)
        count += 1
        os.pwrite(other, b"%8d" % count, 0)
threading.Thread(target=write, daemon=True).start()
print(flush=True)
threading.Event().wait()
"""


class Writer:
    def __init__(self, folder):
        command = [sys.executable, "-c", WRITER]
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE)
        self.process.stdout.readline()
        self.pid = self.process.pid

    async def wait_ended(self):
        while self.process.poll() is None:
            await trio.sleep(0.005)
        return self.process.returncode

    async def kill(self):
        self.process.kill()
        await self.wait_ended()


@pytest.fixture
def writer(tmp_path):
    writer = Writer(tmp_path)
    yield writer
    writer.process.kill()
    writer.process.wait()
    writer.process.stdout.close()


@pytest.mark.skipif(not is_installed(), reason="strace is not installed")
@pytest.mark.parametrize(
    ("call", "name", "inside"), [("fdatasync", "hookgate.db-wal", True), ("fsync", "audit.jsonl", False)]
)
async def test_a_kill_strikes_on_entry_to_the_chosen_call(writer, tmp_path, call, name, inside):
    struck = await kill(writer, Plan(call, 20, 0), tmp_path / "trace", seconds=60)
    assert (struck.call, struck.path, struck.inside_store) == (call, str(tmp_path / name), inside)
    assert writer.process.returncode == -9


async def test_a_kill_at_a_random_moment_needs_no_strace_and_counts_as_outside(writer, tmp_path):
    struck = await kill(writer, Plan("", 0, 0.01), tmp_path / "trace")
    assert struck == AT_RANDOM
    assert not struck.inside_store
    assert writer.process.returncode == -9


def test_a_call_that_was_finished_before_the_kill_is_no_landing():
    assert landing("12 fdatasync(7</s/hookgate.db-wal>) = 0\n12 +++ killed by SIGKILL +++\n") == AT_RANDOM
    assert landing('12 pwrite64(7</s/hookgate.db>, "x", 1, 0) = ?\n') == Landing("pwrite64", "/s/hookgate.db")

    parted = '12 pwrite64(7</s/hookgate.db-wal>, "x" <unfinished ...>\n13 +++ killed by SIGKILL +++\n'
    assert landing(parted + "12 <... pwrite64 resumed>)  = ?\n") == Landing("pwrite64", "/s/hookgate.db-wal")


def test_more_than_half_of_the_plans_aim_at_the_store():
    dice = random.Random(1)
    plans = [draw(dice) for _ in range(1000)]
    assert {plan.call for plan in plans} == {*CALLS, ""}
    assert sum(plan.call in {"fdatasync", "pwrite64"} for plan in plans) > 550
