"""P23: a canary in every option that holds a secret is found in nothing that the daemon writes, answers or starts."""

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import trio

from harness.canaries import AUTHS, Canaries, options
from harness.daemon import HOOKGATE, running
from harness.mail import Authority, real_server
from harness.senders import Client, Signed, post
from harness.settings import Settings
from harness.sink import Fault, open_sink

PLUGIN = """
import sys
from pathlib import Path
from gateway.plugin import Options, Retry, SecretText, target

class KeyedOptions(Options):
    key: SecretText

@target(KeyedOptions)
def keyed(message, options):
    print("said by a plugin")
    return Retry("not today")
"""
SHOWS = (
    'cat /proc/self/environ /proc/$PPID/environ > "$2"; cat /proc/self/cmdline /proc/$PPID/cmdline >> "$2"; exit 75\n'
)
ASKED = ("/health", "/ready", "/metrics", "/status", "/targets", "/events", "/deliveries", "/replays", "/audit")
RETRY = 'retry = { first = "1s", give_up = "1d" }\n'


BEHIND = "http://93.184.216.34/thing"
"""What is asked through a proxy, ours: nothing leaves the machine."""
SOURCES = """
[sources.acme]
provider = "generic"
verify = {{ scheme = "token", header = "X-Token" }}
identify = {{ type = "body.type", id = "body.id", occurrence = "body.id" }}
credentials.main = {{ secret = {token} }}

[sources.meta]
provider = "meta"
handshake = {{ secret = {challenge} }}
credentials.main = {{ secret = {hmac} }}

[routes.alone]
provider = "gitlab"
event = "*"
verify = {{ secret = {alone} }}
targets = ["audit"]

[routes.acme]
source = "acme"
event = "*"
targets = [{targets}]

[admin]
bind = "unix:{home}/admin.sock"
token = {admin}
"""
SMTP = """
host = "127.0.0.1"
port = {port}
ca = "{ca}"
from = "hookgate@acme.example"
user = "hookgate"
password = {password}
"""


def targets(home, canaries, smtp):
    """Give targets with a canary wherever they may hold a secret; each fails at every try."""
    url, email = canaries.url, 'type = "email"\nto = ["ops@acme.example"]\nsubject = "{event.id}"'
    secret, previous = (canaries.secret(f"http.SignTable/{name}") for name in ("secret", "previous"))
    found = {
        "signed": f'type = "http"\nurl = "{url}"\nsign = {{ secret = {secret}, previous = {previous}, '
        'header = "X-Signature", shape = "list" }',
        "mail": email,
        "mail-too": f"{email}\n[targets.mail-too.smtp]{smtp('email.Smtp/password')}",
        "shown": f'type = "shell"\nexec = "daemon"\ntimeout = "5s"\n'
        f'command = ["/bin/sh", "{home.folder}/shows.sh", "--", "{home.files}/x"]',
        "keyed": f'type = "keyed"\nkey = {canaries.secret("a plugin")}',
        "certified": f'type = "http"\nurl = "{url.replace("http", "https")}"\n{canaries.client_tls("http")}',
        "fetch-certified": f'type = "http"\nurl = "{url}"\nsend = "envelope"\n[targets.fetch-certified.fetch]\n'
        f'url = "{url.replace("http", "https")}"\nallow = ["loopback"]\n{canaries.client_tls("fetch")}',
    }
    for way in AUTHS:
        found[f"api-{way}"] = f'type = "http"\nurl = "{BEHIND}"' + canaries.api(f"targets.api-{way}", "Http", way)
        fetch = f"targets.fetch-{way}.fetch"
        found[f"fetch-{way}"] = (
            f'type = "http"\nurl = "{url}"\nsend = "envelope"\n[{fetch}]\nurl = "{BEHIND}"\nallow = ["loopback"]'
            + canaries.api(fetch, "Fetch", way)
        )
    return found


def pollers(canaries):
    """Give pollers likewise."""
    table = 'source = "acme"\nurl = "{url}"\nitems = "body.items[]"\nevery = "1s"\nallow = ["loopback"]\n'
    table += 'identify = {{ occurrence = "body.id" }}'
    for way in AUTHS:
        yield f"[pollers.{way}]\n{table.format(url=BEHIND)}" + canaries.api(f"pollers.{way}", "Poller", way)
    url = canaries.url.replace("http", "https")
    yield f"[pollers.certified]\n{table.format(url=url)}\n{canaries.client_tls('poller')}"


def configure(home, canaries, mail_port, authority):
    """Write a configuration with a canary in every option for a secret."""

    def smtp(option):
        return SMTP.format(port=mail_port, ca=authority.file, password=canaries.secret(option))

    tables = targets(home, canaries, smtp)
    sources = SOURCES.format(
        token=canaries.secret("Credential/secret"),
        challenge=canaries.secret("SourceHandshake/secret"),
        hmac=canaries.secret("Credential/secret", "of hmac"),
        alone=canaries.secret("RouteVerify/secret"),
        admin=canaries.secret("Admin/token"),
        targets=", ".join(f'"{name}"' for name in tables),
        home=home.folder,
    )
    written = [f"[targets.{name}]\n{RETRY}{table}" for name, table in tables.items()]
    settings = Settings(home, more="\n".join([sources, "[smtp]" + smtp("Smtp/password"), *written, *pollers(canaries)]))
    settings.write()
    admin = f'[admin]\nbind = "unix:{home.folder}/admin.sock"\n'
    home.write_config(settings.text().replace(admin, "", 1))


def echo(arrival):
    """Answer as a careless server does: with all that was sent, in the body and in a header."""
    said = json.dumps(arrival.headers)
    return Fault(401, body=said.encode(), headers=(("X-Echo", said), ("WWW-Authenticate", said)))


def descendants(pid):
    """All processes below one, now."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            yield int(child)
            yield from descendants(int(child))


def shown_by_processes(daemon):
    """What any user sees of the daemon, and its own user of what it started."""
    shown = {f"/proc/{daemon.pid}/cmdline": Path(f"/proc/{daemon.pid}/cmdline").read_bytes()}
    with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
        for pid in descendants(daemon.pid):
            for name in ("cmdline", "environ"):
                shown[f"{name} of a child"] = Path(f"/proc/{pid}/{name}").read_bytes() + shown.get(
                    f"{name} of a child", b""
                )
    return shown


async def speak(daemon, canaries):
    """Have each secret used by a sender: rightly, wrongly, and as an answer to a challenge."""
    body = b'{"type": "order.completed", "id": "1"}'
    token, alone = canaries.values["Credential/secret"], canaries.values["RouteVerify/secret"]
    kinds = (("Content-Type", "application/json"),)
    asked = [
        Signed("good", "/hooks/acme", (*kinds, ("X-Token", token)), body),
        Signed("twice", "/hooks/acme", (*kinds, ("X-Token", token), ("X-Token", token)), body),
        Signed("elsewhere", "/hooks/truework", (*kinds, ("X-Truework-Token", token)), body),
        Signed("in the query", f"/hooks/acme?token={token}", kinds, body),
        Signed("alone", "/hooks/gitlab", (*kinds, ("X-Gitlab-Event", "Push Hook"), ("X-Gitlab-Token", alone)), body),
        Signed("as a login", "/hooks/gitlab", (*kinds, ("Authorization", f"Bearer {alone}")), body),
    ]
    statuses = {request.name: (await post(daemon.port, request)).status for request in asked}
    path = (
        f"/hooks/meta?hub.mode=subscribe&hub.challenge=1&hub.verify_token={canaries.values['SourceHandshake/secret']}"
    )
    with Client(daemon.port) as client:
        answer = await client.exchange(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    return {**statuses, "challenge": answer.status}


async def ask_everything(daemon):
    """Read what the admin listener tells, and what the command prints."""
    answers = {}
    with Client(daemon.home.admin) as client:
        for path in (*ASKED, *[f"/events/{event['id']}" for event in (await daemon.ask("/events"))["events"]]):
            answers[path] = (await client.exchange(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())).body
    for verb in (["check"], ["check", "--expand"], ["status"], ["events", "list"]):
        environ = {"PATH": os.environ["PATH"], "STATE_DIRECTORY": str(daemon.home.state)}
        command = [str(HOOKGATE), *verb, "--config", str(daemon.home.config)]
        done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False, env=environ)
        answers[" ".join(verb)] = done.stdout + done.stderr
    return answers


def written(home):
    """Every file of a home but its secrets."""
    files = (path for path in home.folder.rglob("*") if path.is_file() and home.secrets not in path.parents)
    return {str(path.relative_to(home.folder)): path.read_bytes() for path in files}


async def test_P23_a_canary_in_every_option_for_a_secret_is_found_nowhere(home, tell):
    plugins = home.folder / "plugins"
    plugins.mkdir(mode=0o700)
    (plugins / "keyed.py").write_text(PLUGIN)
    (plugins / "keyed.py").chmod(0o600)
    (home.folder / "shows.sh").write_text(SHOWS)
    authority = Authority(home.folder)
    async with open_sink() as sink:
        sink.choose = echo
        canaries = Canaries(home, f"http://127.0.0.1:{sink.port}")
        server = real_server(tls_context=authority.context, require_starttls=True, auth_required=True)
        with server as (_, mail_port):
            configure(home, canaries, mail_port, authority)
            assert canaries.covered - {"a plugin"} == options(), "an option for a secret has no canary"
            async with running(home, before=("sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh")) as daemon:
                statuses = await speak(daemon, canaries)
                shown = shown_by_processes(daemon)
                tried = {f"api-{way}" for way in AUTHS} | {"signed", "mail", "mail-too", "shown", "keyed", "certified"}
                with trio.fail_after(60):
                    while not tried <= {line["target"] for line in daemon.logged("attempt.failed")}:
                        shown |= shown_by_processes(daemon)
                        await trio.sleep(0.05)
                await daemon.reload()
                answers = await ask_everything(daemon)
                limits = Path(f"/proc/{daemon.pid}/limits").read_text()
                daemon.signal(signal.SIGABRT)
                assert await daemon.wait_ended() == -signal.SIGABRT
    places = {**shown, **answers, **written(home)}
    sent = canaries.found_in(json.dumps([arrival.headers for arrival in sink.arrivals]).encode())
    hits = {place: found for place, text in places.items() if (found := canaries.found_in(text))}
    tell(f"{len(canaries.values)} canaries in {len(options())} options, {len(sent)} of them sent, {len(places)} places")
    assert hits == {}
    assert statuses == {
        "good": 200,
        "twice": 401,
        "elsewhere": 401,
        "in the query": 401,
        "alone": 200,
        "as a login": 401,
        "challenge": 200,
    }
    assert next(line for line in limits.splitlines() if "core file" in line).split()[4:6] == ["0", "0"]
    assert not [place for place in places if place.startswith("core")]
    assert len(sent) >= 8, "too few secrets were used for what was sent to matter"
