"""Connections of senders to the daemon: real sockets, in pairs, without a network between them."""

import socket

import trio

HEAD_END = b"\r\n\r\n"
PATIENCE_SECONDS = 15.0


class MemoryListener:
    """What `Runtime.listen_tcp` gives: the daemon accepts from it what `connect` puts there."""

    family = trio.socket.AF_INET

    def __init__(self, port):
        self._port = port
        self._send, self._receive = trio.open_memory_channel(1000)
        self.closed = False
        self._waiting = []

    def getsockname(self):
        return ("127.0.0.1", self._port)

    def setsockopt(self, *_):
        """Nothing to set."""

    def close(self):
        """Take no more, and let go whom nobody accepted: once when the daemon says so, again when its process ends."""
        self.closed = True
        self._send.close()
        for waiting in self._waiting:
            waiting.close()

    async def accept(self):
        """Take one connection."""
        try:
            accepted = await self._receive.receive()
        except trio.EndOfChannel:
            await trio.sleep_forever()
        self._waiting.remove(accepted)
        return accepted, ("192.0.2.1", 4711)

    def connect(self):
        """Give the sender's end of a new connection. Raises ConnectionRefusedError."""
        if self.closed:
            raise ConnectionRefusedError
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self._waiting.append(theirs)
        self._send.send_nowait(theirs)
        return trio.SocketStream(trio.socket.from_stdlib_socket(ours))


async def exchange(listener, head, body):
    """Send one request and give the status of its answer; None if there was none, or it took too long."""
    with trio.move_on_after(PATIENCE_SECONDS):
        return await _exchange(listener, head, body)
    return None


async def _exchange(listener, head, body):
    try:
        async with listener.connect() as connection:
            await connection.send_all(head + body)
            answer = b""
            while HEAD_END not in answer:
                received = await connection.receive_some(4096)
                if not received:
                    return None
                answer += received
            return int(answer[9:12])
    except (OSError, trio.BrokenResourceError):
        return None


async def send_and_leave(listener, head, body):
    """Send one request and go before its answer comes."""
    try:
        async with listener.connect() as connection:
            await connection.send_all(head + body)
            await trio.lowlevel.checkpoint()
    except (OSError, trio.BrokenResourceError):
        return
