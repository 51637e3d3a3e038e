"""What the blueprint says of shell targets: a timeout must be written, a run with the daemon's rights is told."""

import pytest
from blueprint_harness import AUDIT, TRUEWORK, make_world  # noqa: F401 - the fixture `world`

from gateway.targets import shell

SHELL = '[targets.deploy]\ntype = "shell"\ncommand = ["/usr/local/bin/deploy"]\n'
ROUTE = '[routes.r]\nsource = "truework"\ntargets = ["deploy", "audit"]\n'


@pytest.fixture(autouse=True)
def _no_helper_of_the_machine(monkeypatch, tmp_path):
    monkeypatch.setattr(shell, "EXEC_SOCKET", str(tmp_path / "exec.sock"))


def told(problems):
    return [str(problem) for problem in problems if "targets.deploy" in str(problem)]


def test_a_shell_target_without_a_timeout_is_a_config_error(world):
    (problem,) = world.problems(TRUEWORK, AUDIT, ROUTE, SHELL)
    assert 'a target of type "shell" needs timeout: write, for example, "60s"' in str(problem)
    assert world.build(TRUEWORK, AUDIT, ROUTE, SHELL, 'timeout = "60s"').targets["deploy"].timeout_seconds == 60.0


def test_a_command_in_one_text_is_told_with_its_line_and_as_the_list_it_should_be(world):
    (problem,) = world.problems(
        TRUEWORK, AUDIT, ROUTE, '[targets.deploy]\ntype = "shell"\ntimeout = "1s"\ncommand = "/bin/x --all"'
    )
    assert "config.toml" in str(problem)
    assert "[targets.deploy].command" in str(problem)
    assert 'write ["/bin/x", "--all"]' in str(problem)


def test_a_shell_target_is_one_at_a_time_and_sends_the_payload_unless_written(world):
    plan = world.build(TRUEWORK, AUDIT, ROUTE, SHELL, 'timeout = "60s"').targets["deploy"]
    assert plan.concurrency == 1
    assert plan.kind.send == "payload"


def test_runs_beside_the_daemon_are_warned_of_until_they_are_asked_for(world, tmp_path):
    parts = (TRUEWORK, AUDIT, ROUTE, SHELL, 'timeout = "60s"')
    (warning,) = told(world.warnings(*parts))
    assert "exec" in warning
    assert "runs as the daemon's own user" in warning
    assert told(world.warnings(*parts, 'exec = "daemon"')) == []
    (tmp_path / "exec.sock").touch()
    assert told(world.warnings(*parts)) == []
