"""Requests to the admin API: its own paths with parameters and bodies that nobody would send in good faith."""

import json
import random
from urllib.parse import quote

from harness.hostile_http1 import damage, pieces

TEXT = "evt_0123456789abcdef"
READS = ("/health", "/ready", "/metrics", "/status", "/events", "/deliveries", "/targets", "/replays", "/audit")
ONE = (
    f"/events/{TEXT}",
    f"/deliveries/{TEXT}/0",
    f"/replays/{TEXT}",
    "/events/evt_x",
    f"/deliveries/{TEXT}/-1",
    "/targets/",
)
CHANGES = (
    "/retry",
    "/cancel",
    "/replay",
    f"/replays/{TEXT}/cancel",
    "/reload",
    "/targets/crm/hold",
    "/targets/crm/release",
    "/targets/crm/enable",
    "/targets/%00/hold",
    "/targets/../reload",
)
NAMES = (
    "source",
    "type",
    "version",
    "target",
    "state",
    "after",
    "before",
    "since",
    "until",
    "limit",
    "cursor",
    "hold",
    "event",
    "reason",
    "x",
)
TEXTS = (
    "",
    "a",
    "*",
    "dead",
    "-1",
    "0",
    "1e999",
    "99999999999999999999",
    "2026-01-01T00:00:00Z",
    "9999-99-99",
    "30s",
    "\x00",
    "\u0661",
    "%",
    "[",
    "a" * 3000,
    TEXT,
    "' OR 1=1 --",
    "../../etc/passwd",
)
VALUES = (
    None,
    True,
    False,
    0,
    -1,
    2**70,
    1e300,
    "",
    "*",
    TEXT,
    "crm",
    [],
    ["crm"],
    [None],
    {},
    {"a": {}},
    "a" * 5000,
    "\ud7ff",
    [[[[]]]],
    "30s",
)
FIELDS = (
    "events",
    "deliveries",
    "filter",
    "targets",
    "target",
    "reason",
    "pace",
    "id",
    "state",
    "limit",
    "dry_run",
    "source",
    "type",
    "since",
    "until",
    "seconds",
)


class Admin:
    """Makes what a peer of the admin socket sends on one connection."""

    def __init__(self, seeded: random.Random) -> None:
        self._seeded = seeded

    def connection(self) -> list[bytes]:
        """Give the pieces of one connection."""
        seeded = self._seeded
        data = b"".join(self._request() for _ in range(seeded.choice((1, 1, 2))))
        return pieces(damage(data, seeded) if seeded.random() < 0.15 else data, seeded)

    def _request(self) -> bytes:
        seeded = self._seeded
        if seeded.random() < 0.5:
            method, path, body = "GET", seeded.choice((*READS, *ONE)), b""
        else:
            method, path, body = "POST", seeded.choice(CHANGES), self._body()
        if seeded.random() < 0.1:
            method = seeded.choice(("HEAD", "PUT", "DELETE", "OPTIONS"))
        query = "&".join(
            f"{seeded.choice(NAMES)}={quote(seeded.choice(TEXTS))}" for _ in range(seeded.choice((0, 1, 2, 5)))
        )
        kind = seeded.choice(("application/json",) * 5 + ("text/plain", "application/json; charset=x", ""))
        head = f"{method} {path}{'?' if query else ''}{query} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\n"
        who = seeded.choice(
            ("", "", "hookgate-user: ann\r\n", "hookgate-user: \xff\r\n", "origin: http://evil.example\r\n")
        )
        return f"{head}{who}content-length: {len(body)}\r\n\r\n".encode("latin-1") + body

    def _body(self) -> bytes:
        seeded = self._seeded
        kind = seeded.randrange(12)
        if kind == 0:
            return seeded.choice((b"", b"{", b"null", b"[]", b"\xff", b"[" * 50_000, b'{"a":NaN}', b'{"id":1,"id":2}'))
        if kind == 1:
            return seeded.randbytes(30)
        document = {seeded.choice(FIELDS): seeded.choice(VALUES) for _ in range(seeded.randint(0, 5))}
        if seeded.random() < 0.5:
            document["filter"] = {seeded.choice(FIELDS): seeded.choice(VALUES) for _ in range(seeded.randint(0, 4))}
        return json.dumps(document).encode()
