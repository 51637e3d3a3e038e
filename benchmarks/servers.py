"""Starts and ends what is measured and what it is measured with; each on its core."""

import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple

import trio

from harness.senders import Client
from load import DAEMON_CORE, HERE, LOAD_CORE


class Server(NamedTuple):
    """Something to compare with, while it runs."""

    port: int
    pid: int


@asynccontextmanager
async def process(*command: str) -> AsyncIterator[trio.Process]:
    """Run a process for the length of a block; its standard output is a pipe."""
    async with trio.open_nursery() as nursery:
        run = partial(trio.run_process, command, stdout=subprocess.PIPE, check=False)
        started: trio.Process = await nursery.start(run)
        try:
            yield started
        finally:
            started.kill()


@asynccontextmanager
async def echo() -> AsyncIterator[Server]:
    """Run the bare echo."""
    async with process(*DAEMON_CORE, sys.executable, str(HERE / "echo.py")) as started:
        yield Server(int((await _first_line(started)).rpartition(":")[2]), started.pid)


@asynccontextmanager
async def hypercorn() -> AsyncIterator[Server]:
    """Run the stock stack."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    async with process(*DAEMON_CORE, sys.executable, str(HERE / "hypercorn_app.py"), "--port", str(port)) as started:
        await _wait_open(port)
        yield Server(port, started.pid)


@asynccontextmanager
async def fast_sink() -> AsyncIterator[int]:
    """Run the target that is never what is measured; give its port."""
    async with process(*LOAD_CORE, sys.executable, str(HERE / "fastsink.py")) as started:
        yield int(await _first_line(started))


@asynccontextmanager
async def busy_cores() -> AsyncIterator[None]:
    """Keep one process spinning on each of the two cores."""
    spin = (sys.executable, "-c", "while True: pass")
    async with process(*DAEMON_CORE, *spin), process(*LOAD_CORE, *spin):
        yield


async def counted(port: int) -> dict[str, Any]:
    """Ask the fast sink what it has counted."""
    with Client(port) as client:
        answer = await client.exchange(b"GET /count HTTP/1.1\r\nHost: localhost\r\n\r\n")
    found: dict[str, Any] = json.loads(answer.body)
    return found


async def _first_line(started: trio.Process) -> str:
    if started.stdout is None:
        raise AssertionError("the process was started with a pipe")
    line = b""
    while not line.endswith(b"\n"):
        piece = await started.stdout.receive_some(1)
        if not piece:
            raise RuntimeError(f"{started.args!r} ended with {await started.wait()} before it said where it listens")
        line += piece
    return line.decode().strip()


async def _wait_open(port: int) -> None:
    with trio.fail_after(20):
        while True:
            try:
                (await trio.open_tcp_stream("127.0.0.1", port)).socket.close()
            except OSError:
                await trio.sleep(0.05)
            else:
                return
