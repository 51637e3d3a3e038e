"""Records of TLS as a hostile client writes them: damaged hellos, and good handshakes with damaged records behind."""

import random
import ssl

from harness.hostile_http1 import damage
from harness.memory_wire import Wire


def _client(context: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    return context.wrap_bio(incoming, outgoing, server_hostname="one.example"), incoming, outgoing


def hello(context: ssl.SSLContext, seeded: random.Random) -> Wire:
    """Begin a handshake with a hello that is damaged, cut, or none."""
    client, _, outgoing = _client(context)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        first = outgoing.read()
    kind = seeded.randrange(8)
    if kind == 0:
        first = seeded.randbytes(seeded.randint(1, 600))
    elif kind == 1:
        first = bytes((22, 3, seeded.randrange(5))) + seeded.randbytes(2) + seeded.randbytes(100)
    elif kind == 2:
        first += first
    else:
        first = damage(first, seeded)
    return Wire([first])


def conversation(context: ssl.SSLContext, pieces: list[bytes], seeded: random.Random, odd: float | None = None) -> Wire:
    """Shake hands, say `pieces`; a record is damaged with the probability `odd`."""
    client, incoming, outgoing = _client(context)
    damaging = seeded.choice((0.0, 0.0, 0.1, 0.5)) if odd is None else odd
    shaken = False

    def answer(data: bytes) -> None:
        nonlocal shaken
        incoming.write(data)
        try:
            if not shaken:
                client.do_handshake()
                shaken = True
                for piece in pieces:
                    client.write(piece)
            while client.read(65536):
                pass
        except ssl.SSLError:
            pass
        _push()

    def _push() -> None:
        if said := outgoing.read():
            wire.pieces.append(damage(said, seeded) if seeded.random() < damaging else said)

    wire = Wire([], answer)
    answer(b"")
    return wire
