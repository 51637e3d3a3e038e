"""docs/logs.md lists each log name of the code, and no other."""

import ast
from pathlib import Path

import gateway
from gateway.core.own_events import KINDS

ROOT = Path(gateway.__file__).parent
DOC = ROOT.parent / "docs" / "logs.md"
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}


def logged():
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
                holder = node.func.value
                if isinstance(holder, ast.Name) and holder.id == "log" and isinstance(node.args[0], ast.Constant):
                    yield node.args[0].value
    yield from KINDS


def documented():
    rows = [line for line in DOC.read_text().splitlines() if line.startswith("| `")]
    return [row.split("`")[1] for row in rows]


def test_every_log_name_is_documented_and_every_documented_one_is_logged():
    assert sorted(set(logged())) == sorted(documented())


def test_log_names_are_a_noun_and_a_past_tense():
    for name in documented():
        noun, _, verb = name.partition(".")
        assert noun.isidentifier(), name
        assert verb.isidentifier(), name
