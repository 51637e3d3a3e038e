"""The kinds of connections that a siege has: how the bytes of each are made, and what serves them, all in memory."""

import random
import ssl
from collections import Counter

import trio
import trustme
from admin_operations import MemoryDaemon

from gateway.admin.app import make_app
from gateway.admin.guard import admin_server
from gateway.asgi.connection import over_hypercorn
from gateway.ingress.asgi import asgi_app
from gateway.runtime import Runtime
from gateway.wire.limits import SWEEP_SECONDS, Limits
from gateway.wire.proxies import UNIX, TrustedProxies
from gateway.wire.reply import Reply
from gateway.wire.state import ServerState
from gateway.wire.tls import ServerTls, server_context
from harness import memory_wire
from harness.hostile_admin import Admin
from harness.hostile_http1 import Http1
from harness.hostile_http2 import GOOD as GOOD_HTTP2
from harness.hostile_http2 import Http2
from harness.hostile_tls import conversation, hello
from harness.memory_wire import Wire, statuses
from harness.read_by_h11 import Read

SHARES = {"http1": 86, "tls hello": 6, "tls": 1, "hypercorn http1": 4, "http2": 2, "admin": 1}
"""Of a hundred."""
GOOD = b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Hooks:
    """Takes every path by every method and remembers how it read the last connection."""

    def __init__(self):
        self.read = []
        self.then = lambda: None

    def admit(self, method, path, headers):
        return 64 * 1024

    async def handle(self, request):
        self.read.append(Read(request.method.encode(), request.path.encode(), request.query.encode(), request.body))
        self.then()
        return Reply(200, b"taken\n")


class Lane:
    """One kind of connection."""

    def __init__(self, name, make, connect, good):
        self.name, self._make, self._connect, self._good = name, make, connect, good
        self.hooks = Hooks()
        self.faults = []
        self.state = ServerState(Limits(), Runtime(), TrustedProxies(), self.faults.append)
        self.answers = Counter()
        self.served = 0
        self.live = None

    async def serve(self, watch):
        """Serve one connection to its end; give what was sent on it."""
        self.hooks.read = []
        wire = self._make()
        sent = b"".join(wire.pieces)
        await self._run(wire, watch)
        self.served += 1
        if not (wire.agreed or wire.answer):
            self.answers.update(statuses(wire.sent) or [0])
        return sent

    async def is_well(self):
        """See that a good request on a new connection is served."""
        wire = self._good()
        await self._run(wire, lambda _connection: None)
        assert b"200" in wire.sent or wire.agreed or wire.answer
        assert wire.sent

    async def sweep(self):
        """Do as the listener's sweeper; virtual time passes only where a connection waits."""
        while True:
            await trio.sleep(SWEEP_SECONDS)
            self.state.tick()
            if self.live is not None:
                self.live.sweep()

    async def _run(self, wire, watch):
        self.state.tick()
        self.live = self._connect(wire, self)
        watch(self.live)
        with trio.fail_after(300):
            await self.live.run()
        self.live = None
        assert wire.closed


def make_lanes(seed, folder):
    """Give every kind of connection by its name."""
    authority = trustme.CA()
    leaf = authority.issue_cert("one.example")
    leaf.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    leaf.private_key_pem.write_to_path(folder / "key.pem")
    tls = ServerTls(server_context(str(folder / "cert.pem"), str(folder / "key.pem"), ("http/1.1",)))
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    seeded = {name: random.Random(f"{seed} {name}") for name in SHARES}
    http1, behind, within = (Http1(seeded[name]) for name in ("http1", "hypercorn http1", "tls"))
    http2, admin = Http2(seeded["http2"]), Admin(seeded["admin"])
    runtime = Runtime()
    server = admin_server(make_app(MemoryDaemon(), None, runtime), runtime, lambda _: None)

    def plain(wire, lane):
        return memory_wire.connection(wire, "192.0.2.1", lane.state, lane.hooks)

    def encrypted(wire, lane):
        return memory_wire.connection(wire, "192.0.2.1", lane.state, lane.hooks, tls)

    def hypercorn(wire, lane):
        connect = over_hypercorn(asgi_app(lane.hooks, lane.state.runtime), lane.hooks.admit)
        return connect(wire, "192.0.2.1", None, None, lane.state)

    def administered(wire, lane):
        return server._connect(wire, UNIX, None, None, lane.state)

    def talking():
        return conversation(trusting, [GOOD], random.Random(0), odd=0.0)

    lanes = (
        Lane("http1", lambda: Wire(http1.connection()), plain, lambda: Wire([GOOD])),
        Lane("tls hello", lambda: hello(trusting, seeded["tls hello"]), encrypted, talking),
        Lane("tls", lambda: conversation(trusting, within.connection(), seeded["tls"]), encrypted, talking),
        Lane("hypercorn http1", lambda: Wire(behind.connection()), hypercorn, lambda: Wire([GOOD])),
        Lane(
            "http2", lambda: Wire(http2.connection(), agreed="h2"), hypercorn, lambda: Wire([GOOD_HTTP2], agreed="h2")
        ),
        Lane("admin", lambda: Wire(admin.connection()), administered, lambda: Wire([HEALTH])),
    )
    return {lane.name: lane for lane in lanes}
