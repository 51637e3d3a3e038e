"""The service manager's protocols, against a real datagram socket."""

import os
import socket

import pytest

from gateway.errors import ConfigError
from gateway.runtime import Runtime
from gateway.systemd import Supervisor, inherited_listeners, pick_inherited


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


async def test_a_manager_that_has_gone_does_not_stop_the_daemon(tmp_path):
    supervisor = Supervisor(Runtime(), {"NOTIFY_SOCKET": str(tmp_path / "gone")})
    supervisor.stopping()
    supervisor.status("still here")


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
