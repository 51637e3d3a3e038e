"""What systemd does for `hookgate-exec.socket` (Accept=yes): one helper process for each connection."""

import subprocess
import sys
from contextlib import asynccontextmanager

import trio

HELPER = (sys.executable, "-I", "-m", "gateway.exec_helper")


class ExecSocket:
    """Where it listens, and the helpers it started."""

    def __init__(self, path):
        self.path = str(path)
        self.helpers = []

    def serve(self, connection, arguments):
        with connection:
            self.helpers.append(
                subprocess.Popen([*HELPER, *arguments], stdin=connection.fileno(), env={}, start_new_session=True)
            )


@asynccontextmanager
async def exec_socket(path, *arguments):
    """Listen at `path` and start a helper with `arguments` for each connection; ended when the context ends."""
    with trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM) as listener:
        await listener.bind(str(path))
        listener.listen(100)
        world = ExecSocket(path)

        async def accept():
            while True:
                connection, _ = await listener.accept()
                world.serve(connection, arguments)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept)
            try:
                yield world
            finally:
                nursery.cancel_scope.cancel()
                for helper in world.helpers:
                    helper.wait(timeout=30)
