"""The service manager's protocols, against a real datagram socket."""

import os
import resource
import socket

import pytest
import trio

from gateway.config.address import parse_address
from gateway.errors import ConfigError
from gateway.listeners import open_listeners, refuse_clear
from gateway.runtime import Runtime
from gateway.systemd import (
    EXTEND_BY_SECONDS,
    EXTEND_EVERY_SECONDS,
    Supervisor,
    inherited_listeners,
    pick_inherited,
)


@pytest.fixture
def manager(tmp_path):
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.settimeout(5)
        yield address, lambda: listener.recv(4096).decode()


async def test_readiness_and_status_go_in_one_datagram(manager):
    address, received = manager
    Supervisor(Runtime(), {"NOTIFY_SOCKET": address}).ready("listening on 127.0.0.1:8080")
    assert received() == "READY=1\nSTATUS=listening on 127.0.0.1:8080"


async def test_a_reload_tells_its_monotonic_time(manager):
    address, received = manager
    Supervisor(Runtime(), {"NOTIFY_SOCKET": address}).reloading()
    first, second, _ = received().split("\n")
    assert first == "RELOADING=1"
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0


async def test_without_a_manager_nothing_is_sent_and_nothing_fails():
    Supervisor(Runtime(), {}).feed_watchdog()


async def test_the_watchdog_is_fed_only_where_there_is_one(manager):
    address, received = manager
    Supervisor(Runtime(), {"NOTIFY_SOCKET": address}).feed_watchdog()
    Supervisor(Runtime(), {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000"}).feed_watchdog()
    Supervisor(Runtime(), {"NOTIFY_SOCKET": address}).status("next")
    assert [received(), received()] == ["WATCHDOG=1", "STATUS=next"]


async def test_a_long_start_asks_for_more_time_before_what_it_got_runs_out(manager, autojump_clock):
    address, received = manager
    supervisor = Supervisor(Runtime(), {"NOTIFY_SOCKET": address})
    async with supervisor.starting("opening the store"):
        await trio.sleep(25)
    supervisor.status("next")
    for seconds in (0, 10, 20):
        assert received() == f"EXTEND_TIMEOUT_USEC=30000000\nSTATUS=opening the store, for {seconds} s"
    assert received() == "STATUS=next"
    assert EXTEND_EVERY_SECONDS < EXTEND_BY_SECONDS


async def test_a_passed_socket_that_does_not_listen_is_told_with_its_remedy():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = parse_address("fd:http")
        with pytest.raises(ConfigError, match=r"fd:http: .*does not listen.*needs ListenStream= and Accept=no"):
            open_listeners([address], "[server].bind", Runtime(), {"http": [os.dup(bound.fileno())]})


@pytest.mark.parametrize(("host", "family"), [("0.0.0.0", socket.AF_INET), ("::", socket.AF_INET6)])
async def test_a_passed_socket_that_is_open_to_the_network_in_the_clear_is_refused(host, family):
    with socket.create_server((host, 0), family=family) as held:
        passed = open_listeners([parse_address("fd:http")], "x", Runtime(), {"http": [os.dup(held.fileno())]})
        with passed[0], pytest.raises(ConfigError, match="plain HTTP to the network: write tls"):
            refuse_clear(passed)


async def test_a_passed_socket_that_only_this_machine_reaches_needs_no_certificate(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as held, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "x.sock"))
        local.listen()
        found = {"http": [os.dup(held.fileno()), os.dup(local.fileno())]}
        passed = open_listeners([parse_address("fd:http")], "x", Runtime(), found)
        refuse_clear(passed)
        for one in passed:
            one.close()


async def test_closing_an_adopted_listener_leaves_the_holders_queue_alone():
    with socket.create_server(("127.0.0.1", 0)) as held:
        adopted = open_listeners([parse_address("fd:http")], "x", Runtime(), {"http": [os.dup(held.fileno())]})
        with socket.create_connection(held.getsockname()) as waiting:
            adopted[0].close()
            held.settimeout(5)
            connection, _ = held.accept()
            with connection:
                assert connection.getpeername() == waiting.getsockname()


async def test_a_manager_that_has_gone_does_not_stop_the_daemon(tmp_path):
    supervisor = Supervisor(Runtime(), {"NOTIFY_SOCKET": str(tmp_path / "gone")})
    supervisor.stopping()
    supervisor.status("still here")


async def test_the_watchdog_is_fed_on_once_there_is_a_descriptor_again(manager):
    address, received = manager
    supervisor = Supervisor(Runtime(), {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000"})
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        supervisor.feed_watchdog()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    supervisor.feed_watchdog()
    assert received() == "WATCHDOG=1"


async def test_the_watchdog_interval_is_read_only_if_it_is_meant_for_this_process():
    ours = {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}
    assert Supervisor(Runtime(), ours).watchdog_seconds == 30
    assert Supervisor(Runtime(), ours | {"WATCHDOG_PID": "1"}).watchdog_seconds is None
    assert Supervisor(Runtime(), {}).watchdog_seconds is None


def test_sockets_that_were_passed_to_another_process_are_not_taken():
    assert inherited_listeners({"LISTEN_PID": "1", "LISTEN_FDS": "1"}, 2) == {}
    assert inherited_listeners({"LISTEN_PID": "2", "LISTEN_FDS": "x"}, 2) == {}


def test_a_socket_unit_that_was_not_passed_is_an_error_that_names_what_was():
    with pytest.raises(ConfigError, match=r"FileDescriptorName=hookgate-http; passed: other"):
        pick_inherited({"other": [3]}, "hookgate-http")
    assert pick_inherited({"hookgate-http": [3, 4]}, "hookgate-http") == [3, 4]
