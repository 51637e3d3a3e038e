"""Frames of HTTP/2 (RFC 9113) as a hostile client writes them: good requests among frames that break every rule."""

import random

from hpack import Encoder

from harness.hostile_http1 import damage, pieces

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
ODD_FIELDS = (
    (b":path", b"/hook\xff"),
    (b":path", b"*"),
    (b":path", b""),
    (b":method", b"CONNECT"),
    (b":method", b"PO ST"),
    (b":scheme", b"ftp"),
    (b":protocol", b"websocket"),
    (b":status", b"200"),
    (b":authority", b"a\r\nb"),
    (b"connection", b"upgrade"),
    (b"transfer-encoding", b"chunked"),
    (b"content-length", b"99"),
    (b"content-length", b"-1"),
    (b"host", b"other.example"),
    (b"X-Upper", b"y"),
    (b"x y", b"z"),
    (b"x", b"a\r\ninjected: b"),
    (b"x", b"\x00"),
    (b"", b""),
    (b"x" * 300, b"y" * 5000),
    (b"te", b"gzip"),
    (b"expect", b"100-continue"),
    (b"cookie", b"a=b"),
)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Write one frame; its length is what the payload has."""
    return len(payload).to_bytes(3, "big") + bytes([kind & 255, flags & 255]) + stream.to_bytes(4, "big") + payload


_FIELDS = [(b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"gateway.example"), (b":path", b"/hook")]
GOOD = PREFACE + frame(SETTINGS, 0, 0, b"") + frame(HEADERS, 0x5, 1, Encoder().encode(_FIELDS))


class Http2:
    """Makes what a peer sends on one connection."""

    def __init__(self, seeded: random.Random) -> None:
        self._seeded = seeded

    def connection(self) -> list[bytes]:
        """Give the pieces of one connection, preface included."""
        seeded = self._seeded
        self._encoder, self._stream = Encoder(), 1
        odd = seeded.choice((0.0, 0.1, 0.3))
        frames = [frame(SETTINGS, 0, 0, self._settings(odd))]
        frames += [
            self._odd_frame() if seeded.random() < odd else self._request(odd) for _ in range(seeded.randint(1, 6))
        ]
        if seeded.random() < odd:
            seeded.shuffle(frames)
        data = PREFACE + b"".join(frames)
        if seeded.random() < 0.3:
            data = data[:24] + damage(data[24:], seeded) if seeded.random() < 0.8 else damage(data, seeded)
        return pieces(data, seeded)

    def _settings(self, odd: float) -> bytes:
        seeded = self._seeded
        if seeded.random() >= odd:
            return b""
        entry = b"".join(
            seeded.randrange(9).to_bytes(2, "big") + seeded.choice((0, 1, 100, 2**31 - 1, 2**32 - 1)).to_bytes(4, "big")
            for _ in range(seeded.randint(1, 5))
        )
        return entry + seeded.randbytes(seeded.choice((0, 0, 0, 1)))

    def _request(self, odd: float) -> bytes:
        seeded, stream = self._seeded, self._stream
        self._stream += seeded.choice((2, 2, 2, 1, 0, 100)) if seeded.random() < odd else 2
        fields = list(_FIELDS)
        for _ in range(seeded.randint(1, 3) if seeded.random() < odd else 0):
            fields.insert(seeded.randrange(len(fields) + 1), seeded.choice(ODD_FIELDS))
        if seeded.random() < odd:
            fields.pop(seeded.randrange(len(fields)))
        block = self._encoder.encode(fields, huffman=seeded.random() < 0.5)
        body = seeded.choice((b"", b"hello", seeded.randbytes(300), b"x" * 9000))
        ends = 0x1 if not body else 0
        cut = seeded.randrange(len(block) + 1) if seeded.random() < 0.2 else len(block)
        written = frame(HEADERS, ends | (0x4 if cut == len(block) else 0), stream, block[:cut])
        if cut < len(block):
            written += frame(CONTINUATION, 0x4, stream, block[cut:])
        if body:
            written += frame(DATA, 0x1 if seeded.random() < 0.9 else 0, stream, body)
        if seeded.random() < odd:
            written += frame(RST_STREAM, 0, stream, bytes(4))
        return written

    def _odd_frame(self) -> bytes:
        seeded = self._seeded
        stream = seeded.choice((0, 1, self._stream, self._stream + 2, 2, 2**31 - 1, 2**32 - 1))
        kind = seeded.choice((*range(10), 10, 16, 255))
        length = seeded.choice((0, 1, 4, 5, 6, 8, 9, 40, 16_384, 17_000))
        return frame(
            kind, seeded.choice((0, 1, 4, 5, 8, 0x20, 0xFF, seeded.randrange(256))), stream, seeded.randbytes(length)
        )
