"""Peers of the real daemon that get stuck, and stay so: clients, targets, programs, plugins, a resolver.

A peer is opened before the daemon starts (`tables` then holds what its configuration needs, `before` what stands before
its command), and `hold`, once the daemon runs, returns when the peer holds something of it. What either opens ends with
the stack it was given.
"""

import json
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import trio
from h2.connection import H2Configuration, H2Connection
from h2.settings import SettingCodes, Settings

from harness.http2 import http2
from harness.mail import HANG, told_server
from harness.senders import truework
from harness.settings import ORDERS_TOKEN
from harness.sink import Fault, open_sink

HOLD_SECONDS = 60
"""Until a peer holds something, with many daemons starting at once."""
RETRY = 'timeout = "5m"\nretry = { first = "1s", give_up = "1d" }\n'
SLEEPS = "trap '' TERM INT HUP\necho $$ > \"$2\"\nwhile :; do sleep 1; done\n"
PLUGIN = """
import threading
from pathlib import Path
from gateway.plugin import Delivered, Options, target

class {name}Options(Options):
    mark: str

@target({name}Options)
def {name}(message, options):
    Path(options.mark).touch()
    threading.Event().wait()
    return Delivered()
"""


class Peer:
    """One that gets stuck; what a kind does not say is nothing."""

    target = ""
    """Its table's name, if it is a target."""

    def __init__(self, home, stack):
        self.home, self.stack = home, stack
        self.tables = ""
        self.before = ()

    async def open(self):
        """Start what it needs."""

    async def hold(self, daemon, stack):
        """Wait until it holds something."""

    def table(self, text):
        return f"[targets.{self.target}]\n{text}\n{RETRY}"


class SlowHead(Peer):
    async def hold(self, daemon, stack):
        connection = await _dial(stack, str(self.home.folder / "in.sock"))
        await connection.send(truework("stuck", ORDERS_TOKEN).wire()[:40])


class SlowBody(Peer):
    async def hold(self, daemon, stack):
        connection = await _dial(stack, str(self.home.folder / "in.sock"))
        await connection.send(truework("stuck", ORDERS_TOKEN).wire()[:-100])


class ReadsNothing(Peer):
    async def hold(self, daemon, stack):
        connection = await _dial(stack, str(self.home.folder / "in.sock"))
        with trio.move_on_after(1):
            while True:
                await connection.send(truework("x", "wrong").wire() * 20)


class AdminReadsNothing(Peer):
    async def hold(self, daemon, stack):
        connection = await _dial(stack, str(self.home.admin))
        with trio.move_on_after(1):
            while True:
                await connection.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)


class Handshake(Peer):
    """A TLS client that never ends its first message, and one that says nothing."""

    async def hold(self, daemon, stack):
        for said in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b""):
            connection = await _dial(stack, ("127.0.0.1", daemon.port))
            await connection.send(said)


class NoWindow(Peer):
    """HTTP/2 with a window of nothing: its answers can never be sent."""

    def __init__(self, home, stack, trusting):
        super().__init__(home, stack)
        self.trusting = trusting

    async def hold(self, daemon, stack):
        place = ("127.0.0.1", daemon.port)
        client = await stack.enter_async_context(http2(place, self.trusting, "hooks.example", begin=False))
        client.h2 = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        client.h2.local_settings = Settings(client=True, initial_values={SettingCodes.INITIAL_WINDOW_SIZE: 0})
        client.h2.initiate_connection()
        await client.flush()
        request = truework("stuck", "wrong")
        await client.send_body(await client.begin("POST", request.path, *request.headers), request.body)


class HttpTarget(Peer):
    target = "http"

    async def open(self):
        self.sink = await self.stack.enter_async_context(open_sink())
        self.sink.fault = Fault(hang=True)
        self.tables = self.table(f'type = "http"\nurl = "{self.sink.url}"')

    async def hold(self, daemon, stack):
        await self.sink.wait(lambda sink: sink.arrivals, HOLD_SECONDS)


class MailTarget(Peer):
    """A mail server that has read a mail and never answers."""

    target = "email"

    async def open(self):
        self.server = await self.stack.enter_async_context(told_server(**{".": HANG}))
        smtp = f'[smtp]\nhost = "127.0.0.1"\nport = {self.server.port}\ntls = "none"\nfrom = "hookgate@acme.example"\n'
        self.tables = smtp + self.table('type = "email"\nto = ["ops@acme.example"]\nsubject = "{event.id}"')

    async def hold(self, daemon, stack):
        await _until(lambda: self.server.contents)


class Marked(Peer):
    """One that touches a file and then never ends."""

    @property
    def mark(self) -> Path:
        return self.home.folder / f"{self.target}.mark"

    async def hold(self, daemon, stack):
        await _until(self.mark.exists)


class Program(Marked):
    """A program that ignores every signal that can be ignored; its mark holds its process id."""

    target = "shell"

    async def open(self):
        (self.home.folder / "sleeps.sh").write_text(SLEEPS)
        command = json.dumps(["/bin/sh", str(self.home.folder / "sleeps.sh"), "--", str(self.mark)])
        self.tables = self.table(f'type = "shell"\ncommand = {command}\nexec = "daemon"')


class WorkerPlugin(Marked):
    target, more = "worker", ""

    async def open(self):
        folder = self.home.folder / "plugins"
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / f"{self.target}.py").write_text(PLUGIN.format(name=self.target.title()))
        (folder / f"{self.target}.py").chmod(0o600)
        self.tables = self.table(f'type = "{self.target}"\nmark = "{self.mark}"\n{self.more}')


class InlinePlugin(WorkerPlugin):
    """Its thread is the daemon's own."""

    target, more = "inline", 'isolation = "inline"\n'


class Resolver(Peer):
    """The machine's name server takes questions and never answers; the system's resolver waits for it in a thread."""

    target = "named"

    async def open(self):
        self.hole = self.stack.enter_context(trio.socket.socket(type=socket.SOCK_DGRAM))
        address = await _free_loopback(self.hole)
        conf = self.home.folder / "resolv.conf"
        conf.write_text(f"nameserver {address}\noptions timeout:30 attempts:5\n")
        self.before = ("unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', str(conf))
        self.tables = self.table('type = "http"\nurl = "http://crm.hung.example:9/"')

    async def hold(self, daemon, stack):
        with trio.fail_after(HOLD_SECONDS):
            await self.hole.recv(512)


async def _free_loopback(hole):
    """Bind the port of name servers on an address of loopback that nobody else has; give the address."""
    for host in range(1, 250):
        try:
            await hole.bind((f"127.66.0.{host}", 53))
        except OSError:
            continue
        return hole.getsockname()[0]
    raise OSError("every address is taken")


async def _dial(stack, place):
    connection = trio.socket.socket(trio.socket.AF_INET if isinstance(place, tuple) else trio.socket.AF_UNIX)
    stack.enter_context(connection)
    connection.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4096)
    await connection.connect(place)
    return connection


async def _until(condition, seconds=HOLD_SECONDS):
    with trio.fail_after(seconds):
        while not condition():
            await trio.sleep(0.02)


CLIENTS = (SlowHead, SlowBody, ReadsNothing, AdminReadsNothing, Handshake, NoWindow)
TARGETS = (HttpTarget, MailTarget, Program, WorkerPlugin, InlinePlugin, Resolver)
EVERY = (*CLIENTS, *TARGETS)


async def open_peers(kinds, home, stack: AsyncExitStack, trusting):
    """Open one of each kind."""
    peers = [kind(home, stack, trusting) if kind is NoWindow else kind(home, stack) for kind in kinds]
    for peer in peers:
        await peer.open()
    return peers
