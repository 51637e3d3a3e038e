"""What the hardened unit lacks for a configuration, and that the facts it rests on are those of the shipped units."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from blueprint_harness import AUDIT, TRUEWORK, World, make_world  # noqa: F401 - the fixture `world`
from click.testing import CliRunner

from gateway.blueprint import unit
from gateway.blueprint.unit import ENVIRONMENT, Lack, unit_lacks
from gateway.cli import unit as cli_unit
from gateway.cli.check import check

ROOT = Path(__file__).parents[2]
HELD = '[server]\nbind = ["fd:hookgate-http"]\n'
ROUTE = '[routes.r]\nsource = "truework"\ntargets = ["audit"]\n'


@pytest.fixture
def lacks(world, monkeypatch):
    """Judge a configuration in a folder that the unit could see (pytest's own is below /tmp)."""
    monkeypatch.setattr(unit, "HIDDEN", ("/home", "/root"))
    world.environ = ENVIRONMENT

    def judge(*parts, held=True):
        return unit_lacks(world.load(HELD if held else "", *parts))

    return judge


def file_target(key, value, more=""):
    return f'[targets.out]\ntype = "file"\n{key} = "{value}"\n{more}'


def shipped(name):
    """The settings of a unit, by name; a list where one stands several times."""
    found = {}
    for key, value in re.findall(r"^([A-Za-z]+)=(.*)$", (ROOT / "systemd" / name).read_text(), re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


def test_the_facts_are_those_of_the_shipped_units():
    service, held = shipped("hookgate.service"), shipped("hookgate.socket")
    named = {"STATE": "/var/lib/", "LOGS": "/var/log/", "RUNTIME": "/run/", "CONFIGURATION": "/etc/"}
    for word, above in named.items():
        (name,) = service[f"{word.title()}Directory"]
        assert above + name == getattr(unit, word)
    assert service["User"] == service["Group"] == [unit.USER]
    assert service["Sockets"] == [unit.SOCKET]
    assert held["FileDescriptorName"] == [unit.SOCKET_NAME]
    assert set(service["IPAddressDeny"][0].split()) == set(map(str, unit.DENIED))
    assert (service["ProtectHome"], service["PrivateTmp"]) == (["yes"], ["yes"])
    assert service["InaccessiblePaths"] == ["-/etc/ssh"]


def test_what_stays_in_the_units_own_folders_needs_nothing(lacks):
    assert lacks(TRUEWORK, ROUTE, AUDIT) == []
    for own in ("/var/log/hookgate/e.jsonl", "/var/lib/hookgate/sub/e.jsonl", "relative/e.jsonl"):
        assert lacks(file_target("path", own)) == []


def test_a_file_target_elsewhere_needs_its_folder_and_that_only(lacks, tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    place = "[targets.out].path"
    expected = Lack(place, "it writes there", "hookgate.service", (f"ReadWritePaths={made}",))
    assert lacks(file_target("path", f"{made}/events.jsonl")) == [expected]
    (only,) = lacks(file_target("folder", made))
    assert only.lines == (f"ReadWritePaths={made}",)


def test_a_way_out_of_the_state_folder_is_seen_through(lacks):
    first, second = lacks(file_target("path", "../elsewhere/e.jsonl"))
    assert first.lines == ("ReadWritePaths=/var/lib/elsewhere",)
    assert "/var/lib/elsewhere is not there: sudo install -d -o hookgate" in second.why


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_the_user_may_not_write_is_told(lacks):
    assert "the user may not write into /usr" in lacks(file_target("path", "/usr/e.jsonl"))[-1].why


def test_a_folder_that_the_unit_cannot_see_is_bound_into_it(lacks):
    first, *_ = lacks(file_target("path", "/home/ann/e.jsonl"))
    assert first.lines == ("ProtectHome=tmpfs", "BindPaths=/home/ann")
    assert "better below /var/log/hookgate" in first.why


def test_a_group_of_files_needs_the_group_and_the_right_to_give_it(lacks):
    (only,) = lacks(file_target("path", "e.jsonl", 'group = "adm"'))
    assert only.lines == ("SupplementaryGroups=adm", "PrivateUsers=no", "SystemCallFilter=@chown")


def test_each_secret_by_credential_needs_its_line_wherever_it_stands(lacks):
    found = lacks(
        '[sources.a]\nprovider = "truework"\ncredentials.main = { secret = { credential = "one" } }\n',
        '[routes.b]\nprovider = "truora"\nverify = { secret = { credential = "two" } }\ntargets = ["audit"]\n',
        '[targets.audit]\ntype = "file"\npath = "x"\n',
    )
    assert [lack.lines for lack in found] == [
        (f"LoadCredential={name}:/etc/hookgate/credentials/{name}",) for name in ("one", "two")
    ]
    assert found[0].place == "[sources.a].credentials.main.secret"


def test_a_secret_from_the_environment_needs_a_file_of_it(lacks):
    (only,) = lacks('[sources.a]\nprovider = "truework"\ncredentials.main = { secret = { env = "TOKEN" } }\n')
    assert only.lines == ("EnvironmentFile=/etc/hookgate/environment",)
    assert "TOKEN=" in only.why


def test_a_secret_file_that_cannot_be_read_is_told_without_a_drop_in(lacks, world):
    (world.folder / "secrets/one").chmod(0o644)
    (only,) = lacks(TRUEWORK)
    assert (only.unit, only.place) == ("", "[sources.truework].credentials.main.secret")
    assert "expected mode" in only.why


@pytest.mark.parametrize(
    ("bind", "lines", "told"),
    [
        ("0.0.0.0:443", ("ListenStream=", "ListenStream=0.0.0.0:443"), "below 1024"),
        ("127.0.0.1:9000", (), "a restart refuses connections"),
        ("fd:other", (), "FileDescriptorName=other, Service=hookgate.service"),
        ("unix:/run/hookgate/http.sock", None, ""),
        ("unix:/run/elsewhere/http.sock", ("ReadWritePaths=/run/elsewhere",), "a socket of our own"),
    ],
)
def test_each_kind_of_listener_has_its_needs(lacks, bind, lines, told):
    found = lacks(f'[server]\nbind = ["{bind}"]\nbehind_proxy = true\n', held=False)
    if lines is None:
        assert found == []
    else:
        assert found[0].lines == lines
        assert told in found[0].why


def test_a_shell_target_needs_the_exec_unit(lacks, monkeypatch):
    text = '[targets.run]\ntype = "shell"\ncommand = ["/bin/true"]\ntimeout = "5s"\n'
    (only,) = lacks(text + 'exec = "unix:/nowhere.sock"\n')
    assert "systemctl enable --now hookgate-exec.socket" in only.why
    (inside,) = lacks(text + 'exec = "daemon"\n')
    assert inside.place == "[targets.run].exec"


def test_a_link_local_address_must_be_allowed(lacks):
    (only,) = lacks('[targets.x]\ntype = "http"\nurl = "http://169.254.1.1/"\n')
    assert only.lines == ("IPAddressAllow=169.254.1.1",)
    assert lacks('[targets.x]\ntype = "http"\nurl = "http://10.0.0.1/"\n') == []


def test_a_unix_target_that_is_hidden_is_bound_in(lacks):
    (only,) = lacks('[targets.x]\ntype = "http"\nurl = "unix:/home/a/crm.sock:/hooks"\n')
    assert only.lines == ("ProtectHome=tmpfs", "BindPaths=/home/a")


def test_a_file_that_the_unit_cannot_see_is_told(lacks, monkeypatch, world):
    monkeypatch.setattr(unit, "HIDDEN", (str(world.folder.parent),))
    assert any("hidden from the unit: move config.toml below /etc/hookgate" in lack.why for lack in lacks())


@pytest.fixture
def run(world, monkeypatch, tmp_path):
    monkeypatch.setattr(unit, "HIDDEN", ("/home", "/root"))
    monkeypatch.setattr(unit, "USER", "nobody-of-that-name")
    monkeypatch.setattr(cli_unit, "DROP_INS", tmp_path / "units")

    def call(*arguments, text):
        world.write("config.toml", HELD + text)
        return CliRunner().invoke(check, ["--unit", "--config", "config.toml", *arguments])

    return call


def test_the_answer_is_a_drop_in_that_systemd_takes_with_each_line_once(run, tmp_path):
    (tmp_path / "made").mkdir()
    text = file_target("path", f"{tmp_path}/made/a.jsonl") + file_target("path", f"{tmp_path}/made/b").replace(
        "out", "o"
    )
    answer = run(text=text)
    assert answer.exit_code == 1
    lines = answer.output.splitlines()
    assert lines[1:5] == [
        f"# {tmp_path}/units/hookgate.service.d/50-configuration.conf",
        "[Service]",
        "# [targets.out].path: it writes there",
        f"ReadWritePaths={tmp_path}/made",
    ]
    assert answer.output.count("ReadWritePaths=") == 1
    assert "daemon-reload" in lines[-1]


def test_a_drop_in_that_is_there_is_not_asked_for_again(run, tmp_path):
    (tmp_path / "made").mkdir()
    folder = tmp_path / "units/hookgate.service.d"
    folder.mkdir(parents=True)
    (folder / "x.conf").write_text(f"[Service]\nReadWritePaths={tmp_path}/made\n")
    answer = run(text=file_target("path", f"{tmp_path}/made/a.jsonl"))
    assert (answer.exit_code, "the unit has all that" in answer.output) == (0, True)


def test_json_holds_the_same(run, tmp_path):
    answer = json.loads(run("--json", text=file_target("path", "/srv-nowhere/a.jsonl")).output)
    assert answer["ok"] is False
    assert answer["lacks"][0]["lines"] == ["ReadWritePaths=/srv-nowhere"]
    wrong = run("--json", text="[nonsense]\n")
    assert (wrong.exit_code, json.loads(wrong.output)["ok"]) == (1, False)


AS_ANOTHER = """
import sys
from pathlib import Path
from gateway.blueprint import unit
from gateway.cli import unit as cli_unit
from gateway.config.load import load
unit.HIDDEN, unit.USER = (), "nobody"
assert unit.unit_lacks(load(Path("config.toml"), unit.ENVIRONMENT)) == []  # root may read all
sys.exit(cli_unit.judge_unit(Path("config.toml"), as_json=True))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_judges_as_the_services_user():
    """In a process of its own: there is no way back to root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world = World(folder)
        for made in (folder, folder / "secrets"):
            made.chmod(0o755)
        world.write("config.toml", HELD + TRUEWORK)
        done = subprocess.run([sys.executable, "-c", AS_ANOTHER], cwd=folder, check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (1, b"")
    answer = json.loads(done.stdout)
    assert answer["user"] == "nobody"
    assert "secrets/one: Permission denied" in answer["lacks"][0]["why"]
