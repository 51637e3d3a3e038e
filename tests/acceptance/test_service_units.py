"""The shipped units: hardened, understood by systemd, and wide enough for what the daemon really does."""

import os
import re
import shutil
import signal
import subprocess
from functools import cache
from pathlib import Path

import pytest

from harness.daemon import HOOKGATE, running
from harness.senders import post, truework
from harness.settings import ORDERS_TOKEN, Settings

UNITS = Path(__file__).parents[2] / "systemd"
THRESHOLD = 12  # of systemd-analyze, whose scale for this option is ten times the printed one

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
needs_strace = pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")


def analyze(*arguments, environ=None):
    command = ["systemd-analyze", "--no-pager", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **(environ or {})})


def exposure(unit):
    """The printed figure, and whether systemd's own gate holds."""
    judged = analyze("security", "--offline=true", f"--threshold={THRESHOLD}", unit)
    return float(re.search(r"exposure level for hookgate.service: ([\d.]+)", judged.stdout)[1]), judged.returncode == 0


@needs_systemd
def test_the_main_unit_is_exposed_no_more_than_a_daemon_with_network_must_be():
    figure, holds = exposure(UNITS / "hookgate.service")
    assert figure <= 1.1
    assert holds


@needs_systemd
@pytest.mark.parametrize(
    "weaker", ["SystemCallFilter=~@privileged @resources", "PrivateUsers=yes", "ProtectSystem=strict"]
)
def test_a_weaker_unit_is_found_out(tmp_path, weaker):
    unit = tmp_path / "hookgate.service"
    text = (UNITS / "hookgate.service").read_text()
    assert f"\n{weaker}\n" in text
    unit.write_text(text.replace(f"\n{weaker}\n", "\n"))
    assert exposure(unit)[0] > 1.1


def copy_units(folder):
    """Copy the units with a program that is there; those of the exec helper are judged with it."""
    for name in ("hookgate.service", "hookgate.socket"):
        text = (UNITS / name).read_text().replace("/opt/hookgate/current/bin/hookgate", "/bin/true")
        (folder / name).write_text(text)


@needs_systemd
def test_systemd_understands_the_units_to_the_last_line(tmp_path):
    copy_units(tmp_path)
    judged = analyze("verify", "--man=no", tmp_path / "hookgate.service", tmp_path / "hookgate.socket")
    assert (judged.returncode, judged.stderr) == (0, "")
    (tmp_path / "hookgate.service").write_text((tmp_path / "hookgate.service").read_text() + "[Service]\nNonsense=1\n")
    assert "Nonsense" in analyze("verify", "--man=no", tmp_path / "hookgate.service").stderr


DROP_IN_CASES = """
[server]
bind = ["0.0.0.0:443"]
behind_proxy = true

[sources.a]
provider = "truework"
credentials.main = { secret = { credential = "one" } }
credentials.next = { secret = { env = "TOKEN" } }

[targets.archive]
type = "file"
path = "/srv/archive/events.jsonl"
group = "adm"

[targets.home]
type = "file"
folder = "/home/ann/in"

[targets.near]
type = "http"
url = "http://169.254.1.1/"
"""


@needs_systemd
def test_systemd_understands_the_drop_ins_that_check_prints(home, tmp_path):
    copy_units(tmp_path)
    home.write_config(DROP_IN_CASES)
    home.folder.chmod(0o755)
    home.config.chmod(0o644)  # root becomes the service's user, where there is one
    command = [HOOKGATE, "check", "--unit", "--config", home.config]
    printed = subprocess.run(command, capture_output=True, text=True, check=False, cwd=home.folder)
    assert printed.returncode == 1, printed.stderr
    files = re.findall(
        r"^# \S+/(\S+\.d/\S+\.conf)\n((?:\[|[A-Z]\w+=|# \[).*(?:\n(?:[A-Z]\w+=|# \[).*)*)", printed.stdout, re.MULTILINE
    )
    assert [name for name, _ in files] == [f"hookgate.{kind}.d/50-configuration.conf" for kind in ("socket", "service")]
    for name, text in files:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text + "\n")
    environ = {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    judged = analyze("verify", "--man=no", "hookgate.service", "hookgate.socket", environ=environ)
    assert (judged.returncode, judged.stderr) == (0, "")
    drop_in = tmp_path / files[1][0]
    drop_in.write_text(drop_in.read_text().replace("ReadWritePaths=", "ReadWritePath="))
    assert "ReadWritePath" in analyze("verify", "--man=no", "hookgate.service", environ=environ).stderr, (
        "it is not read"
    )


@cache
def group(name):
    """The system calls of one of systemd's groups."""
    found = set()
    for line in analyze("syscall-filter", name).stdout.splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            found |= group(word)
        elif word and not word.startswith("#"):
            found.add(word)
    return found


def allowed_calls():
    allowed = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", (UNITS / "hookgate.service").read_text(), re.MULTILINE):
        for name in line.removeprefix("~").split():
            allowed = allowed - group(name) if line.startswith("~") else allowed | group(name)
    return allowed


async def traced(home, calls):
    """Run the daemon as a service does, from a start after kill -9 over an event and a reload to its stop."""
    trace = home.folder / "trace"
    Settings(home).write()
    async with running(home) as daemon:
        assert (await post(daemon.port, truework("order-1", ORDERS_TOKEN))).status == 200
        await daemon.kill()
    strace = ("strace", "-D", "-f", "-y", "-qq", "-s", "64", "-o", str(trace), "-e", f"trace={calls}")
    async with running(home, {"WATCHDOG_USEC": "30000000"}, before=strace) as daemon:
        assert (await post(daemon.port, truework("order-2", ORDERS_TOKEN))).status == 200
        await daemon.ask("/status")
        await daemon.reload()
        await daemon.wait_settled()
        daemon.signal(signal.SIGTERM)
        assert await daemon.wait_ended(30) == 0
    return [line.partition(" ")[2].lstrip() for line in trace.read_text().splitlines()]


@needs_systemd
@needs_strace
@pytest.mark.timeout(120)
async def test_every_system_call_that_the_daemon_makes_is_one_that_the_unit_allows(home):
    lines = await traced(home, "all")
    made = {found[1] for line in lines if (found := re.match(r"(\w+)\(", line))}
    assert {"fdatasync", "accept4", "connect"} <= made
    if os.geteuid() == 0:
        made.discard("fchown")  # SQLite's, and only when it runs as root
    assert made - allowed_calls() == set()
    assert "setuid" not in allowed_calls(), "the filter is read wrongly"
    denied = [line for line in lines if re.match(r"mmap\(|mprotect\(", line) and "PROT_WRITE|PROT_EXEC" in line]
    assert denied == [], "MemoryDenyWriteExecute= would refuse these"


@needs_strace
async def test_ready_is_told_after_the_barrier_and_the_listeners_and_nobody_connects_earlier(home):
    """What the dead process left in the log is flushed into the file, and the log empty, before a listener opens."""
    lines = await traced(home, "fsync,fdatasync,ftruncate,listen,connect,sendto,sendmsg")
    places = {
        "flush": [n for n, line in enumerate(lines) if re.match(r"f(data)?sync\(.*/hookgate\.db>", line)],
        "emptied": [n for n, line in enumerate(lines) if re.match(r"ftruncate\(.*/hookgate\.db-wal>, 0\)", line)],
        "listen": [n for n, line in enumerate(lines) if line.startswith("listen(")],
        "ready": [n for n, line in enumerate(lines) if "READY=1" in line],
    }
    assert all(places.values()), places
    assert places["flush"][0] < places["emptied"][0] < places["listen"][0]
    assert places["listen"][-1] < places["ready"][0]
