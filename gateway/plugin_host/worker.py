"""The process in which a plugin runs, from its first instruction: limits, one socket, then the plugin.

Run by an isolated interpreter with a socket as standard input. Standard library only until the first frame came: it
tells what to import, and where from. Whoever holds the other end is our reason to live: at its end of file the process
ends at once, whatever the plugin does.
"""

import faulthandler
import os
import resource
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.plugin_host.frames import Frame, FrameReader, write_frame

HEADER_MAX: Final = 16 * 1024 * 1024
BODY_MAX: Final = 1024 * 1024 * 1024
CHUNK: Final = 256 * 1024


class Channel:
    """The socket to the daemon; any thread may send."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._frames = FrameReader(HEADER_MAX, BODY_MAX)
        self._sending = threading.Lock()

    def first(self) -> Frame:
        """Wait for the first frame."""
        while True:
            for frame in self._frames.feed(self._receive()):
                return frame

    def send(self, header: Mapping[str, Any], body: bytes = b"") -> None:
        """Send one frame."""
        with self._sending:
            for piece in write_frame(header, body):
                self._connection.sendall(piece)

    def start_reading(self, take: Callable[[Frame], None]) -> None:
        """Call `take` with each frame, in a thread of its own."""

        def read() -> None:
            data = b""  # what came together with the first frame
            while True:
                for frame in self._frames.feed(data):
                    take(frame)
                data = self._receive()

        threading.Thread(target=read, name="hookgate-frames", daemon=True).start()

    def _receive(self) -> bytes:
        try:
            data = self._connection.recv(CHUNK)
        except OSError:
            data = b""
        if not data:
            os._exit(0)
        return data


def _limit(limits: Mapping[str, int]) -> None:
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)  # noqa: PLW2901 - never above what we may
        resource.setrlimit(number, (value, value))


def main() -> None:
    """Serve one plugin; never returns."""
    _limit({"CORE": 0})  # a core would hold payloads and secrets
    channel = Channel(socket.socket(fileno=os.dup(0)))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.close(nothing)
    faulthandler.enable()
    header, _ = channel.first()
    _limit(header["limits"])
    sys.path[:] = header["path"]
    sys.dont_write_bytecode = True
    from gateway.plugin_host import serve  # noqa: PLC0415 - all but the standard library comes after the limits

    serve.run(channel, header)
    os._exit(0)  # threads that a plugin left behind do not keep us
