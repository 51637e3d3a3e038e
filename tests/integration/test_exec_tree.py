"""Whatever a run starts is gone with it: 40 shapes of children, through the unit's way and through our own."""

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from exec_shapes import programs

from gateway.exec_helper.protocol import encode_job
from gateway.exec_helper.tree import Tree
from gateway.runtime import Runtime
from gateway.wire.exec_client import ExecClient, Job
from harness.exec_socket import HELPER, exec_socket

SHAPES = list(programs())
TIMEOUT = 1.0
LEAVES_TIMEOUT = 20.0
"""Of those that exit by themselves: plenty, as what they leave behind must end at once."""
START_SECONDS = 10.0
"""A helper may take so long to start while twenty processes do, on a machine that does much else."""
AT_ONCE = 10


def alive(folder):
    """Processes that work in `folder`; each run has one of its own."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(f"{process.name}: {(process / 'cmdline').read_bytes()[-80:]!r}")
        except OSError:
            continue
    return found


async def run_all(client, folder):
    """Run every shape; give name, end and seconds of each, and who was left at the moment that it had ended."""
    told = []
    limit = trio.CapacityLimiter(AT_ONCE)

    async def run(number, name, program):
        async with limit:
            own = folder / str(number)
            own.mkdir()
            started = trio.current_time()
            timeout = LEAVES_TIMEOUT if name.startswith("leaves") else TIMEOUT
            job = Job((sys.executable, "-I", "-S", "-c", program), {"N": str(number)}, str(own), timeout, b"")
            ended = await client.run(job)
            told.append((name, ended, trio.current_time() - started, alive(own)))

    async with trio.open_nursery() as nursery:
        for number, (name, program) in enumerate(SHAPES):
            nursery.start_soon(run, number, name, program)
    return told


def judge(told):
    assert len(told) == len(SHAPES) == 40
    assert [(name, left) for name, _, _, left in told if left] == []
    assert [(name, ended) for name, ended, _, _ in told if ended.survivors] == []
    assert [(name, took) for name, _, took, _ in told if took > START_SECONDS + TIMEOUT + 5] == []
    ways = {name: ended.how for name, ended, _, _ in told}
    assert {name for name, how in ways.items() if how == "exit"} == {
        f"leaves {what}{deaf}"
        for what in ("one behind that holds the pipe", "a daemon behind")
        for deaf in ("", ", deaf")
    }
    assert set(ways.values()) == {"exit", "timeout"}


async def test_X3_P25_no_shape_outlives_its_run_by_our_own_helper(tmp_path):
    judge(await run_all(ExecClient(Runtime(), None), tmp_path))


async def test_X3_P25_no_shape_outlives_its_run_through_the_socket(tmp_path):
    async with exec_socket(tmp_path / "exec.sock") as world:
        judge(await run_all(ExecClient(Runtime(), world.path), tmp_path))


async def test_P25_a_cancelled_run_ends_only_when_nothing_of_it_is_left(tmp_path):
    program = dict(SHAPES)["is a daemon, deaf"]
    program += "\n"
    mark = tmp_path / "mark"
    program = program.replace("daemon(); rest()", f"daemon(); open({str(mark)!r}, 'x'); rest()")
    job = Job((sys.executable, "-I", "-S", "-c", program), {}, str(tmp_path), 60.0, b"")
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ExecClient(Runtime(), None).run, job)
            while not mark.exists():
                await trio.sleep(0.01)
            assert len(alive(tmp_path)) == 2
            cancelled = trio.current_time()
            scope.cancel()
    assert scope.cancelled_caught
    assert alive(tmp_path) == []
    assert trio.current_time() - cancelled < 5


async def test_a_signal_reaches_the_whole_group_and_so_whoever_was_forked_after_the_list_was_made(tmp_path):
    command = ["/bin/sh", "-c", "touch begun; sleep 100 & wait"]
    leader = await trio.lowlevel.open_process(command, cwd=tmp_path, start_new_session=True)
    while len(alive(tmp_path)) < 2:
        await trio.sleep(0.01)
    Tree.signal([leader.pid], signal.SIGKILL)
    assert await leader.wait() == -signal.SIGKILL
    with trio.fail_after(30):
        while alive(tmp_path):
            await trio.sleep(0.01)


async def test_a_stopped_program_still_gets_its_SIGTERM(tmp_path):
    text = "trap 'touch told; exit 0' TERM; kill -STOP $$; while :; do sleep 0.01; done"
    ended = await ExecClient(Runtime(), None).run(Job(("/bin/sh", "-c", text), {}, str(tmp_path), 2.0, b""))
    assert (tmp_path / "told").exists()
    assert ended.how == "timeout"


async def test_a_run_that_had_ended_when_it_was_cancelled_counts_as_it_ended(tmp_path):
    """Else it would be put back and run again, although it is known to be done."""
    ends, helpers = [], []

    class Keeping(Runtime):
        async def start_program(self, argv, environment):
            started = await super().start_program(argv, environment)
            helpers.append(started[1])
            return started

    async def run():
        job = Job(("/bin/sh", "-c", "touch done; exit 7"), {}, str(tmp_path), 60.0, b"")
        ends.append(await ExecClient(Keeping(), None).run(job))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        while not (tmp_path / "done").exists():
            await trio.sleep(0.001)
        # Nobody reads until the helper has answered and ended; who waits for it finds it as it is.
        os.waitid(os.P_PID, helpers[0].pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - the loop is to stand still
        nursery.cancel_scope.cancel()
    assert [(ended.how, ended.number) for ended in ends] == [("exit", 7)]


async def test_a_job_whose_daemon_is_gone_before_it_began_is_not_begun(tmp_path):
    ours, theirs = trio.socket.socketpair()
    with ours, theirs:
        await ours.send(encode_job(Job(("/bin/sh", "-c", "touch ran; sleep 1"), {}, str(tmp_path), 60.0, b"")))
        ours.shutdown(trio.socket.SHUT_WR)
        helper = await trio.lowlevel.open_process(HELPER, stdin=theirs.fileno(), env={})
        theirs.close()
        assert await helper.wait() == 0
    assert list(tmp_path.iterdir()) == []


DAEMON = """
import sys, trio
from gateway.runtime import Runtime
from gateway.wire.exec_client import ExecClient, Job
job = Job(("/bin/sh", "-c", "trap '' TERM; touch begun; sleep 100 & sleep 100"), {}, sys.argv[1], 60.0, b"")
trio.run(ExecClient(Runtime(), None).run, job)
"""


async def test_P25_a_killed_daemon_takes_its_runs_with_it(tmp_path):
    daemon = await trio.lowlevel.open_process([sys.executable, "-c", DAEMON, str(tmp_path)])
    try:
        while not (tmp_path / "begun").exists():
            assert daemon.poll() is None
            await trio.sleep(0.01)
    finally:
        daemon.send_signal(signal.SIGKILL)
        await daemon.wait()
    with trio.fail_after(30):
        while alive(tmp_path):
            await trio.sleep(0.02)


@pytest.mark.parametrize("handler", ["default", "ignored"])
async def test_a_stopped_unit_is_told_as_a_signal_and_not_as_an_end_of_the_helper(tmp_path, handler):
    """`systemctl stop` signals every process of the unit: the helper stays to tell."""
    async with exec_socket(tmp_path / "exec.sock") as world, trio.open_nursery() as nursery:
        ends = []
        trap = "trap '' TERM; " if handler == "ignored" else ""
        seconds = 2.5 if handler == "ignored" else 60.0
        program = f"{trap}touch begun; while :; do sleep 0.05; done"
        job = Job(("/bin/sh", "-c", program), {}, str(tmp_path), seconds, b"")

        async def run():
            ends.append(await ExecClient(Runtime(), world.path).run(job))

        nursery.start_soon(run)
        while not (tmp_path / "begun").exists():
            await trio.sleep(0.01)
        for line in alive(tmp_path):
            with suppress(ProcessLookupError):  # a sleep of the loop
                os.kill(int(line.partition(":")[0]), signal.SIGTERM)
        world.helpers[0].send_signal(signal.SIGTERM)
        while not ends:
            await trio.sleep(0.01)
    assert ends[0].how == ("timeout" if handler == "ignored" else "signal")
