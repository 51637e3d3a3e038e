"""The command finds the daemon's socket from whatever is readable of its configuration."""

import socket

import pytest
from click.testing import CliRunner

from gateway.cli.locate import find_client
from gateway.cli.main import cli
from gateway.cli.options import find_config


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("RUNTIME_DIRECTORY", "HOOKGATE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def listening(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def address(config):
    return find_client(config)._address


def test_the_written_address_counts(here):
    (here / "config.toml").write_text('[admin]\nbind = "unix:/run/x.sock"\n')
    assert address(here / "config.toml") == "unix:/run/x.sock"


def test_an_included_file_may_hold_it(here):
    (here / "config.toml").write_text('include = ["conf.d/*.toml"]\n')
    (here / "conf.d").mkdir()
    (here / "conf.d" / "a.toml").write_text("x = [")
    (here / "conf.d" / "b.toml").write_text('[admin]\nbind = "unix:/run/y.sock"\n')
    assert address(here / "config.toml") == "unix:/run/y.sock"


@pytest.mark.parametrize(
    "text", [None, "x = [", "[admin]\nbind = 5\n", 'admin = "x"\n', '[admin]\nbind = "fd:admin"\n']
)
def test_what_cannot_be_read_means_the_default_place(here, text):
    if text is not None:
        (here / "config.toml").write_text(text)
    assert address(here / "config.toml") == "unix:var/run/admin.sock"


def test_of_the_default_places_the_first_with_a_socket_counts(here, monkeypatch):
    config = here / "elsewhere" / "config.toml"
    listening(config.parent / "var/run/admin.sock")
    assert address(config) == f"unix:{config.parent}/var/run/admin.sock"
    listening(here / "var/run/admin.sock")
    assert address(config) == "unix:var/run/admin.sock"
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{here}/given:{here}/other")
    listening(here / "given" / "admin.sock")
    assert address(config) == f"unix:{here}/given/admin.sock"


def test_a_file_that_is_no_socket_is_passed_over(here):
    config = here / "elsewhere" / "config.toml"
    listening(config.parent / "var/run/admin.sock")
    (here / "var" / "run").mkdir(parents=True)
    (here / "var/run/admin.sock").write_text("")
    assert address(config) == f"unix:{config.parent}/var/run/admin.sock"


def test_the_configuration_is_the_named_one_else_the_one_here_else_the_systems(here, monkeypatch):
    assert str(find_config()) == "/etc/hookgate/config.toml"
    (here / "config.toml").write_text("")
    assert str(find_config()) == "config.toml"
    monkeypatch.setenv("HOOKGATE_CONFIG", "/srv/h.toml")
    assert str(find_config()) == "/srv/h.toml"


@pytest.mark.parametrize("verb", [["run"], ["check"], ["send", "truework"], ["events", "list"]], ids=" ".join)
def test_without_a_configuration_a_verb_tells_where_it_looked(here, verb, monkeypatch):
    monkeypatch.setattr("gateway.cli.options.CONFIG_PLACES", ("config.toml", str(here / "etc/config.toml")))
    monkeypatch.setattr("gateway.cli.locate.CONFIG_PLACES", ("config.toml", str(here / "etc/config.toml")))
    answer = CliRunner().invoke(cli, verb)
    assert answer.exit_code == 1
    assert f"looked for {here}/config.toml or {here}/etc/config.toml; $HOOKGATE_CONFIG is not set" in answer.stderr
    monkeypatch.setenv("HOOKGATE_CONFIG", "elsewhere.toml")
    assert "$HOOKGATE_CONFIG names elsewhere.toml, which is not there" in CliRunner().invoke(cli, verb).stderr


def test_of_a_configuration_that_was_named_only_its_own_absence_is_told(here):
    answer = CliRunner().invoke(cli, ["check", "--config", "mine.toml"])
    assert "mine.toml: cannot be read: No such file" in answer.output
    assert "looked for" not in answer.output


def test_a_daemon_that_does_not_answer_is_told_with_the_whole_path_of_its_socket(here):
    answer = CliRunner().invoke(cli, ["status"])
    assert f"the daemon does not answer on unix:{here}/var/run/admin.sock: No such file" in answer.stderr
