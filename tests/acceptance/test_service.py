"""Life under systemd: sockets that outlive the daemon, readiness, reload, watchdog and stop, as its manager sees them.

systemd itself is not needed but where a test says so: the parent that holds the socket, and the socket that takes the
notices, are the harness's own.
"""

import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager

import apsw
import pytest
import trio
import trio.testing

from harness.daemon import HOOKGATE, running
from harness.lives import reserved_port
from harness.senders import post, send_steadily, truework
from harness.settings import ORDERS_TOKEN, Settings
from harness.tq import Ledger

RESTARTS = 4
SENDERS = 8
FIRST = 3
AS_SYSTEMD_DOES = """
import os, sys
number = int(sys.argv[1])
os.dup2(number, 3, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="hookgate-http")
os.execv(sys.argv[2], sys.argv[2:])
"""


@contextmanager
def held_listener():
    """A listening socket of ours, its port, and how `running` hands it to a daemon as a socket unit would."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        number = listener.fileno()
        before = (sys.executable, "-c", AS_SYSTEMD_DOES, str(number))
        yield listener.getsockname()[1], {"before": before, "descriptors": (number,)}


def write_for_socket_unit(home):
    settings = Settings(home)
    settings.write()
    home.write_config(settings.text().replace('"127.0.0.1:0"', '"fd:hookgate-http"'))


async def test_restarts_under_load_refuse_nobody_while_somebody_holds_the_socket(home, tell):
    ledger, refused, stop = Ledger(), [], trio.Event()
    write_for_socket_unit(home)
    with held_listener() as (port, passing):

        async def send(tag):
            refused.append(await send_steadily(port, ledger, ORDERS_TOKEN, stop, tag))

        async with trio.open_nursery() as load:
            for number in range(SENDERS):
                load.start_soon(send, f"sender{number}")
            for number in range(1, RESTARTS + 1):
                async with running(home, **passing) as daemon:
                    served = len(ledger.acknowledged)
                    with trio.fail_after(30):
                        while len(ledger.acknowledged) < served + 100:
                            await trio.sleep(0.01)
                    if number == RESTARTS:
                        stop.set()
                    else:
                        # One of them dies, the others are told to stop.
                        await (daemon.kill() if number == 2 else daemon.stop())
                        continue
                    with trio.fail_after(30):
                        while len(refused) < SENDERS:
                            await trio.sleep(0.01)
                    await daemon.wait_settled()
                    assert await daemon.stop() == 0
    account = ledger.account(line["payload"]["data"]["order_id"] for line in home.lines("audit.jsonl", after_kill=True))
    tell(f"{RESTARTS - 1} restarts under load: {account}; refused connections {sum(refused)}")
    assert sum(refused) == 0
    assert account.holds, account


async def test_without_a_holder_a_restart_does_refuse_so_the_count_above_means_something(home):
    with reserved_port() as port:
        Settings(home, port=port).write()
        async with running(home) as daemon:
            await daemon.stop()
        with pytest.raises(ConnectionRefusedError):
            await post(port, truework("order-1", ORDERS_TOKEN))


async def test_a_connection_made_while_no_daemon_runs_is_answered_by_the_next(home):
    write_for_socket_unit(home)
    with held_listener() as (port, passing):
        async with trio.open_nursery() as nursery:
            answers = []

            async def early():
                answers.append(await post(port, truework("early", ORDERS_TOKEN)))

            nursery.start_soon(early)
            await trio.testing.wait_all_tasks_blocked()
            async with running(home, **passing) as daemon:
                with trio.fail_after(30):
                    while not answers:
                        await trio.sleep(0.01)
                assert await daemon.stop() == 0
        assert answers[0].status == 200


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="systemd is not installed")
async def test_systemds_own_activator_starts_the_daemon_on_the_first_connection(home):
    write_for_socket_unit(home)
    environ = {"STATE_DIRECTORY": home.state, "RUNTIME_DIRECTORY": home.folder}
    with reserved_port() as port, home.stderr.open("wb") as stderr:
        command = ["systemd-socket-activate", f"--listen=127.0.0.1:{port}", "--fdname=hookgate-http"]
        command += [f"--setenv={name}={value}" for name, value in environ.items()]
        process = subprocess.Popen(  # noqa: ASYNC220 - it only execs
            [*command, HOOKGATE, "run", "--config", home.config], stderr=stderr, cwd=home.folder
        )
        try:
            answer = None
            with trio.fail_after(60):
                while answer is None:
                    try:
                        answer = await post(port, truework("order-1", ORDERS_TOKEN))
                    except ConnectionRefusedError:  # the activator itself has only begun
                        await trio.sleep(0.02)
            assert answer.status == 200
            assert f"127.0.0.1:{port}" in home.stderr.read_text()
        finally:
            process.terminate()
            await trio.to_thread.run_sync(process.wait)
    assert process.returncode == 0


async def test_a_socket_that_no_bind_names_is_told(home):
    Settings(home).write()
    with held_listener() as (_, passing):
        async with running(home, **passing) as daemon:
            assert [entry["name"] for entry in daemon.logged("listener.unused")] == ["hookgate-http"]


async def test_a_start_asks_for_time_first_and_is_ready_last(home):
    Settings(home).write()
    async with running(home) as daemon:
        assert daemon.notices[0] == "EXTEND_TIMEOUT_USEC=30000000"
        assert "STATUS=opening the store, for 0 s" in daemon.notices
        assert daemon.notices.index("READY=1") > daemon.notices.index("EXTEND_TIMEOUT_USEC=30000000")
        events = [entry["event"] for entry in daemon.logged()]
        assert events.index("store.opened") < events.index("daemon.started")


async def test_a_reload_is_announced_and_ended_and_a_stop_announced(home):
    Settings(home).write()
    async with running(home) as daemon:
        await daemon.reload()
        await daemon.reload(Settings(home).text() + "\n[nonsense]\n")
        assert await daemon.stop() == 0
    told = [line for line in daemon.notices if line in {"READY=1", "RELOADING=1", "STOPPING=1"}]
    assert told == ["READY=1", *["RELOADING=1", "READY=1"] * 2, "STOPPING=1"]
    assert sum(line.startswith("MONOTONIC_USEC=") for line in daemon.notices) == 2
    assert "STATUS=ready; the last reload was refused, see the log" in daemon.notices


@pytest.mark.timeout(90)
async def test_the_watchdog_is_fed_while_commits_end_and_starves_while_none_does(home):
    """The store cannot commit while another process holds its write lock; everything else of the daemon lives on."""
    Settings(home).write()
    async with running(home, {"WATCHDOG_USEC": "30000000"}) as daemon:
        await daemon.wait_notice("WATCHDOG=1", 3, 30)
        other = apsw.Connection(str(home.database))
        other.execute("BEGIN IMMEDIATE")
        await trio.sleep(10)  # the newest commit is too old to count after 8 s
        starving = daemon.notices.count("WATCHDOG=1")
        await trio.sleep(8)  # a commit that cannot be had takes 5 s to say so
        assert daemon.notices.count("WATCHDOG=1") == starving
        assert (await daemon.ask("/ready", status=503))["ready"] is False
        other.execute("ROLLBACK")
        other.close()
        await daemon.wait_notice("WATCHDOG=1", starving + 2, 30)
