import json

import pytest
from blueprint_harness import AUDIT, TRUEWORK, make_world  # noqa: F401 - the fixture `world`
from click.testing import CliRunner

from gateway.cli.check import check, schema
from gateway.kinds import installed

ROUTE = '[routes.r]\nsource = "truework"\ntargets = ["audit"]\n'
ALERTS = 'alerts = { targets = ["audit"] }\n'


@pytest.fixture
def run(world):
    def call(*arguments, text=ALERTS + TRUEWORK + ROUTE + AUDIT):
        world.write("config.toml", text)
        return CliRunner().invoke(check, ["--config", "config.toml", *arguments])

    return call


def test_a_right_configuration_is_shown_as_tables_and_ends_with_the_command_that_starts_it(run):
    answer = run()
    assert answer.exit_code == 0
    assert "/hooks/truework" in answer.output
    assert answer.output.splitlines()[-1] == "next: hookgate run --config config.toml"


def test_C1_a_wrong_one_gives_every_problem_and_status_1(run):
    answer = run(text="[log]\nlevel = 1\n[targets.x]\n")
    assert answer.exit_code == 1
    assert "config.toml:2:1: [log].level" in answer.output
    assert "\n\n2 problems in all\n" in answer.output
    assert answer.output.splitlines()[-1] == "next: correct these, then: hookgate check --config config.toml"
    assert "1 problem in all" in run(text="[log]\nlevel = 1\n").output


def test_C1_of_what_is_no_toml_the_line_is_shown_with_a_caret_below_the_place(run):
    answer = run(text='[log]\nlevel = "info\n')
    told = "config.toml:2:14: no TOML: expected the quotes that end this text, found the end of the line: close it"
    assert answer.output.startswith(f'{told}\n    level = "info\n                 ^\n\n1 problem in all\n')
    assert json.loads(run("--json", text='[log]\nlevel = "info\n').output)["problems"] == [told]


def test_json_holds_the_same(run):
    answer = json.loads(run("--json").output)
    assert (answer["ok"], answer["problems"], answer["warnings"]) == (True, [], [])
    assert answer["sources"][0]["credentials"] == [
        {"name": "main", "scheme": "token", "events": ["*"], "versions": ["*"]}
    ]
    assert answer["targets"] == [{"name": "audit", "type": "file", "timeout": 30.0, "concurrency": 256}]
    route = {"name": "r", "source": "truework", "events": ["*"], "versions": ["*"], "targets": ["audit"]}
    assert route in answer["routes"]
    wrong = run("--json", text="[log]\nlevel = 1\n")
    assert (wrong.exit_code, json.loads(wrong.output)["ok"], len(json.loads(wrong.output)["problems"])) == (1, False, 1)


def test_warnings_are_shown_and_fail_only_when_strict(run):
    text = TRUEWORK + ROUTE + AUDIT
    relaxed = run(text=text)
    assert (relaxed.exit_code, "warning: config.toml: nobody is told" in relaxed.output) == (0, True)
    strict = run("--strict", "--json", text=text)
    assert (strict.exit_code, json.loads(strict.output)["ok"]) == (1, False)
    assert run("--strict").exit_code == 0


def test_the_long_form_can_be_fed_back(run):
    text = (
        ALERTS
        + '[routes.i]\nprovider = "truora"\nverify = { secret = { file = "one" } }\ntargets = ["audit"]\n'
        + AUDIT
    )
    long = run("--expand", text=text).output
    assert "[sources.truora.credentials]" in long
    assert run("--expand", text=long).output == long


def test_schema_is_json_or_markdown():
    assert json.loads(CliRunner().invoke(schema, []).output)["title"] == "Hookgate configuration"
    assert CliRunner().invoke(schema, ["--markdown"]).output.startswith("# Configuration reference")


def test_schema_names_a_plugin_that_cannot_be_imported(monkeypatch):
    class Entry:
        name = value = "broken"

        def load(self):
            raise ImportError("no")

    monkeypatch.setattr(installed, "entry_points", lambda group: [Entry()])
    answer = CliRunner().invoke(schema, [])
    assert answer.exit_code == 1
    assert "plugin 'broken' (broken) cannot be imported" in answer.output
