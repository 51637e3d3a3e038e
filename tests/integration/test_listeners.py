"""Opening what the configuration names, on real sockets."""

import os
import socket
import stat
from pathlib import Path

import pytest
import trio

from gateway.config.address import parse_address
from gateway.errors import ConfigError
from gateway.listeners import describe, open_listeners
from gateway.runtime import Runtime


def opened(*texts, inherited=None):
    return open_listeners([parse_address(text) for text in texts], "[server].bind", Runtime(), inherited or {})


async def test_every_address_is_opened_and_described_as_it_really_is(tmp_path):
    listeners = opened("127.0.0.1:0", "[::1]:0", f"unix:{tmp_path}/a.sock")
    try:
        v4, v6, unix = (describe(each) for each in listeners)
        assert v4.startswith("127.0.0.1:")
        assert not v4.endswith(":0")
        assert v6.startswith("[::1]:")
        assert unix == f"unix:{tmp_path}/a.sock"
    finally:
        for each in listeners:
            each.close()


async def test_a_unix_socket_is_for_owner_and_group_only(tmp_path):
    (listener,) = opened(f"unix:{tmp_path}/new/a.sock")
    with listener:
        assert stat.S_IMODE((tmp_path / "new" / "a.sock").stat().st_mode) == 0o660


async def test_a_socket_that_a_dead_daemon_left_behind_is_replaced(tmp_path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "a.sock"))
    (listener,) = opened(f"unix:{tmp_path}/a.sock")
    with listener, trio.socket.socket(trio.socket.AF_UNIX) as client:
        await client.connect(f"{tmp_path}/a.sock")


async def test_a_socket_that_somebody_answers_on_is_never_taken_over(tmp_path):
    (first,) = opened(f"unix:{tmp_path}/a.sock")
    with first:
        with pytest.raises(ConfigError, match="cannot listen on unix:"):
            opened(f"unix:{tmp_path}/a.sock")
        with trio.socket.socket(trio.socket.AF_UNIX) as client:
            await client.connect(f"{tmp_path}/a.sock")


async def test_a_file_that_is_no_socket_is_never_removed(tmp_path):
    (tmp_path / "a.sock").write_text("keep me")
    with pytest.raises(ConfigError):
        opened(f"unix:{tmp_path}/a.sock")
    assert (tmp_path / "a.sock").read_text() == "keep me"


async def test_a_port_in_use_is_an_error_that_names_key_and_address_and_leaves_nothing_open():
    (first,) = opened("127.0.0.1:0")
    with first:
        taken = describe(first)
        before = len(list(Path("/proc/self/fd").iterdir()))
        with pytest.raises(ConfigError, match=rf"\[server\].bind: cannot listen on {taken}: Address already in use"):
            opened("127.0.0.1:0", taken)
        assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_an_inherited_socket_is_taken_by_its_name():
    with socket.socket() as passed:
        passed.bind(("127.0.0.1", 0))
        passed.listen()
        (listener,) = opened("fd:hookgate-http", inherited={"hookgate-http": [os.dup(passed.fileno())]})
        with listener:
            assert describe(listener) == "{}:{}".format(*passed.getsockname())


async def test_a_socket_that_was_not_inherited_is_an_error_that_says_what_was():
    with pytest.raises(ConfigError, match="FileDescriptorName=hookgate-http; passed: other"):
        opened("fd:hookgate-http", inherited={"other": [3]})
