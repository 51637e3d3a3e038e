"""Thousands of connections that keep a server waiting, in a process of their own: so they disturb no measurement.

`python hostile_peers.py PORT '{"heads": 2000, "bodies": 2000, "readers": 200}'` opens them from many loopback
addresses, because of the cap for each peer, and prints `open` once they are all there. Then it keeps at it until the
server has ended every one, or `--seconds` are over, and prints one JSON object: how many of each kind, and when they
were ended. One thread, plain sockets.

heads: a header line that grows by a byte a second.
bodies: one half a byte a second, one half just above the least rate that a server takes.
readers: ask for more than any buffer holds and never read an answer.
"""

import argparse
import json
import select
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

PER_ADDRESS = 200
TICK = 1.0
"""Seconds between two bytes."""
BURST = 150
"""Bytes a second of a body that is just fast enough."""
HEAD = b"POST /hooks/truework HTTP/1.1\r\nHost: hooks.example\r\n"
BODY = HEAD + b"X-Truework-Token: guess\r\nContent-Type: application/json\r\nContent-Length: 20000\r\n\r\n"
ECHO = b"GET /hooks/dropbox?challenge=" + b"x" * 4000 + b" HTTP/1.1\r\nHost: hooks.example\r\n\r\n"
"""An answer of four thousand bytes for whoever asks."""
REFUSED_WITHIN = 2.0
"""Seconds: what is ended sooner was not taken in the first place."""


class Peer:
    """One connection and what it does."""

    def __init__(self, kind: str, address: str, port: int, drip: bytes) -> None:
        self.kind, self.drip = kind, drip
        self.ended: float | None = None
        self.socket = socket.socket()
        if kind == "readers":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
        self.socket.bind((address, 0))
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.began = time.monotonic()

    def send(self, data: bytes) -> None:
        """Send what fits; that it is ended is noticed by the poll."""
        with suppress(OSError):
            self.socket.send(data)

    def is_over(self) -> bool:
        """Tell whether the server has ended it, once the poll reports something; `readers` are told of a reset only."""
        if self.kind == "readers":
            return True
        try:
            while data := self.socket.recv(65536):
                del data
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True


def open_all(port: int, counts: dict[str, int]) -> Iterator[Peer]:
    """Open them all, kinds mixed, each address with its share."""
    first = {"heads": HEAD + b"X: ", "bodies": BODY, "readers": ECHO * 16}
    kinds = sorted((at / count, kind, at) for kind, count in counts.items() for at in range(count))
    for number, (_, kind, at) in enumerate(kinds):
        quick = kind == "bodies" and at % 2
        peer = Peer(kind, f"127.0.0.{number // PER_ADDRESS + 2}", port, b"x" * BURST if quick else b"x")
        peer.send(first[kind])
        yield peer


def drip(peers: list[Peer], seconds: float) -> None:
    """Keep them going until all are ended, or time is over. Spread over the second, so that they come one by one."""
    poll = select.epoll()
    living = {peer.socket.fileno(): peer for peer in peers}
    for number, peer in living.items():
        poll.register(number, 0 if peer.kind == "readers" else select.EPOLLIN)
    until, turn = time.monotonic() + seconds, 0
    slices = 50
    while living and time.monotonic() < until:
        at = time.monotonic()
        for peer in list(living.values())[turn::slices]:
            peer.send(ECHO * 4 if peer.kind == "readers" else peer.drip)
        turn = (turn + 1) % slices
        for number, _ in poll.poll(0):
            peer = living[number]
            if peer.is_over():
                peer.ended = time.monotonic() - peer.began
                poll.unregister(number)
                del living[number]
                peer.socket.close()
        time.sleep(max(0.0, TICK / slices - (time.monotonic() - at)))
    for peer in living.values():
        peer.socket.close()


def report(peers: list[Peer]) -> dict[str, dict[str, float]]:
    """Say of each kind how many there were, how many were refused at once, and when the others were ended."""
    found = {}
    for kind in sorted({peer.kind for peer in peers}):
        ended = sorted(peer.ended for peer in peers if peer.kind == kind and peer.ended is not None)
        held = [each for each in ended if each >= REFUSED_WITHIN]
        found[kind] = {
            "opened": sum(peer.kind == kind for peer in peers),
            "ended": len(ended),
            "refused": len(ended) - len(held),
            "first": round(held[0], 1) if held else 0.0,
            "last": round(held[-1], 1) if held else 0.0,
        }
    return found


def main() -> None:
    """Do as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("counts", type=json.loads)
    parser.add_argument("--seconds", type=float, default=90.0)
    chosen = parser.parse_args()
    peers = list(open_all(chosen.port, chosen.counts))
    sys.stdout.write("open\n")
    sys.stdout.flush()
    drip(peers, chosen.seconds)
    json.dump(report(peers), sys.stdout)


if __name__ == "__main__":
    main()
