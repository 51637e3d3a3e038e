"""An HTTP target that is never what is measured: epoll, no checks, one fixed answer; it shares the load's core.

It counts requests and distinct `webhook-id`s. `GET /count` gives both as JSON; everything else is taken as a delivery.
"""

import json
import select
import socket
from typing import Final

TAKEN: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Sink:
    """All connections of one listener."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._poll = select.epoll()
        self._poll.register(self._listener, select.EPOLLIN)
        self._open: dict[int, tuple[socket.socket, bytearray]] = {}
        self.count = 0
        self.ids: set[bytes] = set()
        self.port = self._listener.getsockname()[1]

    def serve(self) -> None:
        """Answer for ever."""
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor == self._listener.fileno():
                    self._accept()
                else:
                    self._receive(descriptor)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open[connection.fileno()] = (connection, bytearray())
        self._poll.register(connection, select.EPOLLIN)

    def _receive(self, descriptor: int) -> None:
        connection, buffer = self._open[descriptor]
        try:
            data = connection.recv(262144)
        except OSError:
            data = b""
        if not data:
            self._poll.unregister(descriptor)
            del self._open[descriptor]
            connection.close()
            return
        buffer += data
        while answer := self._take(buffer):
            connection.sendall(answer)

    def _take(self, buffer: bytearray) -> bytes:
        """Take one whole request from the front of `buffer` and give its answer; nothing if it is not whole yet."""
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return b""
        head = bytes(buffer[:end]).lower()
        length = int(_value(head, b"content-length:") or 0)
        if len(buffer) < end + 4 + length:
            return b""
        del buffer[: end + 4 + length]
        if head.startswith(b"get /count"):
            body = json.dumps({"count": self.count, "distinct": len(self.ids)}).encode()
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        self.count += 1
        self.ids.add(_value(head, b"webhook-id:"))
        return TAKEN


def _value(head: bytes, name: bytes) -> bytes:
    place = head.find(name)
    return head[place + len(name) :].split(b"\r\n", 1)[0].strip() if place >= 0 else b""


if __name__ == "__main__":
    sink = Sink()
    print(sink.port, flush=True)
    sink.serve()
