"""The denominator of every benchmark: what trio's sockets and httptools do for an HTTP request, and nothing else.

It reads the whole body and answers 200 with it. It has no deadline, no limit and no check, and must never get one: a
figure of the gateway is given as a share of this one, measured in the same run on the same core. The gateway's own
listener may use what is below trio's sockets; the yardstick stays what it is.
"""

import argparse
from contextlib import suppress
from typing import Final

import httptools
import trio

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"


class Echo:
    """What one connection has received: a body, and the replies that are due."""

    def __init__(self) -> None:
        self.body: list[bytes] = []
        self.replies: list[bytes] = []

    def on_body(self, piece: bytes) -> None:
        """Keep a piece of the body."""
        self.body.append(piece)

    def on_message_complete(self) -> None:
        """Answer with the body."""
        body = b"".join(self.body)
        self.body.clear()
        self.replies.append(OK % (len(body), body))


async def converse(connection: trio.socket.SocketType) -> None:
    """Answer one connection's requests until it ends."""
    with connection, suppress(OSError):
        echo = Echo()
        parser = httptools.HttpRequestParser(echo)
        while received := await connection.recv(65536):
            parser.feed_data(received)
            if echo.replies:
                await connection.send(b"".join(echo.replies))
                echo.replies.clear()


async def serve(port: int) -> None:
    """Accept for ever; print the address first."""
    listener = trio.socket.socket()
    listener.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEADDR, 1)
    await listener.bind(("127.0.0.1", port))
    listener.listen(1024)
    print("http://{}:{}".format(*listener.getsockname()), flush=True)
    async with trio.open_nursery() as nursery:
        while True:
            connection, _ = await listener.accept()
            nursery.start_soon(converse, connection)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0)
    trio.run(serve, arguments.parse_args().port)
