"""Forges requests: takes one that a provider made, changes it somewhere, and writes it as a stranger would send it.

Seeded: the same seed makes the same forgeries. It aims at what carries the proof as often as at all the rest. What a
change means is not known here; `harness.proven` judges that.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from gateway.core.model import Request
from harness.mangle import BODY, ODD, TEXT, change

DAY_MS = 86_400_000
_SHIFTS = (-DAY_MS, -3_600_000, -301_500, -61_000, -1000, 1000, 6000, 301_500, 3_600_000, DAY_MS, 30 * DAY_MS)
_STRANGERS = ("192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "127.0.0.1", "unix")
_METHODS = ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "post", "POSTS", "CONNECT")
_RAW = (b"\r\n", b"\n", b"\r", b"\0", b":", b" :", b"\n ", b"content-length: 0\r\n", b"transfer-encoding: chunked\r\n")
_MORE = (
    (b"content-encoding", b"gzip"),
    (b"content-type", b"application/json"),
    (b"content-type", b"application/x-www-form-urlencoded"),
    (b"content-type", b""),
    (b"x-http-method-override", b"GET"),
    (b"x-original-url", b"/hooks/other"),
    (b"expect", b"100-continue"),
)


@dataclass(slots=True)
class Draft:
    """A request while it is being changed."""

    method: str
    path: str
    query: str
    headers: list[tuple[bytes, bytes]]
    body: bytes
    client: str
    at: int
    raw: int = 0
    """How many places of the bytes of its head are damaged once they are written."""
    chunked: bool = False


@dataclass(frozen=True, slots=True)
class Forgery:
    """What is sent, by whom and when (milliseconds since 1970)."""

    wire: bytes
    client: str
    at: int
    how: str


class Forger:
    """Makes forgeries of `genuine` requests; `unsigned` are the same ones before they were signed."""

    def __init__(self, genuine: Sequence[Request], unsigned: Sequence[Request], seeded: random.Random) -> None:
        self._genuine = genuine
        self._added = [
            {name for name, value in one.headers if (name, value) not in set(before.headers)}
            for one, before in zip(genuine, unsigned, strict=True)
        ]
        self._seeded = seeded
        self._which = 0
        self._ways: list[Callable[[Draft], None]] = [
            *[self._proof] * 8,
            *[self._body] * 6,
            *[self._header, self._query, self._moment] * 2,
            *[self._method, self._path, self._sender, self._splice, self._raw, self._framing],
        ]

    def forge(self) -> Forgery:
        """Make one."""
        self._which = self._seeded.randrange(len(self._genuine))
        one = self._genuine[self._which]
        draft = Draft(one.method, one.path, one.query, list(one.headers), one.body, one.client, one.received_at)
        ways = self._seeded.choices(self._ways, k=self._seeded.choice((1, 1, 1, 2, 3)))
        for way in ways:
            way(draft)
        return Forgery(self._written(draft), draft.client, draft.at, " ".join(way.__name__[1:] for way in ways))

    def _proof(self, draft: Draft) -> None:
        """Change what signing added: a header, or else the query, the body or the sender."""
        places = [at for at, (name, _) in enumerate(draft.headers) if name in self._added[self._which]]
        if places:
            self._change_header(draft, self._seeded.choice(places))
        else:
            self._seeded.choice((self._query, self._body, self._sender))(draft)

    def _header(self, draft: Draft) -> None:
        if draft.headers:
            self._change_header(draft, self._seeded.randrange(len(draft.headers)))

    def _change_header(self, draft: Draft, at: int) -> None:
        seeded = self._seeded
        name, value = draft.headers[at]
        what = seeded.randrange(9)
        if what == 0:
            del draft.headers[at]
        elif what == 1:
            draft.headers.insert(seeded.choice((0, at, len(draft.headers))), (name, change(value, TEXT, seeded)))
        elif what == 2:
            draft.headers.append((name, seeded.choice((value, b"", b"x"))))
        elif what == 3:
            draft.headers[at] = (name.replace(b"-", b"_") if b"-" in name else name + b"-", value)
        elif what == 4:
            draft.headers[at] = (name, dict(seeded.choice(self._genuine).headers).get(name, b""))
        else:
            draft.headers[at] = (name, change(value, TEXT, seeded))

    def _body(self, draft: Draft) -> None:
        draft.body = change(draft.body, BODY, self._seeded)

    def _method(self, draft: Draft) -> None:
        draft.method = self._seeded.choice(_METHODS)

    def _path(self, draft: Draft) -> None:
        path = draft.path or "/"
        at = self._seeded.randrange(len(path))
        changed = (
            path + "/",
            "/" + path,
            path + ";x",
            path.upper(),
            "/." + path,
            "/x/.." + path,
            f"{path[:at]}%{ord(path[at]):02x}{path[at + 1 :]}",
            path[:at],
            path[:at] + "/" + path[at:],
            "http://hooks.example" + path,
            path + "%00",
            path + "#x",
        )
        draft.path = self._seeded.choice(changed)

    def _query(self, draft: Draft) -> None:
        seeded, query = self._seeded, draft.query
        at = seeded.randrange(len(query) + 1)
        changed = (
            query + "&a=b",
            "a=b" + query,
            "",
            query + "&" + query,
            query[:at],
            query[:at] + quote(query[at : at + 1] or "x", safe="") + query[at + 1 :],
            query[:at] + chr(seeded.randrange(48, 123)) + query[at + 1 :],
            query.swapcase(),
            query.replace("=", "[]="),
            query + "?",
        )
        draft.query = seeded.choice(changed)

    def _moment(self, draft: Draft) -> None:
        draft.at += self._seeded.choice(_SHIFTS)

    def _sender(self, draft: Draft) -> None:
        draft.client = self._seeded.choice(_STRANGERS)
        if self._seeded.random() < 0.5:
            draft.headers.append((b"x-forwarded-for", self._seeded.choice(self._genuine).client.encode()))

    def _splice(self, draft: Draft) -> None:
        """Put the body or the headers of another request of the same provider in."""
        other = self._seeded.choice(self._genuine)
        if self._seeded.random() < 0.5:
            draft.body = other.body
        else:
            draft.headers = list(other.headers)

    def _raw(self, draft: Draft) -> None:
        draft.raw += 1

    def _framing(self, draft: Draft) -> None:
        draft.chunked = self._seeded.random() < 0.6
        if self._seeded.random() < 0.6:
            draft.headers.append(self._seeded.choice(_MORE))

    def _written(self, draft: Draft) -> bytes:
        target = f"{draft.path}?{draft.query}" if draft.query else draft.path
        lines = [f"{draft.method} {target} HTTP/1.1".encode(), b"host: hooks.example"]
        lines += [b"%b: %b" % pair for pair in draft.headers]
        body = draft.body
        if draft.chunked:
            at = self._seeded.randrange(len(body) + 1)
            pieces = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:at], body[at:]) if piece]
            body = b"".join(pieces) + b"0\r\n\r\n"
            lines.append(b"transfer-encoding: chunked")
        else:
            lines.append(b"content-length: %d" % len(body))
        head = b"\r\n".join(lines) + b"\r\n\r\n"
        for _ in range(draft.raw):
            at = self._seeded.randrange(len(head))
            head = head[:at] + self._seeded.choice((*_RAW, *ODD, b"")) + head[at + self._seeded.randrange(3) :]
        return head + body
