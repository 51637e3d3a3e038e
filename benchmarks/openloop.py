"""An open-loop load generator: requests leave at a fixed rate whatever the answers do.

Latency counts from the moment a request was *meant* to leave, so that a server that stalls pays for every request
that had to wait behind the stall; a closed loop (wrk) would send fewer of them and look well. Plain sockets and
epoll in one thread: about 20 µs a request, so that it is never what is measured below some 20,000 requests a second.
Prints one JSON object.
"""

import argparse
import json
import select
import socket
import sys
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from payloads import NUMBER, truework_request, truora_request

NAP: Final = 100e-6
GRACE_SECONDS: Final = 60.0
"""How long answers may still come after the last request left: a disk may stall for long, but each must be counted."""


class Connection:
    """One keep-alive connection with at most one request on it."""

    __slots__ = ("intended", "pending", "received", "socket")

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.intended = 0.0
        self.pending = b""
        self.received = b""

    def status(self) -> int:
        """Give the status of the answer once all of it is there, else 0."""
        head = self.received.find(b"\r\n\r\n")
        if head < 0:
            return 0
        low = self.received[:head].lower()
        place = low.find(b"content-length:")
        length = int(low[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
        if len(self.received) < head + 4 + length:
            return 0
        status = int(self.received[9:12])
        self.received = b""
        return status


class Generator:
    """Sends `total` requests at `rate` a second and measures each."""

    def __init__(
        self, address: tuple[str, int], rate: float, total: int, connections: int, make: Callable[[int], bytes]
    ) -> None:
        self._rate, self._total, self._make = rate, total, make
        self._poll = select.epoll()
        self._open = {}
        for _ in range(connections):
            connection = Connection(address)
            self._open[connection.socket.fileno()] = connection
            self._poll.register(connection.socket, select.EPOLLIN)
        self._idle = deque(self._open.values())
        self.latencies = array("d")
        self.statuses: Counter[int] = Counter()
        self.broken = 0
        self.seconds = 0.0

    def run(self) -> None:
        """Send all, then wait for the answers that are still to come."""
        began = time.perf_counter()
        sent = 0
        give_up = began + self._total / self._rate + GRACE_SECONDS
        while sent < self._total or len(self._idle) < len(self._open):
            now = time.perf_counter()
            if now > give_up or not self._open:
                break
            while self._idle and sent < self._total and (intended := began + sent / self._rate) <= now:
                self._send(self._idle.popleft(), self._make(sent), intended)
                sent += 1
            ready = self._poll.poll(0)
            for descriptor, _ in ready:
                self._receive(self._open[descriptor])
            if not ready:
                time.sleep(NAP)
        self.seconds = time.perf_counter() - began
        for connection in self._open.values():
            connection.socket.close()

    def report(self) -> dict[str, Any]:
        """What was measured; times in milliseconds."""
        ordered = sorted(self.latencies)
        good = sum(count for status, count in self.statuses.items() if 200 <= status < 300)
        return {
            "wanted_rate": self._rate,
            "rate": len(ordered) / self.seconds,
            "sent": self._total,
            "answered": len(ordered),
            "taken": good,
            "statuses": dict(self.statuses),
            "broken": self.broken,
            "p50_ms": _percentile(ordered, 0.50),
            "p99_ms": _percentile(ordered, 0.99),
            "p999_ms": _percentile(ordered, 0.999),
            "max_ms": _percentile(ordered, 1.0),
        }

    def _send(self, connection: Connection, data: bytes, intended: float) -> None:
        connection.intended = intended
        try:
            sent = connection.socket.send(data)
        except OSError:
            self._drop(connection)
            return
        if sent < len(data):
            raise RuntimeError("a request of 1 kB did not fit the socket's buffer: too many are in flight")

    def _receive(self, connection: Connection) -> None:
        try:
            data = connection.socket.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
            return
        connection.received += data
        if status := connection.status():
            self.latencies.append(time.perf_counter() - connection.intended)
            self.statuses[status] += 1
            self._idle.append(connection)

    def _drop(self, connection: Connection) -> None:
        self.broken += 1
        self._poll.unregister(connection.socket)
        del self._open[connection.socket.fileno()]
        if connection in self._idle:
            self._idle.remove(connection)
        connection.socket.close()


def _percentile(ordered: list[float], share: float) -> float:
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("inf")


def _truework(tag: str, token: str) -> Callable[[int], bytes]:
    before, after = truework_request(tag, token)
    return lambda number: before + NUMBER % number + after


def _truora(path: Path, total: int) -> Callable[[int], bytes]:
    requests = [truora_request(line) for line in path.read_bytes().split(b"\n", total)[:total]]
    if len(requests) < total:
        raise SystemExit(f"{path} has {len(requests)} tokens, the run needs {total}")
    return requests.__getitem__


def main() -> None:
    """Run once as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--tag", default="open")
    parser.add_argument("--token", default="", help="the Truework token")
    parser.add_argument("--truora", type=Path, help="send the tokens of this file instead")
    chosen = parser.parse_args()
    total = int(chosen.rate * chosen.seconds)
    make = _truora(chosen.truora, total) if chosen.truora else _truework(chosen.tag, chosen.token)
    generator = Generator(("127.0.0.1", chosen.port), chosen.rate, total, chosen.connections, make)
    generator.run()
    json.dump(generator.report(), sys.stdout)


if __name__ == "__main__":
    main()
