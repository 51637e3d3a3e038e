"""Mail servers for the tests of the email target: a real one, and one that answers as it is told."""

import asyncio
import ssl
import threading
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import trio
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

USER, PASSWORD = "hookgate", "canary-7f3a9c1e"
HANG, CLOSE = object(), object()


class _FreePort(Controller):
    """Listens on a free port."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class Mailbox:
    """What the real server took, and whom it refuses."""

    def __init__(self):
        self.mails = []
        self.logins = []
        self.refuse = {}
        self.held = 0
        """How many mails came while the gate was shut."""
        self.gate = threading.Event()
        """Cleared: mails are read to the end and answered only once it is set again."""
        self.gate.set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if not self.gate.is_set():
            self.held += 1
            await asyncio.to_thread(self.gate.wait)
        self.mails.append(envelope)
        return "250 queued"

    def authenticate(self, server, session, envelope, mechanism, data):
        assert isinstance(data, LoginPassword)
        self.logins.append((mechanism, session.ssl is not None))
        return AuthResult(success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()), handled=False)


@contextmanager
def real_server(**settings):
    """Run aiosmtpd in its own thread; gives the mailbox and the port."""
    mailbox = Mailbox()
    controller = _FreePort(
        mailbox, hostname="127.0.0.1", port=0, authenticator=mailbox.authenticate, ready_timeout=30, **settings
    )
    controller.start()
    try:
        yield mailbox, controller.port
    finally:
        mailbox.gate.set()
        controller.stop()


class Authority:
    """A certificate authority with a server certificate for 127.0.0.1."""

    def __init__(self, folder):
        authority = trustme.CA()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(self.context)
        self.file = folder / "ca.pem"
        authority.cert_pem.write_to_path(self.file)


@dataclass
class Told:
    """A server that answers as it is told, and remembers what it was told."""

    port: int = 0
    lines: list = field(default_factory=list)
    contents: list = field(default_factory=list)
    connections: int = 0
    ended: trio.Event = field(default_factory=trio.Event)
    hung: trio.Event = field(default_factory=trio.Event)
    """Set once it has come to a step at which it hangs."""

    @property
    def verbs(self):
        return Counter(line.split(b" ")[0].upper() for line in self.lines)


FINE = {
    "greeting": b"220 told",
    "EHLO": b"250-told\r\n250 8BITMIME",
    "MAIL": b"250 ok",
    "RCPT": b"250 ok",
    "DATA": b"354 go on",
    ".": b"250 queued",
    "QUIT": b"221 bye",
}
"""What a server says that takes everything."""


@asynccontextmanager
async def told_server(**answers):
    """Run a server with other answers than `FINE`: bytes, a table of bytes by argument, HANG or CLOSE."""
    table = {**FINE, **answers}
    server = Told()

    async def play(stream):
        server.connections += 1
        try:
            await _play(stream, table, server)
        except trio.BrokenResourceError:
            pass
        finally:
            server.ended.set()
            await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(_serve, play)
        server.port = listeners[0].socket.getsockname()[1]
        yield server
        nursery.cancel_scope.cancel()


async def _serve(play, task_status):
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    await trio.serve_listeners(play, listeners, task_status=task_status)


async def _play(stream, table, server):
    buffer = b""
    step, argument = "greeting", ""
    while True:
        answer = table.get(step, b"502 what")
        if isinstance(answer, dict):
            answer = answer.get(argument, b"250 ok")
        if answer is HANG:
            server.hung.set()
            await trio.sleep_forever()
        if answer is CLOSE:
            return
        await stream.send_all(answer + b"\r\n")
        end = b"\r\n.\r\n" if step == "DATA" and answer.startswith(b"354") else b"\r\n"
        while end not in buffer:
            received = await stream.receive_some()
            if not received:
                return
            buffer += received
        line, _, buffer = buffer.partition(end)
        if end != b"\r\n":
            server.contents.append(line)
            step = "."
            continue
        server.lines.append(line)
        step, _, argument = line.decode("latin-1").partition(" ")
        step = step.upper()
