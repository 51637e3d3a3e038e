"""All five kinds of target at once, each a real one: what it got, how it breaks, how it is mended.

HTTP server, mail server (STARTTLS and a login), file, program behind the exec helper's socket, plugin in its worker.
The kinds look alike to a test: `break_(way, daemon)`, `has_failed(daemon)`, `mend()`, `got()`.
"""

import email
import fcntl
import json
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import trio

from harness.exec_socket import exec_socket
from harness.mail import PASSWORD, USER, Authority, real_server
from harness.settings import Settings
from harness.sink import FINE, Fault, open_sink
from harness.small_disk import fill, inside

RETRY = 'retry = { first = "1s", max = "1s", give_up = "1h" }\ntimeout = "60s"\n'
RCPT = "ops@acme.example"
SCRIPT = """
[ -e fails ] && exit 75
if [ -e stalls ]; then touch held; while [ -e stalls ]; do sleep 0.02; done; fi
echo "$HOOKGATE_EVENT_ID $2" >> got
"""
PLUGIN = """
import time
from pathlib import Path
from gateway.plugin import Delivered, Options, target

class Keep(Options):
    folder: str

@target(Keep)
def deliver(message, options):
    folder = Path(options.folder)
    if (folder / "fails").exists():
        raise RuntimeError("as it was told")
    if (folder / "stalls").exists():
        (folder / "held").touch()
        while (folder / "stalls").exists():
            time.sleep(0.02)
    with (folder / "got").open("ab") as got:
        got.write(f"{message.id} {message.data['data']['order_id']}\\n".encode())
    return Delivered()
"""


class Arrived(NamedTuple):
    """One delivery that a target took."""

    event_id: str
    order: str


def failures(daemon, target):
    """The tries of a target that this daemon logged as failed."""
    return [line for line in daemon.logged("attempt.failed") if line["target"] == target]


async def until(condition, seconds):
    with trio.fail_after(seconds):
        while not condition():
            await trio.sleep(0.02)


class Kind:
    """What the kinds share: waiting."""

    name: str
    ways: tuple[str, ...]

    def has_failed(self, daemon):
        """True once a try of the broken target has failed, or is stuck in it."""
        return bool(failures(daemon, self.name))

    async def wait_got(self, orders, seconds=60):
        """Wait until each of `orders` arrived at least once."""
        await until(lambda: {one.order for one in self.got()} >= set(orders), seconds)


class Http(Kind):
    name = "http"
    ways = ("answers 500", "stalls")

    def __init__(self, sink):
        self.sink = sink
        self._release = trio.Event()
        self.table = f'type = "http"\nurl = "{sink.url}"\n{RETRY}'

    def break_(self, way, daemon):
        self.sink.fault = Fault(until=self._release) if way == "stalls" else Fault(500)
        self._before = len(self.sink.arrivals)

    def has_failed(self, daemon):
        return len(self.sink.arrivals) > self._before

    def mend(self):
        self.sink.fault = FINE
        self._release.set()

    def got(self):
        """What was answered 2xx; the mended server answers what it held."""
        done = [each for each in self.sink.taken if each.fault.until is None or each.fault.until.is_set()]
        return [Arrived(each.webhook_id, json.loads(each.body)["data"]["order_id"]) for each in done]


class Email(Kind):
    name = "email"
    ways = ("answers 4xx", "stalls")

    def __init__(self, mailbox, port, authority):
        self.mailbox = mailbox
        self.smtp = (
            f'[smtp]\nhost = "127.0.0.1"\nport = {port}\ntls = "required"\nfrom = "hookgate@acme.example"\n'
            f'user = "{USER}"\npassword = {{ file = "smtp" }}\nca = "{authority.file}"\n'
        )
        self.table = f'type = "email"\nto = ["{RCPT}"]\nsubject = "{{event.id}} {{body.data.order_id}}"\n{RETRY}'

    def break_(self, way, daemon):
        if way == "stalls":
            self.mailbox.gate.clear()
        else:
            self.mailbox.refuse = {RCPT: "451 4.3.0 try later"}

    def has_failed(self, daemon):
        return bool(self.mailbox.held) or super().has_failed(daemon)

    def mend(self):
        self.mailbox.refuse = {}
        self.mailbox.gate.set()

    def got(self):
        subjects = [email.message_from_bytes(mail.content)["Subject"] for mail in list(self.mailbox.mails)]
        return [Arrived(*subject.split()) for subject in subjects]


class File(Kind):
    name = "file"
    ways = ("has no folder", "is full", "stalls")

    def __init__(self, home):
        self.disk = home.folder / "disk"
        self._disk = self.disk
        """Where we see it."""
        self.lock = ExitStack()
        (self.disk / "out").mkdir(parents=True)
        self.table = f'type = "file"\npath = "{self.disk}/out/events.jsonl"\n{RETRY}'

    def break_(self, way, daemon):
        if way == "has no folder":
            away = self.disk.with_name("away")
            self.disk.rename(away)
            self._disk, self.mend = away, lambda: self._bring_back(away)
        elif way == "is full":
            self._disk = inside(daemon.pid, self.disk)
            self.mend = fill(self._disk / "out").unlink
        else:
            fcntl.flock(self.lock.enter_context((self.disk / "out" / "events.jsonl").open("ab")), fcntl.LOCK_EX)
            self.has_failed = lambda daemon: _waits_for_lock(daemon.pid)
            self.mend = self.lock.close

    def _bring_back(self, away):
        away.rename(self.disk)
        self._disk = self.disk

    def got(self):
        whole = [line for line in (self._disk / "out" / "events.jsonl").read_bytes().split(b"\n") if line]
        lines = [json.loads(line) for line in whole if line.endswith(b"}")]
        return [Arrived(line["id"], line["payload"]["data"]["order_id"]) for line in lines]


def _waits_for_lock(pid):
    """True if the process waits for somebody's flock."""
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return any(line[1:3] == ["->", "FLOCK"] and line[5] == str(pid) for line in lines)


class Marked(Kind):
    """What obeys marks in its own folder: the program and the plugin."""

    def __init__(self, home):
        self.folder = home.folder / self.name
        self.folder.mkdir()

    def break_(self, way, daemon):
        (self.folder / ("stalls" if way == "stalls" else "fails")).touch()

    def has_failed(self, daemon):
        return (self.folder / "held").exists() or super().has_failed(daemon)

    def mend(self):
        for mark in ("stalls", "fails"):
            (self.folder / mark).unlink(missing_ok=True)

    def got(self):
        got = self.folder / "got"
        return [Arrived(*line.split()) for line in (got.read_text().splitlines() if got.exists() else ())]


class Shell(Marked):
    name = "shell"
    ways = ("exits 75", "stalls")

    def __init__(self, home, helper):
        super().__init__(home)
        self.helper = helper
        (self.folder / "run.sh").write_text(SCRIPT)
        self.table = (
            f'type = "shell"\ncommand = ["/bin/sh", "{self.folder}/run.sh", "--", "{{body.data.order_id}}"]\n'
            f'folder = "{self.folder}"\nexec = "unix:{helper.path}"\nconcurrency = 4\n{RETRY}'
        )


class Plugin(Marked):
    name = "plugin"
    ways = ("raises", "stalls")

    def __init__(self, home):
        super().__init__(home)
        folder = home.folder / "plugins"
        folder.mkdir(mode=0o700)
        (folder / "keep.py").write_text(PLUGIN)
        (folder / "keep.py").chmod(0o600)
        self.table = f'type = "keep"\nsend = "payload"\nfolder = "{self.folder}"\n{RETRY}'


BREAKS = [(kind.name, way) for kind in (Http, Email, File, Shell, Plugin) for way in kind.ways]
"""Each kind with each of its ways to fail."""


class Five(dict):
    """The five kinds by name."""

    def settings(self, home, port=0):
        """A configuration that sends every Truework order to all five."""
        tables = [self["email"].smtp, *(f"[targets.{name}]\n{kind.table}" for name, kind in self.items())]
        return Settings(home, more="\n".join(tables), file=False, orders_targets=list(self), port=port)


@asynccontextmanager
async def five_targets(home):
    """Run what the targets need for the length of a block; gives them."""
    authority = Authority(home.folder)
    home.write_secret("smtp", PASSWORD)
    server = real_server(tls_context=authority.context, require_starttls=True, auth_required=True)
    async with open_sink() as sink, exec_socket(home.folder / "exec.sock") as helper:
        with server as (mailbox, port):
            kinds = [Http(sink), Email(mailbox, port, authority), File(home), Shell(home, helper), Plugin(home)]
            five = Five((kind.name, kind) for kind in kinds)
            with five["file"].lock:
                yield five
