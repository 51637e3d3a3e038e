"""`hookgate plugins`: lists what is there, writes a project whose own tests pass, and tells a broken promise."""

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner
from plugin_bench import HEALTHY, Bench

from gateway.cli.main import cli


@pytest.fixture(name="bench")
def make_bench(tmp_path):
    return Bench(tmp_path)


def run(tmp_path, *arguments, code=0):
    answer = CliRunner().invoke(cli, ["plugins", *arguments, "--config", str(tmp_path / "config.toml")])
    assert answer.exit_code == code, answer.output
    return answer.output


def test_the_list_has_built_in_kinds_files_and_what_is_wrong_with_a_file(bench, tmp_path):
    bench.write("good", HEALTHY)
    bench.write("broken", "@target(\n", head="")
    bench.write("writable", HEALTHY).chmod(0o666)
    rows = json.loads(run(tmp_path, "list", "--json"))["plugins"]
    found = {(row["group"], row["name"]): row for row in rows}
    assert "url" in found["targets", "http"]["options"]
    assert found["targets", "good"]["origin"].endswith("plugins/good.py")
    assert "SyntaxError" in found["targets", "broken"]["problem"]
    assert "chmod go-w" in found["-", "writable"]["problem"]


@pytest.mark.parametrize("kind", ["target", "verifier", "transform"])
def test_a_new_project_passes_its_own_tests(tmp_path, kind):
    run(tmp_path, "new", kind, "my-own", "--folder", str(tmp_path))
    root = tmp_path / "hookgate-my-own"
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests"],
        cwd=root,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tests.returncode == 0, tests.stdout
    assert "NAME" not in "".join(
        file.read_text() for file in root.rglob("*") if file.is_file() and file.suffix != ".pyc"
    )
    assert "exists" in run(tmp_path, "new", kind, "my-own", "--folder", str(tmp_path), code=1)


@pytest.mark.parametrize("kind", ["target", "verifier", "transform"])
def test_a_new_project_ends_with_a_command_that_puts_it_to_the_test_where_the_gateway_finds_it(tmp_path, kind):
    told = json.loads(run(tmp_path, "new", kind, "my-own", "--folder", str(tmp_path), "--json"))["next"]
    command = told.replace("hookgate plugins", f"{sys.executable} -m gateway plugins")
    environ = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        ["sh", "-c", f"umask 002; {command}"], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"my-own (file {tmp_path}/plugins/my-own.py) keeps the contract of {kind}s" in done.stdout


@pytest.mark.parametrize("name", ["../x", "A", "1", "x--y", "http"])
def test_a_name_that_cannot_be_is_refused(tmp_path, name):
    run(tmp_path, "new", "target", name, "--folder", str(tmp_path), code=1)
    assert list(tmp_path.iterdir()) == []


def test_a_plugin_that_keeps_its_contract_passes_and_one_that_does_not_is_told(bench, tmp_path):
    bench.write("good", HEALTHY)
    bench.write("bad", "def deliver(message, options):\n    return None\n")
    assert json.loads(run(tmp_path, "test", "good", "--json"))["ok"]
    assert "it returned NoneType" in run(tmp_path, "test", "bad", code=1)
    assert "unknown key" in run(tmp_path, "test", "good", "--options", "x = 1", code=1)
    told = run(tmp_path, "test", "good", "--options", "x = y", code=1)
    assert "--options is no TOML: expected a value, found text without quotes: write it in quotes" in told
    assert 'no plugin "nobody"' in run(tmp_path, "test", "nobody", code=1)


def test_verifiers_and_transforms_are_tested_too(bench, tmp_path):
    for kind in ("verifier", "transform"):
        run(tmp_path, "new", kind, f"my{kind}", "--folder", str(tmp_path))
        module = tmp_path / f"hookgate-my{kind}" / f"hookgate_my{kind}.py"
        bench.write(f"my{kind}", module.read_text(), head="")
        assert "keeps the contract" in run(tmp_path, "test", f"my{kind}")
