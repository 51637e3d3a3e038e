"""The shell target in the real process: through a helper's socket and without, killed and stopped in mid run."""

import json
import signal
from pathlib import Path

import pytest
import trio

from harness.daemon import running
from harness.exec_socket import exec_socket
from harness.senders import post, truework
from harness.settings import ORDERS_TOKEN, Settings

DEPLOY = """
[targets.deploy]
type = "shell"
command = ["/bin/sh", "{script}", "--", "{{body.data.order_id}}"]
folder = "{folder}"
timeout = "30s"
retry = {{ first = "1s", max = "1s", attempts = 5 }}
{more}

[routes.deploy]
source = "truework"
targets = ["deploy"]
"""
WRITES = 'cat > "$2.json"; echo "$HOOKGATE_EVENT_ID $HOOKGATE_ATTEMPT" > "$2.id"\n'
ONE_AT_A_TIME = """
mkdir running || touch twice          # somebody else is at it
trap '' TERM
touch begun
while [ ! -e go ]; do sleep 0.02; done
rmdir running
touch "done.$HOOKGATE_ATTEMPT"
"""


def write(home, script, more=""):
    folder = home.folder / "work"
    folder.mkdir()
    (folder / "deploy.sh").write_text(script)
    Settings(home, more=DEPLOY.format(script=folder / "deploy.sh", folder=folder, more=more)).write()
    return folder


def at_work(folder):
    """The processes of runs that work in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found.append(int(process.name))
        except OSError:
            continue
    return found


async def until(condition, seconds=30):
    with trio.fail_after(seconds):
        while not condition():
            await trio.sleep(0.02)


@pytest.mark.parametrize("way", ["socket", "daemon"])
async def test_a_truework_event_runs_a_program_with_its_payload(home, way):
    async with exec_socket(home.folder / "exec.sock") as world:
        place = f"unix:{world.path}" if way == "socket" else "daemon"
        folder = write(home, WRITES, f'exec = "{place}"')
        async with running(home) as daemon:
            sent = truework("order-1", ORDERS_TOKEN)
            assert (await post(daemon.port, sent)).status == 200
            await daemon.wait_settled()
            (event,) = (await daemon.cli("events", "list"))["events"]
            assert ".exec" not in json.dumps(daemon.logged("config.warned"))
        assert len(world.helpers) == (1 if way == "socket" else 0)
    assert (folder / "order-1.json").read_bytes() == sent.body
    assert (folder / "order-1.id").read_text() == f"{event['id']} 1\n"


@pytest.mark.skipif(Path("/run/hookgate-exec.sock").exists(), reason="this machine has the exec helper")
async def test_runs_with_the_daemons_own_rights_are_told_at_the_start_and_after_a_reload(home):
    write(home, WRITES)
    async with running(home) as daemon:
        assert ".exec" in json.dumps(daemon.logged("config.warned"))
        before = len(daemon.logged("config.warned"))
        await daemon.reload()
        assert len(daemon.logged("config.warned")) == 2 * before


async def test_P25_a_killed_daemon_leaves_no_run_behind_and_the_next_one_runs_it_again_and_never_twice_at_once(home):
    folder = write(home, ONE_AT_A_TIME, 'exec = "daemon"')
    async with running(home) as daemon:
        assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN))).status == 200
        await until((folder / "begun").exists)
        assert at_work(folder)
        await daemon.kill()
    await until(lambda: not at_work(folder))
    (folder / "running").rmdir()  # the mark of the run that was killed
    (folder / "go").touch()
    async with running(home) as daemon:
        await daemon.wait_settled()
    assert {path.name for path in folder.iterdir()} == {"deploy.sh", "begun", "go", "done.1"}


async def test_a_stop_waits_for_a_run_that_ends_in_time(home):
    folder = write(home, ONE_AT_A_TIME, 'exec = "daemon"')
    async with running(home) as daemon:
        assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN))).status == 200
        await until((folder / "begun").exists)
        daemon.signal(signal.SIGTERM)
        await until(lambda: daemon.logged("daemon.stopping"))
        (folder / "go").touch()
        assert await daemon.wait_ended() == 0
    assert (folder / "done.1").exists()
    async with running(home) as daemon:
        await daemon.wait_settled()
    assert not (folder / "twice").exists()
    assert not (folder / "done.2").exists()


async def test_a_stop_ends_a_run_that_does_not_end_and_it_costs_no_try(home):
    folder = write(home, ONE_AT_A_TIME, 'exec = "daemon"')
    async with running(home) as daemon:
        assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN))).status == 200
        await until((folder / "begun").exists)
        assert await daemon.stop() == 0
        assert at_work(folder) == []
    (folder / "running").rmdir()
    (folder / "go").touch()
    async with running(home) as daemon:
        await daemon.wait_settled()
    assert (folder / "done.1").exists()
    assert not (folder / "twice").exists()
