"""Bytes of HTTP/1.1 from its grammar: good requests, requests that readers disagree about, and damaged ones.

Seeded. About a third is good, so that what follows on the same connection is reached as well.
"""

import random
from collections.abc import Sequence

METHODS = (
    b"POST",
    b"GET",
    b"PUT",
    b"HEAD",
    b"DELETE",
    b"OPTIONS",
    b"PATCH",
    b"TRACE",
    b"CONNECT",
    b"PRI",
    b"post",
    b"P OST",
    b"",
)
TARGETS = (
    b"/hook",
    b"/hook?a=b&c",
    b"/",
    b"/hook?",
    b"/hook#x",
    b"/%2e%2e/%00",
    b"//hook",
    b"*",
    b"?",
    b"[",
    b"http://[",
    b"http://other.example/hook",
    b"/hook\xff",
    b"/hook\x00",
    b"/ hook",
    b"gateway.example:443",
    b"/" + b"a" * 20_000,
)
VERSIONS = (b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.", b"http/1.1", b"HTTP/11", b"")
HEADERS = (
    b"Content-Type: application/json",
    b"X-Hub-Signature-256: sha256=00",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: Content-Length, close",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZQ==",
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
    b"Expect: 100-continue",
    b"Expect: 200-ok",
    b"X-Forwarded-For: 1.2.3.4, [::1]:80",
    b'Forwarded: for="[::1]";proto=https',
    b"Host: other.example",
    b"Cookie: a=b",
    b"X : y",
    b"X\t: y",
    b" X: y",
    b"X: a\r\n b",
    b"X: a\x00b",
    b"X: \x80\xff",
    b"X:",
    b": x",
    b"X",
    b"X: a\rb",
    b"X: a\nY: b",
    b"X: " + b"y" * 9000,
    b"Content-Encoding: gzip",
    b"TE: trailers",
    b"Trailer: X",
    b"Keep-Alive: timeout=99999999999999999999",
)
LENGTHS = (
    b"Content-Length: %d",
    b"content-length:%d",
    b"Content-Length: %d ",
    b"Content-Length: +%d",
    b"Content-Length: -%d",
    b"Content-Length: 0%d",
    b"Content-Length: 0x%x",
    b"Content-Length: %d, 5",
    b"Content-Length: %d\r\nContent-Length: %d",
    b"Content-Length: %d\r\nContent-Length: 3",
    b"Content-Length: 3\r\nContent-Length: %d",
    b"Content_Length: %d",
    b"Content-Length : %d",
    b"Content-Length: 9%d99999999999999999",
    b"Content-Length: \xb2%d",
    b"Content-Length: %d\r\nTransfer-Encoding: identity",
)
CODINGS = (
    b"Transfer-Encoding: chunked",
    b"transfer-encoding:Chunked",
    b"Transfer-Encoding: chunked ",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding:\tchunked",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: 3",
    b"Content-Length: 3\r\nTransfer-Encoding: chunked",
)
SIZES = (
    b"%x",
    b"%X",
    b"0%x",
    b"000000000%x",
    b"+%x",
    b"-%x",
    b"0x%x",
    b" %x",
    b"%x ",
    b"%x;a=b",
    b'%x;a="\n"',
    b"%x;" + b"e" * 300,
    b"FFFFFFFF%x",
    b"%x_",
    b"",
)
ENDS = (b"\r\n", b"\n", b"\r", b"\r\r\n", b"\r\n\r\n", b"")
TRAILERS = (
    b"",
    b"",
    b"X: y\r\n",
    b"Content-Length: 9\r\n",
    b"X : y\r\n",
    b"X: \x00\r\n",
    b"X: y\n",
    b" x\r\n",
    b"T: " + b"t" * 5000 + b"\r\n",
)
SPLICES = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b":",
    b" ",
    b"\t",
    b"0",
    b"-1",
    b"ffffffff",
    b"\r\n\r\n",
    b"chunked",
    b"\xff",
    b";",
    b",",
)
INTERLUDES = (
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\x00",
    b"GET /\r\n",
)


class Http1:
    """Makes what a peer sends on one connection."""

    def __init__(self, seeded: random.Random) -> None:
        self._seeded = seeded

    def connection(self) -> list[bytes]:
        """Give the pieces of one connection, as they arrive."""
        seeded = self._seeded
        odd = seeded.choice((0.0, 0.02, 0.1, 0.3))
        data = b"".join(self.request(odd) for _ in range(seeded.choice((1, 1, 2, 3))))
        if seeded.random() < 0.1:
            data = seeded.choice(INTERLUDES) + data
        if seeded.random() < 0.3:
            data = damage(data, seeded)
        return pieces(data, seeded)

    def request(self, odd: float) -> bytes:
        """Make one request, each part of it odd by chance."""
        seeded = self._seeded
        head = [b" ".join((self._pick(METHODS, odd), self._pick(TARGETS, odd), self._pick(VERSIONS, odd)))]
        if seeded.random() >= odd:
            head.append(b"Host: gateway.example")
        body = seeded.choice(
            (b"", b"hello", b'{"a":1}', seeded.randbytes(40), b"x" * 3000, b"GET /hook HTTP/1.1\r\nHost: x\r\n\r\n")
        )
        kind = seeded.randrange(3)
        if kind == 0:
            head.append(self._length(len(body), odd))
        elif kind == 1:
            head.append(self._pick(CODINGS, odd))
            body = self._chunked(body, odd)
        else:
            body = b""
        for _ in range(seeded.choice((0, 1, 2))):
            head.insert(seeded.randint(1, len(head)), seeded.choice(HEADERS if seeded.random() < odd else HEADERS[:2]))
        end = self._pick(ENDS, odd / 4)
        return end.join(head) + end + self._pick(ENDS, odd / 4) + body

    def _pick(self, choices: Sequence[bytes], odd: float) -> bytes:
        """Give the first, the good one, or by chance another."""
        return self._seeded.choice(choices) if self._seeded.random() < odd else choices[0]

    def _length(self, count: int, odd: float) -> bytes:
        written = self._pick(LENGTHS, odd)
        return written % ((count,) * written.count(b"%"))

    def _chunked(self, body: bytes, odd: float) -> bytes:
        seeded, framed = self._seeded, b""
        while body:
            size = seeded.randint(1, len(body))
            written = self._pick(SIZES, odd)
            framed += (written % size if b"%" in written else written) + self._pick(ENDS, odd / 2)
            framed += body[:size] + self._pick(ENDS, odd / 2)
            body = body[size:]
        return framed + b"0" + self._pick(ENDS, odd / 2) + self._pick(TRAILERS, odd) + self._pick(ENDS, odd / 2)


def damage(data: bytes, seeded: random.Random) -> bytes:
    """Change some places of `data`, whatever stands there."""
    for _ in range(seeded.randint(1, 4)):
        at = seeded.randrange(len(data) + 1)
        kind = seeded.randrange(6)
        if kind == 0:
            data = data[:at] + seeded.choice(SPLICES) * seeded.choice((1, 1, 1, 2, 500)) + data[at:]
        elif kind == 1:
            data = data[:at] + data[at + seeded.randint(1, 20) :]
        elif kind == 2:
            data = data[:at] + seeded.randbytes(seeded.randint(1, 4)) + data[at + 1 :]
        elif kind == 3:
            data = data[:at] + data[: seeded.randint(0, 60)] + data[at:]
        elif kind == 4:
            data = data[:at] + bytes(byte ^ 1 << seeded.randrange(8) for byte in data[at : at + 1]) + data[at + 1 :]
        else:
            data = data[:at] or data
    return data


def pieces(data: bytes, seeded: random.Random) -> list[bytes]:
    """Cut `data` into pieces as they may arrive."""
    if seeded.random() < 0.6:
        return [data]
    if seeded.random() < 0.05:
        return [data[at : at + 1] for at in range(min(len(data), 400))] + [data[400:]]
    cuts = sorted(seeded.randrange(len(data) + 1) for _ in range(seeded.randint(1, 4)))
    return [piece for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if (piece := data[begin:end])]
