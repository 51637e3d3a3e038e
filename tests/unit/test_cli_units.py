"""The shipped exec units are those that `units exec` would print, and every pair is one that systemd understands."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.exec_unit import ExecUnit
from gateway.cli.main import cli
from gateway.exec_helper.protocol import KILL_SECONDS, TERM_SECONDS
from gateway.targets.shell import EXEC_SOCKET

SHIPPED = Path(__file__).parents[2] / "systemd"
WIDE = ExecUnit(
    "deploy", "deploy", True, ("/srv/deploy", "/home/deploy/app", "/tmp/x"), ("/usr/local/bin/", "/bin/sh"), "2G"
)
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")


def analyze(*arguments):
    command = ["systemd-analyze", "--no-pager", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def write(unit, folder, *, program="/bin/true", leave_out=""):
    for name, text in unit.files().items():
        changed = text.replace("/opt/hookgate/current/bin/hookgate-exec", program)
        if leave_out and name.endswith(".service"):
            assert f"\n{leave_out}\n" in changed
            changed = changed.replace(f"\n{leave_out}\n", "\n")
        (folder / name).write_text(changed)
    return folder / f"{unit.stem}.socket", folder / f"{unit.stem}@.service"


def exposure(service):
    judged = analyze("security", "--offline=true", "--threshold=5", service)
    return float(re.search(r"exposure level for .*: ([\d.]+)", judged.stdout)[1]), judged.returncode == 0


def lines(unit):
    return unit.files()[f"{unit.stem}@.service"].splitlines()


def test_the_shipped_files_are_the_pair_without_a_name():
    assert {path.name: path.read_text() for path in SHIPPED.glob("hookgate-exec*")} == ExecUnit().files()


def test_the_target_looks_where_the_shipped_socket_listens():
    assert f"ListenStream={EXEC_SOCKET}\n" in ExecUnit().files()["hookgate-exec.socket"]
    assert ExecUnit().socket_path == EXEC_SOCKET
    assert not EXEC_SOCKET.startswith("/run/hookgate/")  # RuntimeDirectory of the daemon, removed when it stops


def test_a_stopped_unit_is_killed_no_sooner_than_its_helper_gives_up():
    (seconds,) = (int(line.partition("=")[2]) for line in lines(ExecUnit()) if line.startswith("TimeoutStopSec="))
    assert TERM_SECONDS + KILL_SECONDS <= seconds <= 5


@needs_systemd
@pytest.mark.parametrize("unit", [ExecUnit(), WIDE, ExecUnit("n", network=True)], ids=["shipped", "wide", "network"])
def test_systemd_understands_the_units_to_the_last_line(tmp_path, unit):
    socket, service = write(unit, tmp_path)
    judged = analyze("verify", "--man=no", socket, service)
    assert (judged.returncode, judged.stderr) == (0, "")
    service.write_text(service.read_text() + "[Service]\nNonsense=1\n")
    assert "Nonsense" in analyze("verify", "--man=no", service).stderr


@needs_systemd
def test_the_shipped_exec_unit_is_exposed_as_little_as_promised(tmp_path):
    figure, holds = exposure(write(ExecUnit(), tmp_path)[1])
    assert figure <= 0.4
    assert holds


@needs_systemd
@pytest.mark.parametrize(
    "weaker", ["PrivateNetwork=yes", "PrivateUsers=yes", "SystemCallFilter=~@privileged @resources"]
)
def test_a_weaker_exec_unit_is_found_out(tmp_path, weaker):
    shipped = exposure(write(ExecUnit(), tmp_path)[1])[0]
    assert exposure(write(ExecUnit(), tmp_path, leave_out=weaker)[1])[0] > shipped


def test_more_is_given_only_where_it_is_asked_for():
    narrow, wide = set(lines(ExecUnit("deploy"))), set(lines(WIDE))
    program = "ExecStart=/opt/hookgate/current/bin/hookgate-exec --from hookgate --instance %i"
    assert {"DynamicUser=yes", "PrivateNetwork=yes", "IPAddressDeny=any", "ProtectHome=yes"} <= narrow - wide
    assert wide - narrow == {
        "User=deploy",
        "MemoryMax=2G",
        "ProtectHome=tmpfs",
        "ReadWritePaths=/srv/deploy",
        "BindPaths=/home/deploy/app",
        "BindPaths=/tmp/x",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        "IPAddressDeny=169.254.0.0/16 fe80::/10",
        "# Network: not the clouds' metadata services; add your site's ranges.",
        f"{program} --allow /usr/local/bin/ --allow /bin/sh",
    }


def test_the_verb_prints_both_files_and_what_the_target_must_say():
    found = CliRunner().invoke(cli, ["units", "exec", "deploy", "--user", "deploy"])
    assert found.exit_code == 0
    for name, text in ExecUnit("deploy", "deploy").files().items():
        assert f"# /etc/systemd/system/{name}\n{text}" in found.output
    assert 'exec = "unix:/run/hookgate-exec-deploy.sock"' in found.output
    assert "systemctl enable --now hookgate-exec-deploy.socket" in found.output


def test_the_verb_writes_both_files(tmp_path):
    found = CliRunner().invoke(cli, ["units", "exec", "deploy", "--folder", str(tmp_path), "--json"])
    assert found.exit_code == 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == ExecUnit("deploy").files()
    assert set(json.loads(found.output)["files"]) == {str(path) for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    "arguments",
    [
        ["x\n[Service]"],
        ["Deploy"],
        [""],
        ["x", "--user", "root"],
        ["x", "--user", "hookgate"],
        ["x", "--user", "a b"],
        ["x", "--write", "srv"],
        ["x", "--write", "/srv/../etc"],
        ["x", "--write", "/srv\nUser=root"],
        ["x", "--write", "/srv/a b"],
        ["x", "--write", "/srv/%h"],
        ["x", "--allow", "/bin/sh;"],
        ["x", "--allow", "/bin/$HOME"],
        ["x", "--memory", "all"],
        ["x", "--folder", "/no/such/folder"],
    ],
)
def test_what_would_be_another_line_of_the_unit_is_refused(arguments):
    found = CliRunner().invoke(cli, ["units", "exec", *arguments])
    assert found.exit_code != 0
    assert "[Service]" not in found.output.replace("'x\\n[Service]'", "")
